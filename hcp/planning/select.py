"""Choosing among candidate schedules: the cheapest that fits, judged by replay alone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import perf_counter

from hcp.planning.problem import Problem
from hcp.planning.solution import INTERRUPTED, Solution, Status, TracePoint
from hcp.schedule.actions import Schedule, ScheduleError
from hcp.schedule.replay import Usage, replay


@dataclass(frozen=True)
class Selection:
    """The outcome of a choice.

    Attributes:
        schedule: The cheapest legal candidate within the budget, the smaller peak first among equals; or None.
        usage: What it costs.
        smallest_peak: Least peak among all legal candidates, within the budget or not; None where there were none.
        trace: The incumbent's cost over time.
        ended_early: Whether Ctrl-C or the time limit ended the choice early.
        interrupted: Whether it was Ctrl-C.
    """

    schedule: Schedule | None = None
    usage: Usage | None = None
    smallest_peak: int | None = None
    trace: tuple[TracePoint, ...] = ()
    ended_early: bool = False
    interrupted: bool = False


def best_within(problem: Problem, candidates: Iterable[Schedule]) -> Selection:
    """Judges candidates by replay until they, the time or the user's patience end.

    The problem's incumbent is the first candidate, so the choice is never worse than it. Illegal candidates, and
    those that break an order that the problem fixes, are passed over.
    """
    start = perf_counter()
    best = Selection()
    try:
        for schedule in _with_incumbent(problem, candidates):
            try:
                usage = replay(problem.graph, schedule)
            except ScheduleError:
                continue
            if problem.order is not None and not schedule.follows(problem.order):
                continue
            best = _better(problem, best, schedule, usage, perf_counter() - start)
            # Nothing costs less than running every node once.
            if best.usage is not None and best.usage.cost == problem.graph.base_cost:
                break
            if perf_counter() - start > problem.time_limit:
                return replace(best, ended_early=True)
    except KeyboardInterrupt:
        return replace(best, ended_early=True, interrupted=True)
    return best


def as_solution(problem: Problem, planner: str, selection: Selection, seconds: float) -> Solution:
    """What a heuristic returns: its choice; optimal where nothing is recomputed, which nothing can cost less than."""
    if selection.usage is None:
        status = Status.NO_SOLUTION
        note = "no legal schedule found"
        if selection.smallest_peak is not None:
            note = f"smallest peak reached: {selection.smallest_peak} bytes, over the budget of {problem.budget}"
    else:
        status = Status.OPTIMAL if selection.usage.cost == problem.graph.base_cost else Status.FEASIBLE
        note = ""
    if selection.ended_early:
        early = INTERRUPTED if selection.interrupted else "stopped at the time limit"
        note = f"{note}; {early}".removeprefix("; ")
    return Solution(selection.schedule, status, (), planner, seconds, selection.trace, note, selection.interrupted)


def choose(problem: Problem, planner: str, candidates: Iterable[Schedule]) -> Solution:
    """``best_within`` and ``as_solution`` in one step."""
    start = perf_counter()
    selection = best_within(problem, candidates)
    return as_solution(problem, planner, selection, perf_counter() - start)


def _with_incumbent(problem: Problem, candidates: Iterable[Schedule]) -> Iterable[Schedule]:
    if problem.incumbent is not None:
        yield problem.incumbent
    yield from candidates


def _better(problem: Problem, best: Selection, schedule: Schedule, usage: Usage, seconds: float) -> Selection:
    smallest = usage.peak if best.smallest_peak is None else min(best.smallest_peak, usage.peak)
    improves = usage.peak <= problem.budget and (
        best.usage is None or (usage.cost, usage.peak) < (best.usage.cost, best.usage.peak)
    )
    if not improves:
        return Selection(best.schedule, best.usage, smallest, best.trace)
    point = TracePoint(seconds, usage.cost, problem.graph.base_cost)
    return Selection(schedule, usage, smallest, (*best.trace, point))
