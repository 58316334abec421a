"""Comparisons for papers and pages: the LaTeX table, and the front of cost and memory."""

from collections.abc import Sequence
from typing import Final

from hcp.planning.plan import excess
from hcp.report.tables import COMPARISON_HEADERS, Table, comparison_cells
from hcp.report.units import bytes_text, percent_text
from hcp.sweeps.front import FrontPoint
from hcp.sweeps.results import NOT_APPLICABLE, Comparison

CAPTION: Final = (
    "Extra cost over running every node once, peak memory, and gap to the best order-free lower bound that any of the "
    "planners found; whether that bound is proved by a certificate; the lowest cost for each graph and budget is bold."
)
_COLUMNS: Final = ("graph", "budget", "solver", "cost", "peak", "best bound", "verified", "gap (order-free)", "time")


def latex_comparison(comparison: Comparison, caption: str = "", label: str = "tab:hcp") -> str:
    """A table for a paper: graph and budget once a group, the winners bold. Needs the booktabs package.

    Args:
        comparison: What to show.
        caption: ``CAPTION`` where not given.
        label: For references.
    """
    keep = [COMPARISON_HEADERS.index(column) for column in _COLUMNS]
    rows: list[tuple[str, ...]] = []
    bold = set()
    above: tuple[str, str] = ("", "")
    for row in comparison.rows:
        cells = comparison_cells(row)
        graph, budget, solver, cost, *others = (cells[i] for i in keep)
        if row.plan is None or row.plan.cost is None:
            cost = {NOT_APPLICABLE: "n/a"}.get(row.status, cells[COMPARISON_HEADERS.index("status")])
        # The headers have the units.
        cost, *others = (text.removeprefix("+").removesuffix(" %").removesuffix(" s") for text in (cost, *others))
        if row.winner:
            bold.add((len(rows), _COLUMNS.index("cost")))
        group = (graph, budget)
        rows.append(("" if graph == above[0] else graph, "" if group == above else budget, solver, cost, *others))
        above = group
    headers = ("graph", "budget", "planner", "cost [%]", "peak", "bound [%]", "certified", "gap [%]", "time [s]")
    numeric = (False, True, False, True, True, True, False, True, True)
    return Table(headers, tuple(rows), numeric, bold=frozenset(bold)).to_latex(caption or CAPTION, label)


def front_table(points: Sequence[FrontPoint]) -> Table:
    """The front of each graph, from the smallest peak to the smallest cost."""
    return Table(
        ("graph", "peak", "cost", "bound", "verified", "gap (order-free)", "solver"),
        tuple(
            (
                point.graph,
                bytes_text(point.peak),
                f"+{percent_text(point.plan.overhead)}",
                f"+{percent_text(excess(point.bound, point.plan.graph.base_cost))}",
                "yes" if point.verified else "no",
                percent_text(point.gap),
                point.solver,
            )
            for point in points
        ),
        (False, True, True, True, False, True, False),
    )
