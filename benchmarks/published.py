"""The published comparison: hcp beside Checkmate, MOCCASIN and FastSA on the graphs of the MOCCASIN paper.

Run as ``python -m benchmarks.published --data FOLDER``, where the folder holds the graphs as node-link JSON files:
``rl1.json``, ``rl2.json``, ``rl4.json``, ``cm1-fcn8.json`` and ``cm2-resnet50.json``. They come from the MOCCASIN
authors' repository under the GPL and are not part of this project.

Published figures, extra cost in % and seconds: MOCCASIN and Checkmate as reported by Bartan et al., "MOCCASIN:
Efficient Tensor Rematerialization for Neural Networks", ICML 2023 (CP-SAT, 16 workers); FastSA by Imanishi et al., "A
Fast Simulated Annealing for Rematerialization", NeurIPS 2023 (one core). The first two hold the given topological
order; FastSA and hcp may reorder.

With ``--out`` the folder gets ``published.md``, ``published.json``, ``published.tex`` (booktabs) and ``published.pdf``.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import graphs_in, publish
from hcp.graph.files import write_atomically
from hcp.graph.ir import Graph
from hcp.planners import solve
from hcp.planning.plan import Plan, excess
from hcp.report.drawing import COLOURS, MARKERS, drawing
from hcp.report.figures import bound_steps, shade_below
from hcp.report.tables import Table
from hcp.schedule.scopes import ORDER_FREE

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Figure = tuple[float | None, float | None]

BUDGETS = (90, 80, 70)
PEERS = ("Checkmate", "MOCCASIN", "FastSA")
HEADERS = ("graph", "budget", *PEERS, "hcp", "bound", "gap", "scope", "status", "s", "verified")
CAPTION = (
    "Extra cost in percent, with seconds where they were published (rounded to 0.1): Checkmate and MOCCASIN as "
    "reported by Bartan et al. (2023), FastSA by Imanishi et al. (2023), and hcp with its order-free bound and the gap."
)
LABEL = "tab:published"
NUMERIC = ("budget", *PEERS, "hcp", "bound", "gap", "s")

# graph -> budget % -> (Checkmate, MOCCASIN, FastSA), each (extra cost %, seconds); None where none was reported.
NONE: Figure = (None, None)
PUBLISHED: dict[str, dict[int, tuple[Figure, Figure, Figure]]] = {
    "rl1": {
        90: ((0.8, 18.5), (0.8, 9.3), (0.0, 11.7)),
        80: ((2.3, 22.7), (2.3, 9.5), (0.3, 11.5)),
        70: (NONE, NONE, (2.2, None)),
    },
    "rl2": {
        90: ((0.9, 685), (0.9, 55), (0.0, 15)),
        80: (NONE, (4.9, 640), (0.0, 15)),
        70: (NONE, NONE, (2.6, 15)),
    },
    "rl4": {
        90: (NONE, (0.7, 3613), (0.4, 36)),
        80: (NONE, (3.4, 3612), (2.5, 36)),
        70: (NONE, NONE, (7.4, 37)),
    },
    "cm1-fcn8": {
        90: ((0.0, 6.3), (0.0, 3.1), (0.1, 9.4)),
        80: ((0.1, 5.6), (0.1, 3.1), (0.1, 9.7)),
        70: (NONE, NONE, (3.0, 9.7)),
    },
    "cm2-resnet50": {
        90: ((0.1, 434), (0.2, 65), (0.2, 10.9)),
        80: ((0.3, 485), (0.3, 69), (0.4, 10.9)),
        70: (NONE, NONE, (0.8, 11)),
    },
}


def main() -> None:
    """Solves every published graph at every budget and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the published graphs")
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds a solve")
    parser.add_argument("--graph", action="append", help="only this graph; repeat for several")
    parser.add_argument("--out", type=Path, help="folder for published.json and published.md")
    options = parser.parse_args()
    rows = []
    cells = []
    for graph in graphs_in(options.data, options.graph or list(PUBLISHED)):
        for budget in BUDGETS:
            plan = solve(graph, f"{budget}%", options.solver, time_limit=options.time_limit)
            rows.append({"budget": budget, **_without_computes(plan)})
            cells.append(_cells(graph, budget, plan))
            print(*cells[-1], sep=" | ", flush=True)
    table = Table(HEADERS, tuple(cells), tuple(header in NUMERIC for header in HEADERS))
    publish("published", table, rows, options.out, solver=options.solver, time_limit=options.time_limit)
    if options.out is not None:
        write_atomically(options.out / "published.tex", _for_paper(table).to_latex(CAPTION, LABEL))
        plot_published(rows, options.out / "published.pdf")


