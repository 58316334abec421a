"""Choosing among candidate schedules: the cheapest that fits, judged by replay alone."""

from collections.abc import Iterable

from hcp.planning.solution import TIMED_OUT, Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule


def choose(tracker: Tracker, candidates: Iterable[Schedule]) -> Solution:
    """Judges candidates by replay until they or the time end, a stop is requested, or nothing can be cheaper.

    The incumbent is the first candidate, so the choice is never worse than it. Illegal candidates, and those that break
    an order that the problem fixes, are passed over; among equally cheap ones the smaller peak is better.
    """
    return tracker.run(lambda _: _chosen(tracker, candidates))


def _chosen(tracker: Tracker, candidates: Iterable[Schedule]) -> Solution:
    count = 0
    for count, schedule in enumerate(candidates, 1):
        tracker.offer(schedule)
        if tracker.done:
            break
        tracker.report(f"schedule {count}")
        if tracker.deadline.over:
            return tracker.solution(TIMED_OUT)
    # A search without candidates says so, unless it found that all there are break the budget.
    none = "no legal schedule found" if tracker.schedule is None and tracker.smallest_peak is None else ""
    return tracker.solution(none)
