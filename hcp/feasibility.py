"""Budgets that no schedule can meet: the proof, and the smallest budget known to work."""

from collections import Counter
from functools import lru_cache
from typing import Final

from hcp.graph.ir import Graph
from hcp.planning.compilation import ANNEALING
from hcp.planning.deadline import Deadline
from hcp.planning.problem import InfeasibleBudget, Problem
from hcp.planning.solution import Solution
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay

# How long an error may look for a budget that works.
SECONDS: Final = 6.0
ATTEMPTS: Final = 4
MOVES: Final = 200_000
# Of the values that stay to the end, how many an error names.
NAMED: Final = 3


def check_budget(problem: Problem) -> None:
    """Refuses a budget below what every schedule holds at some time; ``GraphIndex.least_bytes`` has the proof.

    Raises:
        InfeasibleBudget: Names the node that needs more by itself, or the values that stay to the end, or both.
    """
    graph, budget = problem.graph, problem.budget
    if graph.index.least_bytes <= budget:
        return
    proofs = (_node_alone(graph, budget), _held_at_the_end(graph, budget))
    raise InfeasibleBudget(
        f"no schedule fits {budget} bytes: {'; '.join(proof for proof in proofs if proof)}; "
        f"the smallest budget known to work is {smallest_known(graph)} bytes"
    )


def _node_alone(graph: Graph, budget: int) -> str:
    index = graph.index
    worst = int(index.floor.argmax())
    if int(index.floor[worst]) <= budget:
        return ""
    return (
        f"node {index.node_names[worst]!r} alone holds {int(index.floor[worst])} bytes of inputs, outputs, workspace "
        "and values that stay while it runs"
    )


def _held_at_the_end(graph: Graph, budget: int) -> str:
    index = graph.index
    least = int(index.last_floor[index.last])
    stay = [value for node in graph.nodes for value in node.outputs if value.resident and value.bytes]
    if least <= budget or not stay:
        return ""
    held = sum(value.bytes for value in stay)
    kinds = Counter(value.kind for value in stay)
    counted = " and ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items())
    largest = sorted(stay, key=lambda value: value.bytes, reverse=True)[:NAMED]
    names = ", ".join([*(repr(value.name) for value in largest), *(["..."] if len(stay) > NAMED else [])])
    return (
        f"{counted} ({names}) stay to the end and hold {held} bytes, {least} with the graph's inputs and what the last "
        "node to run needs at least"
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
    from hcp.annealing import Annealer, Cooling

    schedule = keep_everything(graph)
    peak = replay(graph, schedule).peak
    if not ANNEALING.wait(Deadline(SECONDS)):
        return peak
    low = graph.index.least_bytes
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
                deadline=Deadline(SECONDS / ATTEMPTS / 2),
            )
            peak = min(peak, replay(graph, annealer.schedule(found.least)).peak)
    return peak
