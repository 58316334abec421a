"""First incumbents for the exact solvers."""

from typing import Final

from hcp.annealing import Annealer, Cooling
from hcp.annealing.engine import MOVES_PER_UNIT
from hcp.planning.compilation import ANNEALING
from hcp.planning.problem import Problem
from hcp.planning.tracker import Tracker

MOVES: Final = 300_000
# Of the time that is left.
SHARE: Final = 0.1


def first_incumbent(tracker: Tracker, problem: Problem) -> None:
    """A short anneal from the greedy eviction along the problem's order; nothing while the search is compiled."""
    if not ANNEALING.ready():
        return
    tracker.report("annealing a first incumbent")
    annealer = Annealer(problem.graph, problem.budget, problem.order)
    start = annealer.evicted(annealer.indices(problem.given_order))
    tracker.offer(annealer.schedule(start))
    deadline = tracker.deadline.part(tracker.deadline.left * SHARE)
    outcome = annealer.run(start, Cooling(), moves=MOVES, seed=tracker.limits.seed, deadline=deadline)
    deadline.spend(outcome.moves / MOVES_PER_UNIT)
    tracker.offer(annealer.schedule(outcome.least))
