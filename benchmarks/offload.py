"""What a link to the host is worth: keep, compute again, move, or both, over bandwidths.

Run as ``python -m benchmarks.offload [--data FOLDER] [--budget 50%] [--out benchmarks/results]``; without a folder of
captured graphs (``hcp-graph/1``) only generated ones are planned. Each plan is for a link that is as quick both ways:

- *again*: without it;
- *in turn*: the computation waits for every copy, as where nothing overlaps;
- *moved*: nothing runs again, and copies overlap the computation;
- *mixed*: both, and copies overlap.

Costs of generated graphs are no times; a second is then what it takes to compute what the captured ones would.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import graphs_in, publish
from hcp.graph.instances import instance
from hcp.graph.ir import Graph
from hcp.planners import solve
from hcp.planning.plan import Plan, excess
from hcp.planning.problem import InfeasibleBudget
from hcp.report.tables import Table
from hcp.report.units import bytes_text, percent_text
from hcp.schedule.host import PER, HostLink

GENERATED: Final = ("unet:5", "transformer:6")
# In GB/s, where costs are nanoseconds.
RATES: Final = (1, 3, 10, 30, 100)
# Bytes that a generated graph's computation is taken to make in a second, in GB.
MADE: Final = 5
HEADERS: Final = ("graph", "GB/s", "way", "cost over keep", "run again", "moved", "waits", "gap", "proved")


def link_of(graph: Graph, rate: int, *, overlap: bool) -> HostLink:
    """A link of so many GB/s."""
    made = sum(value.bytes for value in graph.values.values())
    per_unit = 1.0 if graph.cost_unit == "ns" else made / max(1, graph.base_cost) / MADE
    amount = max(1, round(rate * PER * per_unit))
    return HostLink(amount, amount, overlap=overlap)


def row_of(graph: Graph, budget: str, rate: int, way: str, options: dict[str, Any]) -> dict[str, object]:
    """One plan."""
    found = {"graph": graph.name, "budget": budget, "rate": rate, "way": way}
    once = replace(graph, nodes=tuple(replace(node, recomputable=False) for node in graph.nodes))
    host = None if way == "again" else link_of(graph, rate, overlap=way != "in turn")
    try:
        plan = solve(once if way == "moved" else graph, budget, host=host, **options)
    except InfeasibleBudget as error:
        return found | {"failure": str(error)}
    if plan.usage is None:
        return found | {"failure": plan.note}
    return found | _figures(plan)


def _figures(plan: Plan) -> dict[str, object]:
    usage, base, bound = plan.usage, plan.graph.base_cost, plan.best_bound()
    assert usage is not None
    return {
        "cost": plan.cost,
        "overhead": plan.overhead,
        "again": excess(usage.cost - usage.transfer_cost, base),
        "moved": usage.transferred,
        "waits": sum(usage.waited.values()) / base,
        "peak": plan.peak,
        "gap": plan.gap,
        "verified": bound is not None and plan.verified(bound),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    named = (f"{row['graph']} at {row['budget']}", str(row["rate"]), str(row["way"]))
    if "failure" in row:
        return (*named, "-", "-", "-", "-", "-", row["failure"][:60])
    shares = [percent_text(row[name]) for name in ("overhead", "again", "waits", "gap")]
    proved = "certified" if row["verified"] else "claimed"
    return (*named, shares[0], shares[1], bytes_text(row["moved"]), shares[2], shares[3], proved)


def main() -> None:
    """Plans, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of captured graphs")
    parser.add_argument("--graph", action="append", help="only this file of the folder; repeat for several")
    parser.add_argument("--budget", action="append", help="repeat for several; 50%% by default")
    parser.add_argument("--rate", action="append", type=int, help="GB/s; repeat for several")
    parser.add_argument("--time-limit", type=float, default=30.0, help="seconds a plan")
    parser.add_argument("--out", type=Path, help="folder for offload.json and offload.md")
    options = parser.parse_args()
    graphs = [] if options.data is None else graphs_in(options.data, options.graph)
    if options.graph is None:
        graphs += [instance(name) for name in GENERATED]
    rows = []
    for graph in graphs:
        for budget in options.budget or ["50%"]:
            for place, rate in enumerate(options.rate or RATES):
                ways = ("in turn", "moved", "mixed") if place else ("again", "in turn", "moved", "mixed")
                for way in ways:
                    rows.append(row_of(graph, budget, rate, way, {"time_limit": options.time_limit}))
                    print(" ".join(_cells(rows[-1])), flush=True)
    table = Table(HEADERS, tuple(map(_cells, rows)), (False, True, False, True, True, True, True, True, False))
    publish("offload", table, rows, options.out, time_limit=options.time_limit)


if __name__ == "__main__":
    main()
