"""How time, memory and gap grow with the number of nodes, on graphs that repeat and on graphs that do not.

Run as ``python -m benchmarks.scaling [--data FILE] [--loaded]``. Generated transformers repeat their layers; random
layered graphs do not repeat at all; ``--data`` adds a graph of your own, such as one of a production training step, and
is skipped where there is no such file. Every row is solved in a process of its own, so that its memory is its own.
With ``--loaded`` a busy process for each core competes with the solve.

The certified bound is the best one that its certificate proves when it is checked anew; the certified gap is the cost
above it, as a share of the keep-everything cost. *1 % after* is when the best schedule came so close to the best bound.
"""

import argparse
import os
import resource
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.harness import alone, busy, failure, publish, state_of_cores
from hcp.graph.builders import load_graph
from hcp.graph.errors import HcpError
from hcp.graph.instances import instance
from hcp.graph.ir import Graph
from hcp.planners import solve
from hcp.planning.plan import Plan
from hcp.report.tables import Table

# About 1,000, 2,000, 5,000, 10,000 and 20,000 nodes: a layer of a transformer has 27. Random layers keep more alive.
GRAPHS: Final = {
    "transformer": ((36, 72, 180, 360, 740), "50%"),
    "random-layered": ((1_000, 2_000, 5_000, 10_000, 20_000), "80%"),
}
HEADERS: Final = (
    "graph",
    "nodes",
    "budget",
    "cost %",
    "certified bound %",
    "certified gap %",
    "1 % after seconds",
    "seconds",
    "GiB",
    "status",
)
CLOSE: Final = 0.01


def main(arguments: list[str] | None = None) -> None:
    """Plans every graph and prints the table."""
    options = _options().parse_args(arguments)
    given = [] if options.data is None or not options.data.exists() else [str(options.data)]
    cores = os.cpu_count() if options.loaded else None
    state = state_of_cores(options.loaded)
    rows = []
    generated = options.graph or [f"{name}:{size}" for name, (sizes, _) in GRAPHS.items() for size in sizes]
    for graph in [*given, *generated]:
        _, usual = GRAPHS.get(graph.partition(":")[0], ((), "50%"))
        for budget in options.budget or [usual]:
            row: dict[str, object] = {"graph": Path(graph).stem, "budget": budget}
            try:
                with busy(cores):
                    row |= alone(partial(measured, graph, budget, options.solver, options.time_limit))
            except HcpError as error:
                row["status"] = failure(str(error))
            rows.append(row)
            print(*_cells(row), sep=" | ", flush=True)
    table = Table(HEADERS, tuple(map(_cells, rows)), tuple(header not in ("graph", "status") for header in HEADERS))
    settings = {"solver": options.solver, "time_limit": options.time_limit, "loaded": options.loaded}
    publish(options.name, table, rows, options.out, state, **settings)


def measured(source: str, budget: str, solver: str, time_limit: float) -> dict[str, object]:
    """One graph: what the plan costs, what is proved, and what planning took."""
    graph = load_graph(source) if Path(source).exists() else instance(source)
    start = time.perf_counter()
    plan = solve(graph, budget, solver, time_limit=time_limit)
    seconds = time.perf_counter() - start
    bound = certified_bound(plan)
    return {
        "nodes": len(graph.nodes),
        "cost %": None if plan.cost is None else _percent(plan.cost, graph),
        "certified bound %": _percent(bound, graph),
        "certified gap %": None if plan.cost is None else 100 * (plan.cost - bound) / graph.base_cost,
        "1 % after seconds": close_after(plan),
        "seconds": seconds,
        "GiB": _peak_gib(),
        "status": plan.status.value,
    }


def certified_bound(plan: Plan) -> int:
    """The best bound on the cost that its certificate proves when it is checked anew; every node once, where none."""
    problem = plan.problem
    proved = [
        bound.certificate.proven(problem.graph, problem.budget)
        for bound in plan.bounds
        if bound.of == "cost" and bound.scope in problem.scopes and bound.certificate is not None
    ]
    return max(proved, default=problem.graph.base_cost)


def close_after(plan: Plan) -> float | None:
    """Seconds until the best schedule was within one percent of the best certified bound; None if it never was.

    The trace has bounds that a solver only claims as well; those above what is certified at the end count as that.
    """
    most, base = certified_bound(plan), plan.problem.graph.base_cost
    for point in plan.trace:
        known = point.incumbent is not None and point.bound is not None
        if known and point.incumbent - min(point.bound, most) <= CLOSE * base:
            return point.seconds
    return None


def _peak_gib() -> float:
    """Most memory that this process or one that it started has held."""
    used = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(used) / 2**20


def _percent(cost: int, graph: Graph) -> float:
    return 100 * (cost / graph.base_cost - 1)


def _cells(row: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(_text(row.get(header)) for header in HEADERS)


def _text(cell: object) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else "-" if cell is None else str(cell)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="one more graph, in a file; skipped where there is none")
    parser.add_argument("--graph", action="append", help="a generator and its size, as in transformer:36; repeatable")
    parser.add_argument(
        "--budget",
        action="append",
        help="of every graph; repeat for several; 50%% or, of random layers, 80%% by default",
    )
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds a solve")
    parser.add_argument("--loaded", action="store_true", help="keep all cores busy with other processes meanwhile")
    parser.add_argument("--name", default="scaling", help="of the files, such as scaling-loaded")
    parser.add_argument("--out", type=Path, help="folder for the table and the rows")
    return parser


if __name__ == "__main__":
    main()
