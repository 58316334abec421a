"""Budgets that no schedule can meet: the proof, and the smallest budget known to work."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hcp.graph.cancellation import Cancelled
from hcp.graph.ir import Graph
from hcp.planning.compilation import ANNEALING
from hcp.planning.deadline import Deadline
from hcp.planning.floor import floor_bound
from hcp.planning.problem import InfeasibleBudget, Problem
from hcp.planning.solution import Bound, Solution
from hcp.schedule.replay import keep_everything_usage, replay

# How long an error may look for a budget that works.
SECONDS: Final = 6.0
ATTEMPTS: Final = 4
MOVES: Final = 200_000
# Of the values that stay to the end, how many an error names.
NAMED: Final = 3


def check_budget(problem: Problem, seconds: float = SECONDS) -> None:
    """Refuses a budget below what every schedule holds at some time; ``GraphIndex.least_bytes`` has the proof.

    Args:
        problem: What is asked for.
        seconds: For the search for a budget that works, which the error names.

    Raises:
        InfeasibleBudget: Names the node that needs more by itself, or the values that stay to the end, or both.
    """
    graph, budget = problem.graph, problem.budget
    if graph.index.least_bytes <= budget:
        return
    raise _infeasible(problem, floor_proof(graph, budget), seconds, floor_bound(graph))


def floor_proof(graph: Graph, budget: int) -> str:
    """Why every schedule holds more than a budget at some time, in words; empty where the floor does not say so."""
    proofs = (_node_alone(graph, budget), _held_at_the_end(graph, budget))
    return "; ".join(proof for proof in proofs if proof)


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


def explain_infeasible(problem: Problem, solution: Solution, seconds: float = SECONDS) -> InfeasibleBudget:
    """The error for a budget that a planner proved too small; ``seconds`` as for ``check_budget``."""
    proofs = [each for each in solution.bounds if each.of == "peak" and each.value > problem.budget]
    strongest = max(proofs, key=lambda each: each.value, default=None)
    return _infeasible(problem, solution.note or f"proved by {solution.planner}", seconds, strongest)


def _infeasible(problem: Problem, proof: str, seconds: float, bound: Bound | None) -> InfeasibleBudget:
    return InfeasibleBudget(
        f"no schedule fits {problem.budget} bytes: {proof}; "
        f"the smallest budget known to work is {smallest_known(problem.graph, seconds)} bytes",
        bound,
    )


def smallest_known(graph: Graph, seconds: float = SECONDS) -> int:
    """The smallest peak among schedules found so far by annealing towards ever smaller budgets.

    Args:
        graph: The computation.
        seconds: For the search, ``SECONDS`` at most; one that was cut short goes on where the same graph comes again.
    """
    search = _search(graph)
    deadline = Deadline(min(seconds, SECONDS))
    with suppress(Cancelled), deadline.enforced():
        search.go_on(deadline)
    return search.peak


@dataclass
class _PeakSearch:
    """Anneals towards ever smaller budgets.

    Attributes:
        graph: The computation.
        peak: The smallest that was met.
        attempts: How many were made, of ``ATTEMPTS``.
    """

    graph: Graph
    peak: int
    attempts: int = 0

    def go_on(self, deadline: Deadline) -> None:
        """Makes the attempts that are left, until a deadline."""
        low = self.graph.index.least_bytes
        if not ANNEALING.wait(deadline):
            return
        while self.attempts < ATTEMPTS and self.peak > low and not deadline.over:
            self.attempt((low + self.peak) // 2, deadline.part(SECONDS / ATTEMPTS))
            self.attempts += 1

    def attempt(self, budget: int, deadline: Deadline) -> None:
        """Anneals towards one budget, from the order and from greedy eviction."""
        from hcp.annealing import Annealer, Cooling

        annealer = Annealer(self.graph, budget)
        order = annealer.indices(self.graph.order)
        for start in (order, annealer.evicted(order)):
            found = annealer.run(
                start,
                Cooling(temperature=(1e-2, 1e-4), penalty=(1.0, 1000.0)),
                moves=MOVES,
                seed=self.attempts,
                deadline=deadline.part(deadline.limit / 2),
            )
            self.peak = min(self.peak, replay(self.graph, annealer.schedule(found.least)).peak)


# A comparison asks for the same graph once a planner.
@lru_cache(maxsize=16)
def _search(graph: Graph) -> _PeakSearch:
    return _PeakSearch(graph, keep_everything_usage(graph).peak)
