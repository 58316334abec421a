"""A comparison as one HTML page with its figures inside; needs the extra ``plot``."""

import io
import re
from html import escape
from typing import Final

from hcp.report.comparison import front_table
from hcp.report.drawing import drawing
from hcp.report.figures import cost_against_budget
from hcp.report.tables import Table, comparison_table
from hcp.sweeps.front import pareto
from hcp.sweeps.results import Comparison

# Inches of a figure: legends of many planners take much.
_HEIGHT: Final = 3.2
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid #8884; text-align: left; white-space: nowrap; }
td.number, th.number { text-align: right; }
tr.winner { font-weight: 600; }
figure { display: inline-block; margin: 0.5rem; background: white; padding: 0.5rem; border-radius: 6px; }
figure svg { width: 26rem; max-width: 100%; height: auto; }
"""


def to_html(comparison: Comparison, title: str = "Comparison") -> str:
    """One self-contained page: the rows, the front, and cost against budget for each graph.

    Raises:
        HcpError: If matplotlib is missing.
    """
    table = comparison_table(comparison)
    winners = {i for i, row in enumerate(comparison.rows) if row.winner}
    graphs = dict.fromkeys(row.graph for row in comparison.rows)
    messages = dict.fromkeys(row.message for row in comparison.rows if row.message)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            "<p>Costs are relative to running every node once; gaps are to the best order-free lower bound that any of "
            "the planners found for the graph and the budget. The column <em>verified</em> says whether a certificate "
            "of that bound was checked; other bounds are claimed by a solver. Winners have a star.</p>",
            *(f"<figure>{_figure(comparison, graph, place)}</figure>" for place, graph in enumerate(graphs)),
            "<h2>Rows</h2>",
            _table(table, winners),
            "<h2>Front of memory and cost</h2>",
            _table(front_table(pareto(comparison.rows))),
            *(["<h2>Notes</h2>", "<ul>", *(f"<li>{escape(text)}</li>" for text in messages), "</ul>"] * bool(messages)),
            "</body></html>\n",
        ]
    )


def _figure(comparison: Comparison, graph: str, place: int) -> str:
    drawn = io.BytesIO()
    with drawing(drawn, 1, height=_HEIGHT) as (axes,):
        cost_against_budget(axes, [row for row in comparison.rows if row.graph == graph])
    text = drawn.getvalue().decode("utf-8")
    # One page holds several drawings, whose names must differ.
    svg = text[text.index("<svg") :]
    return re.sub(r'((?:\bid="|url\(#|href="#))', rf"\g<1>figure{place}-", svg)


def _table(table: Table, winners: set[int] | None = None) -> str:
    kinds = [' class="number"' if right else "" for right in table.numeric]
    head = "".join(f"<th{kind}>{escape(cell)}</th>" for kind, cell in zip(kinds, table.headers, strict=True))
    lines = [f"<table><thead><tr>{head}</tr></thead><tbody>"]
    for i, row in enumerate(table.rows):
        cells = "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        winner = ' class="winner"' if i in (winners or ()) else ""
        lines.append(f"<tr{winner}>{cells}</tr>")
    return "\n".join([*lines, "</tbody></table>"])
