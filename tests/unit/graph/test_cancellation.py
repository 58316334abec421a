"""Work that nobody waits for is given up."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from hcp.graph.cancellation import TICK_EVERY, Cancelled, cancelled_when, tick, ticking
from hcp.graph.instances import training_chain
from hcp.heuristics.recompute_all import RecomputeAll
from hcp.planning.problem import Limits, Problem
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay


def test_ticks_end_what_nobody_waits_for():
    tick()
    left = [5]

    def over():
        left[0] -= 1
        return left[0] < 0

    with cancelled_when(over):
        for _ in range(5):
            tick()
        with pytest.raises(Cancelled):
            tick()
    assert left == [-1]
    tick()


@pytest.mark.parametrize(
    "work",
    [
        lambda graph: RecomputeAll()(Problem(graph, 1), Limits(time_limit=math.inf)).schedule,
        lambda graph: Schedule.from_computes(graph, graph.order * 5_000),
        lambda graph: replay(graph, keep_everything(graph)),
    ],
)
def test_long_work_ticks(work):
    """A limit that is over from the beginning ends it at once, however long it would take."""
    graph = training_chain(20)
    ticks = []

    def count():
        ticks.append(1)
        return False

    with cancelled_when(count):
        work(graph)
    assert ticks
    with pytest.raises(Cancelled), cancelled_when(lambda: True):
        Schedule.from_computes(graph, graph.order)


def test_a_scope_inside_another_ends_with_either():
    over = {"outer": False, "inner": False}
    with cancelled_when(lambda: over["outer"]):
        with cancelled_when(lambda: over["inner"]):
            tick()
            over["outer"] = True
            with pytest.raises(Cancelled):
                tick()
            over.update(outer=False, inner=True)
            with pytest.raises(Cancelled):
                tick()
        # The inner limit ends with its scope.
        tick()


def test_items_come_as_they_are_with_a_tick_now_and_then():
    ticks = []
    with cancelled_when(lambda: ticks.append(1)):
        assert list(ticking(range(2 * TICK_EVERY))) == list(range(2 * TICK_EVERY))
    assert len(ticks) == 2


def test_other_threads_have_scopes_of_their_own():
    with cancelled_when(lambda: True), ThreadPoolExecutor(1) as pool:
        pool.submit(tick).result()
