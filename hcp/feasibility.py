"""Budgets that no schedule can meet: the proof, and the smallest budget known to work."""

from functools import lru_cache
from time import perf_counter
from typing import Final

from hcp.graph.ir import Graph
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.schedule.solution import InfeasibleBudget, Problem, Solution

# How long an error may look for a budget that works.
SECONDS: Final = 6.0
ATTEMPTS: Final = 4
MOVES: Final = 200_000


def check_budget(problem: Problem) -> None:
    """Refuses a budget that one node alone exceeds.

    Raises:
        InfeasibleBudget: Names the node and what it needs.
    """
    index = problem.graph.index
    needs = index.floor
    worst = int(needs.argmax())
    if int(needs[worst]) <= problem.budget:
        return
    raise InfeasibleBudget(
        f"no schedule fits {problem.budget} bytes: node {index.node_names[worst]!r} alone holds {int(needs[worst])} "
        "bytes of inputs, outputs, workspace and values that stay while it runs; "
        f"the smallest budget known to work is {smallest_known(problem.graph)} bytes"
    )


def explain_infeasible(problem: Problem, solution: Solution) -> InfeasibleBudget:
    """The error for a budget that a planner proved too small."""
    proof = solution.note or f"proved by {solution.planner}"
    return InfeasibleBudget(
        f"no schedule fits {problem.budget} bytes: {proof}; "
        f"the smallest budget known to work is {smallest_known(problem.graph)} bytes"
    )


# A comparison asks for the same graph once a planner.
@lru_cache(maxsize=16)
def smallest_known(graph: Graph) -> int:
    """The smallest peak among schedules found in a few seconds by annealing towards ever smaller budgets."""
    from hcp.schedule.annealing import Annealer, Cooling

    schedule = keep_everything(graph)
    peak = replay(graph, schedule).peak
    low = int(graph.index.floor.max())
    for attempt in range(ATTEMPTS):
        if peak <= low:
            break
        annealer = Annealer(graph, (low + peak) // 2)
        order = annealer.indices(graph.order)
        for start in (order, annealer.evicted(order)):
            found = annealer.run(
                start,
                Cooling(temperature=(1e-2, 1e-4), penalty=(1.0, 1000.0)),
                moves=MOVES,
                seed=attempt,
                deadline=perf_counter() + SECONDS / ATTEMPTS / 2,
            )
            peak = min(peak, replay(graph, annealer.schedule(found.least)).peak)
    return peak
