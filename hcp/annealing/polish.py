"""The cool anneal that repairs schedules lifted from a relaxation."""

from dataclasses import dataclass, replace
from typing import Final

from hcp.annealing.engine import (
    DEFAULT_ENGINE,
    MOVES_PER_UNIT,
    RECOMPUTE_MIX,
    REORDER_MIX,
    Annealer,
    Cooling,
    EngineParams,
)
from hcp.graph.errors import HcpError
from hcp.planning.deadline import Deadline
from hcp.planning.parameters import Count, Params
from hcp.planning.problem import Problem
from hcp.planning.sequences import evaluate
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import replay

# A lifted schedule costs too little and breaks the budget, often by a third. A penalty that hardly counts at first lets
# it find the place in its cheap neighbourhood that breaks the budget least.
REPAIR: Final = Cooling((1e-5, 3e-6), (3e-4, 100.0), REORDER_MIX)
# From a schedule that about fits: too little heat to lose its structure.
NEARBY: Final = Cooling((3e-5, 3e-6), (1.0, 1000.0))


@dataclass(frozen=True)
class PolishParams(Params):
    """How lifted schedules are polished.

    Attributes:
        moves: Moves of one cool anneal.
        coolings: Of the anneals of a lifted schedule, in turn; an empty list leaves polishing out. The last one stays
            closest to the schedule.
    """

    moves: Count = 300_000
    coolings: tuple[Cooling, ...] = (REPAIR, replace(REPAIR, mix=RECOMPUTE_MIX), NEARBY)


def polish(
    problem: Problem,
    start: Schedule,
    *,
    cooling: Cooling = REPAIR,
    moves: int = PolishParams.moves,
    seed: int = 0,
    deadline: Deadline | None = None,
    params: EngineParams = DEFAULT_ENGINE,
) -> Schedule | None:
    """Makes a schedule fit the budget and cheaper, keeping to its neighbourhood: hotter runs lose its structure.

    Args:
        problem: Gives the graph, the budget and the order, if first executions must follow one.
        start: A legal schedule that may break the budget; its own frees are not kept.
        cooling: Temperatures, penalties and mix of moves.
        moves: Moves to make; fewer where the deadline comes first.
        seed: Of the random numbers.
        deadline: Of the moves; a limit in units of work is charged for them.
        params: Of the run.

    Returns:
        The cheapest schedule within the budget that was met, the start included; None where none was.

    Raises:
        HcpError: If moves is negative.
        ScheduleError: If the start is illegal.
    """
    if moves < 0:
        raise HcpError(f"moves is {moves}; give zero or more")
    graph = problem.graph
    annealer = Annealer(graph, problem.budget, problem.order, params)
    nodes = annealer.indices(start.computes)
    if evaluate(graph.index, nodes) is None:
        # Says what is wrong.
        replay(graph, Schedule.from_computes(graph, start.computes))
    outcome = annealer.run(nodes, cooling, moves=moves, seed=seed, deadline=deadline)
    if deadline is not None:
        deadline.spend(outcome.moves / MOVES_PER_UNIT)
    return None if outcome.within is None else annealer.schedule(outcome.within)
