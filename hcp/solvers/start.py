"""First incumbents for the exact solvers."""

from dataclasses import dataclass, field

from hcp.annealing import Annealer, Cooling, EngineParams
from hcp.annealing.engine import MOVES_PER_UNIT
from hcp.planning.compilation import ANNEALING
from hcp.planning.parameters import Count, Params, Share
from hcp.planning.problem import Problem
from hcp.planning.tracker import Tracker


@dataclass(frozen=True)
class StartParams(Params):
    """How the exact solvers come to a first incumbent.

    Attributes:
        share: Share of the remaining time that a short anneal takes at most; 0 leaves it out.
        moves: Moves of this anneal.
        cooling: Its temperatures, penalties and mix of moves.
    """

    share: Share = 0.1
    moves: Count = 300_000
    cooling: Cooling = field(default_factory=Cooling)


def first_incumbent(tracker: Tracker, problem: Problem, params: StartParams, engine: EngineParams) -> None:
    """A short anneal from the greedy eviction along the problem's order; nothing while the search is compiled."""
    if not params.share or not ANNEALING.ready():
        return
    tracker.report("annealing a first incumbent")
    annealer = Annealer(problem.graph, problem.budget, problem.order, engine)
    start = annealer.evicted(annealer.indices(problem.given_order))
    tracker.offer_sequence(start)
    deadline = tracker.deadline.part(tracker.deadline.left * params.share)
    seed = tracker.limits.seed
    outcome = annealer.run(start, params.cooling, moves=params.moves, seed=seed, deadline=deadline)
    deadline.spend(outcome.moves / MOVES_PER_UNIT)
    tracker.offer_sequence(outcome.least)