def plot_published(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws extra cost against budget, a panel a graph: the published figures, hcp, and its bound.

    Args:
        rows: As ``published.json`` holds them.
        path: An image file.
    """
    graphs = list(dict.fromkeys(row["graph"] for row in rows))
    with drawing(path, -(-len(graphs) // 2), 2, height=2.0) as panels:
        for panel, graph in zip(panels, graphs, strict=False):
            mine = sorted((row for row in rows if row["graph"] == graph), key=lambda row: row["budget"])
            for peer, colour, marker in zip(PEERS, COLOURS[1:], MARKERS[1:], strict=False):
                figures = [(budget, PUBLISHED[graph][budget][PEERS.index(peer)][0]) for budget in sorted(BUDGETS)]
                points = [(budget, cost) for budget, cost in figures if cost is not None]
                if points:
                    panel.plot(*zip(*points, strict=True), marker=marker, mfc="none", color=colour, label=peer)
            solved = [(row["budget"], 100 * row["overhead"]) for row in mine if row["overhead"] is not None]
            panel.plot(*zip(*solved, strict=True), marker=MARKERS[0], color=COLOURS[0], label="hcp")
            bounds = [100 * (_best_bound(row) / row["base_cost"] - 1) for row in mine]
            steps = bound_steps(list(zip((row["budget"] for row in mine), bounds, strict=True)))
            shade_below(panel, steps, "below hcp's bound")
            panel.set(title=graph, xlabel="budget [%]", ylabel="extra cost [%]", xticks=sorted(BUDGETS))
            panel.set_ylim(bottom=0)
        for panel in panels[len(graphs) :]:
            panel.remove()
        handles = {label: handle for panel in panels for handle, label in _legend(panel)}
        panels[0].figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))


def _for_paper(table: Table) -> Table:
    """Without the columns that a caption says, and the graph once."""
    kept = [i for i, header in enumerate(table.headers) if header not in ("scope", "status", "verified")]
    rows = [tuple(row[i].removesuffix(" s") for i in kept) for row in table.rows]
    named = [("" if i and row[0] == rows[i - 1][0] else row[0], *row[1:]) for i, row in enumerate(rows)]
    return Table(tuple(table.headers[i] for i in kept), tuple(named), tuple(table.numeric[i] for i in kept))


def _best_bound(row: Mapping[str, Any]) -> int:
    return max(int(b["value"]) for b in row["bounds"] if (b["of"], b["scope"]) == ("cost", ORDER_FREE))


def _legend(panel: "Axes") -> "list[tuple[Artist, str]]":
    return [] if panel.figure is None else list(zip(*panel.get_legend_handles_labels(), strict=True))


def _without_computes(plan: Plan) -> dict[str, object]:
    return {key: value for key, value in plan.to_dict().items() if key != "computes"}


def _cells(graph: Graph, budget: int, plan: Plan) -> tuple[str, ...]:
    bound = plan.best_bound()
    return (
        graph.name,
        f"{budget} %",
        *(_published(figure) for figure in PUBLISHED[graph.name][budget]),
        "-" if plan.overhead is None else f"{100 * plan.overhead:.3f}",
        "-" if bound is None else f"{100 * excess(bound.value, graph.base_cost):.3f}",
        "-" if plan.gap is None else f"{100 * plan.gap:.3f}",
        plan.gap_scope,
        "optimal (claimed)" if plan.optimality == "claimed" else plan.status.value,
        f"{plan.seconds:.1f}",
        "-" if bound is None else "yes" if plan.verified(bound) else "no",
    )


def _published(figure: Figure) -> str:
    cost, seconds = figure
    return "-" if cost is None else f"{cost:g}" if seconds is None else f"{cost:g} / {seconds:g} s"


if __name__ == "__main__":
    main()
