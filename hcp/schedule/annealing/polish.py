"""The cool anneal that repairs schedules lifted from a relaxation."""

import math
import time
from typing import Final

from hcp.graph.errors import HcpError
from hcp.schedule.actions import Schedule
from hcp.schedule.annealing.engine import Annealer, Cooling
from hcp.schedule.replay import replay
from hcp.schedule.solution import Problem

MOVES: Final = 300_000


def polish(
    problem: Problem,
    start: Schedule,
    *,
    temperature: tuple[float, float] = (3e-5, 3e-6),
    penalty: tuple[float, float] = (1.0, 1000.0),
    moves: int = MOVES,
    seed: int = 0,
    deadline: float = math.inf,
) -> Schedule | None:
    """Makes a schedule fit the budget and cheaper, keeping to its neighbourhood: hotter runs lose its structure.

    Args:
        problem: Gives the graph, the budget and the order, if first executions must follow one.
        start: A legal schedule that may break the budget by some percent; its own frees are not kept.
        temperature: First and last, in units of the cost of running every node once.
        penalty: First and last weight of the area over the budget.
        moves: Moves to make; fewer where the deadline comes first.
        seed: Of the random numbers.
        deadline: By ``time.perf_counter``.

    Returns:
        The cheapest schedule within the budget that was met, the start included; None where none was.

    Raises:
        HcpError: If moves is negative, or temperatures or penalties are not above zero.
        ScheduleError: If the start is illegal.
    """
    if moves < 0:
        raise HcpError(f"moves is {moves}; give zero or more")
    graph = problem.graph
    given = Schedule.from_computes(graph, start.computes)
    replay(graph, given)
    annealer = Annealer(graph, problem.budget, problem.order)
    outcome = annealer.run(
        annealer.indices(start.computes),
        Cooling(temperature, penalty),
        moves=moves,
        seed=seed,
        deadline=max(deadline, time.perf_counter()),
    )
    return None if outcome.within is None else annealer.schedule(outcome.within)
