"""Random graphs and budgets through every planner, for a while: looks for crashes and for bounds that do not hold.

Run as ``python -m benchmarks.fuzz [--minutes 10] [--seed 0]``. Each problem goes to several planners; every plan is
judged by replay, every certificate proved again, and no order-free bound may exceed the cheapest plan that any of them
found, nor any plan exist where one proved that there is none. The first failure ends it and names the graph.
"""

import argparse
import tempfile
import time
from pathlib import Path
from random import Random

from rich.progress import Progress

from hcp.graph.builders import save_graph
from hcp.graph.instances import INSTANCES, instance
from hcp.graph.ir import Graph
from hcp.graph.random_graphs import random_graph, random_layered
from hcp.planners import PLANNERS, solve
from hcp.planning.plan import Plan
from hcp.planning.problem import InfeasibleBudget, NotApplicable
from hcp.plans.file import save_plan
from hcp.plans.verify import verify_plan
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.schedule.scopes import ORDER_FREE

# The planners each problem is given to, beside auto.
OTHERS = 3
# The exhaustive search takes graphs of about a dozen nodes only.
SMALL = 11


class Failure(Exception):
    """Something that should not be; the message says what."""


def main() -> None:
    """Fuzzes until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, default=3.0, help="seconds a solve")
    options = parser.parse_args()
    random = Random(options.seed)
    end = time.monotonic() + 60 * options.minutes
    problems = plans = bounds = 0
    with Progress() as progress, tempfile.TemporaryDirectory() as folder:
        task = progress.add_task("fuzzing", total=60 * options.minutes)
        while time.monotonic() < end:
            graph = _drawn(random)
            budget = _budget(graph, random)
            try:
                made, proved = _try(graph, budget, random, options.time_limit, Path(folder) / "plan.json")
            except Exception:
                save_graph(graph, "fuzz-failure.json")
                print(f"failed on fuzz-failure.json with a budget of {budget} bytes")
                raise
            problems, plans, bounds = problems + 1, plans + made, bounds + proved
            progress.update(task, completed=60 * options.minutes - (end - time.monotonic()))
    print(f"{problems} problems, {plans} plans judged, {bounds} bounds checked, no failure")


def _drawn(random: Random) -> Graph:
    draw = random.random()
    if draw < 0.4:
        return random_graph(
            random.randint(2, SMALL), random.randrange(10**6), edge_probability=random.uniform(0.2, 0.7)
        )
    if draw < 0.7:
        return random_layered(random.randint(12, 120), random.randrange(10**6))
    name = random.choice([name for name in INSTANCES if not name.startswith("random")])
    return instance(f"{name}:{random.randint(2, 6)}")


def _budget(graph: Graph, random: Random) -> int:
    highest = replay(graph, keep_everything(graph)).peak
    lowest = min(int(graph.index.floor.max()), highest)
    return max(1, random.randint(int(0.95 * lowest), highest))


def _try(graph: Graph, budget: int, random: Random, seconds: float, file: Path) -> tuple[int, int]:
    names = [name for name in PLANNERS if name not in ("auto", "exhaustive")]
    chosen = ["auto", *random.sample(names, OTHERS), *(["exhaustive"] if graph.index.n <= SMALL else [])]
    plans: list[Plan] = []
    refuted_by: str | None = None
    for name in chosen:
        try:
            plan = solve(graph, budget, name, time_limit=seconds, seed=random.randrange(10**6))
        except InfeasibleBudget:
            refuted_by = name
            continue
        except NotApplicable:
            continue
        plans.append(plan)
        if plan.schedule is not None:
            save_plan(plan, file)
            verify_plan(file)
    _agree(plans, refuted_by, budget)
    return len(plans), sum(len(plan.bounds) for plan in plans)


def _agree(plans: list[Plan], refuted_by: str | None, budget: int) -> None:
    fitting = [(plan.cost, plan.planner) for plan in plans if plan.cost is not None and (plan.peak or 0) <= budget]
    if not fitting:
        return
    cost, planner = min(fitting)
    if refuted_by is not None:
        raise Failure(f"{refuted_by} proved the budget infeasible, but {planner} has a plan")
    for plan in plans:
        for bound in plan.bounds:
            too_high = bound.value > (cost if bound.of == "cost" else budget)
            if bound.scope == ORDER_FREE and too_high:
                raise Failure(
                    f"{plan.planner} bounds the {bound.of} by {bound.value} ({bound.source}), "
                    f"but the plan of {planner} costs {cost} within {budget} bytes"
                )


if __name__ == "__main__":
    main()
