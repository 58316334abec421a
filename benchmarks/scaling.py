"""How time, memory and gap grow with the number of nodes: generated transformers up to about 10,000 nodes.

Run as ``python -m benchmarks.scaling``. Every size runs in a process of its own, so that its memory is its own.
"""

import argparse
import multiprocessing
import resource
import time
from pathlib import Path

from benchmarks.harness import publish
from hcp.graph.instances import instance
from hcp.planners import solve
from hcp.report.tables import Table

# Layers; a layer has 27 nodes.
SIZES = (8, 24, 72, 180, 360)
HEADERS = ("nodes", "cost %", "bound %", "gap %", "status", "seconds", "GiB")


def main() -> None:
    """Plans every size and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="50%")
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds a solve")
    parser.add_argument("--layers", type=int, action="append", help="repeat for several")
    parser.add_argument("--out", type=Path, help="folder for scaling.json and scaling.md")
    options = parser.parse_args()
    rows = []
    context = multiprocessing.get_context("spawn")
    for layers in options.layers or SIZES:
        with context.Pool(1) as pool:
            rows.append(pool.apply(measured, (layers, options.budget, options.solver, options.time_limit)))
        print(rows[-1], flush=True)
    cells = tuple(tuple(_text(row[header]) for header in HEADERS) for row in rows)
    table = Table(HEADERS, cells, tuple(header != "status" for header in HEADERS))
    publish("scaling", table, rows, options.out, budget=options.budget, time_limit=options.time_limit)


def measured(layers: int, budget: str, solver: str, time_limit: float) -> dict[str, object]:
    """One size: what the plan costs, and what planning took."""
    graph = instance(f"transformer:{layers}")
    start = time.perf_counter()
    plan = solve(graph, budget, solver, time_limit=time_limit)
    seconds = time.perf_counter() - start
    bound = plan.best_bound()
    return {
        "nodes": len(graph.nodes),
        "cost %": None if plan.overhead is None else 100 * plan.overhead,
        "bound %": None if bound is None else 100 * (bound.value / graph.base_cost - 1),
        "gap %": None if plan.gap is None else 100 * plan.gap,
        "status": plan.status.value,
        "seconds": seconds,
        "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def _text(cell: object) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else "-" if cell is None else str(cell)


if __name__ == "__main__":
    main()
