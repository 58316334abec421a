"""A production training step with its collectives beside the computation: the schedule that runs it, and hcp's.

Run as ``python -m benchmarks.production --graph G.json --schedule S.json [--engine '_c10d*=network'] [--out FOLDER]``.
The graph is an ``hcp-graph/1``; the other file's ``computes`` are the nodes that production executes, in order. All are
judged by one replay, in which each engine does one thing after the other, within the peak of production's own schedule:

- *keep everything, earlier*: nothing runs again, at its own peak;
- *production*: as it is;
- *production, earlier*: the same executions, its collectives started earlier and what they read freed later, within
  the same peak, as schedulers in compilers do;
- *hcp, in turn*: planned as if the computation waited for every collective, and then treated alike;
- *hcp*: planned with engines.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import publish
from hcp.cli.options import with_engines
from hcp.graph.builders import load_graph
from hcp.graph.fields import Record
from hcp.graph.files import read_json
from hcp.graph.ir import Graph
from hcp.offload.earlier import earlier
from hcp.planners import solve
from hcp.planning.plan import Plan, excess
from hcp.report.tables import Table
from hcp.report.units import bytes_text, percent_text
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay

HEADERS: Final = ("schedule", "peak", "makespan", "over the bound", "work again", "computation waits")


def schedules(graph: Graph, production: Schedule, limit: float) -> Iterator[tuple[str, Schedule, Plan | None]]:
    """Each way, its schedule, and the plan where hcp made one with engines."""
    keep = keep_everything(graph)
    yield "keep everything, earlier", earlier(graph, keep, replay(graph, keep).peak), None
    budget = replay(graph, production).peak
    yield "production", production, None
    yield "production, earlier", earlier(graph, production, budget), None
    in_turn = solve(graph.serial, budget, time_limit=limit)
    if in_turn.schedule is not None:
        yield "hcp, in turn", earlier(graph, in_turn.schedule, budget), None
    plan = solve(graph, budget, time_limit=limit)
    if plan.schedule is not None:
        yield "hcp", plan.schedule, plan


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    shares = (percent_text(row[name]) for name in ("over", "again", "waits"))
    return (row["schedule"], bytes_text(row["peak"]), f"{row['makespan']} {row['unit']}", *shares)


def main() -> None:
    """Plans, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", type=Path, required=True, help="the step's graph")
    parser.add_argument("--schedule", type=Path, required=True, help="what production executes")
    parser.add_argument("--engine", action="append", help="PATTERN=NAME; _c10d*=network by default")
    parser.add_argument("--time-limit", type=float, default=180.0, help="seconds a plan")
    parser.add_argument("--out", type=Path, help="folder for production.json and production.md")
    options = parser.parse_args()
    graph = with_engines(load_graph(options.graph), options.engine or ["_c10d*=network"])
    listed = Record(read_json(options.schedule, "schedule"), f"schedule {options.schedule}").texts("computes")
    found = [*schedules(graph, Schedule.from_computes(graph, listed), options.time_limit)]
    bounds = [plan.best_bound() for _, _, plan in found if plan is not None]
    proved = [plan.verified(bound) for _, _, plan in found if plan is not None and (bound := plan.best_bound())]
    bound = max((each.value for each in bounds if each is not None), default=graph.base_cost)
    rows: list[dict[str, Any]] = []
    for name, schedule, _ in found:
        usage = replay(graph, schedule)
        again = excess(usage.cost, sum(node.cost for node in graph.nodes))
        waits = sum(usage.waited.values()) / bound
        over = excess(usage.makespan, bound)
        rows.append({"schedule": name, "peak": usage.peak, "makespan": usage.makespan, "over": over, "again": again})
        rows[-1] |= {"waits": waits, "bound": bound, "verified": all(proved), "unit": graph.cost_unit}
    table = Table(HEADERS, tuple(map(_cells, rows)), (False, *[True] * 5))
    publish("production", table, rows, options.out, time_limit=options.time_limit, bound=bound, verified=all(proved))


if __name__ == "__main__":
    main()
