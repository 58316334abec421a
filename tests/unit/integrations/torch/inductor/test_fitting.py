"""Plans whose compiled programs keep a budget, with a stand-in for the compiler that says what programs take."""

import random

import pytest

pytest.importorskip("torch")

from hcp import keep_everything, replay
from hcp.feasibility import smallest_known
from hcp.graph.errors import HcpError
from hcp.graph.instances import training_chain, unet
from hcp.integrations.request import Request
from hcp.integrations.torch.inductor import fitting as module
from hcp.integrations.torch.inductor.fitting import ATTEMPTS, UNUSED, Fitting
from tests.effort import examples

GRAPH = unet(12, 3)
WHOLE = replay(GRAPH, keep_everything(GRAPH)).peak
ALLOWED = WHOLE * 7 // 10
TINY = training_chain(3)
SMALLEST = smallest_known(TINY)


def fitting(measure, allowed=ALLOWED, *, graph=GRAPH, **options):
    request = Request(**{"budget": allowed, "solver": "eviction", "cache": False, "quiet": True} | options)
    return Fitting(graph, request, allowed, measure)


def test_a_program_that_takes_what_was_planned_is_the_only_one():
    search = fitting(lambda plan: plan.peak)
    found = search.run()
    assert search.tried == [found]
    assert ALLOWED * (1 - UNUSED) <= found.measured_bytes <= ALLOWED


def test_programs_that_take_more_are_planned_for_less():
    search = fitting(lambda plan: plan.peak * 5 // 4)
    found = search.run()
    assert search.tried[0].measured_bytes > ALLOWED
    assert found.measured_bytes <= ALLOWED
    assert found.peak < search.tried[0].peak


def test_programs_that_take_less_are_planned_for_more():
    search = fitting(lambda plan: plan.peak * 4 // 5)
    found = search.run()
    assert found.cost < search.tried[0].cost
    assert search.tried[0].measured_bytes < found.measured_bytes <= ALLOWED


def test_nothing_is_cheaper_than_everything_once():
    search = fitting(lambda plan: plan.peak // 2, 2 * WHOLE)
    found = search.run()
    assert search.tried == [found]
    assert found.cost == GRAPH.base_cost


@pytest.mark.parametrize("seed", range(examples(40)))
def test_never_over_what_is_allowed_and_the_cheapest_that_was_tried(seed):
    """However programs differ from their plans."""
    draw = random.Random(seed)
    allowed = int(WHOLE * draw.uniform(0.5, 1.1))
    measured = {}

    def measure(plan):
        return measured.setdefault(plan.schedule, int(plan.peak * draw.uniform(0.7, 1.3)))

    search = fitting(measure, allowed)
    found = search.run()
    assert 1 <= len(search.tried) <= ATTEMPTS
    assert len({each.plan.schedule.computes for each in search.tried}) == len(search.tried)
    fit = [each for each in search.tried if each.measured_bytes <= allowed]
    if found is None:
        assert fit == []
        return
    assert found.measured_bytes == measured[found.plan.schedule] <= allowed
    assert found.cost == min(each.cost for each in fit)
    assert search.best is found


def test_none_where_no_program_fits():
    search = fitting(lambda plan: plan.peak + WHOLE)
    assert search.run() is None
    # As low as is known to go.
    assert min(each.peak for each in search.tried) < ALLOWED


def test_compiled_programs_can_take_less_than_any_plan():
    search = fitting(lambda plan: plan.peak // 8, SMALLEST // 4, solver="exhaustive", graph=TINY)
    found = search.run()
    assert found.peak == SMALLEST
    assert found.measured_bytes <= SMALLEST // 4


def test_a_budget_below_every_plan_is_told_as_the_user_gave_it():
    search = fitting(lambda plan: plan.peak, SMALLEST // 4, solver="exhaustive", graph=TINY)
    assert search.run() is None
    assert [each.peak for each in search.tried] == [SMALLEST]

    def fails(problem):
        raise HcpError(f"none within {problem.budget}")

    with pytest.raises(HcpError, match="none within 300000"):
        fitting(lambda plan: plan.peak, 300_000, solver=fails).run()


def test_what_cannot_be_measured_is_planned_once():
    search = fitting(lambda _: None)
    found = search.run()
    assert search.tried == [found]
    assert found.measured_bytes is None
    assert found.peak <= ALLOWED


def test_what_programs_are_known_to_take_more_is_left_free():
    search = fitting(lambda plan: plan.peak + WHOLE // 10)
    search.offset = WHOLE // 10
    found = search.run()
    assert search.tried == [found]
    assert found.peak <= ALLOWED - WHOLE // 10


class Slow:
    """Says that it took all of its time, without taking it."""

    def __init__(self):
        self.limits = []

    def find(self, problem, request, **_):
        self.limits.append(request.time_limit)
        found = FIND(problem, request)
        object.__setattr__(found.plan, "seconds", request.time_limit)
        return found


FIND = module.find_plan


def test_planning_ends_with_its_time(monkeypatch):
    slow = Slow()
    monkeypatch.setattr(module, "find_plan", slow.find)
    growing = iter(range(10, 100))
    # Every program takes more of its plan than the last, so that it goes on as long as it may.
    search = fitting(lambda plan: plan.peak * 8 // next(growing), time_limit=8.0)
    assert search.run() is not None
    assert slow.limits[0] == 4.0
    assert sum(slow.limits) <= 8.0 + slow.limits[-1]
    slow.limits.clear()
    fitting(lambda plan: plan.peak // 2, time_limit=0.5).run()
    assert slow.limits == [0.5]


def test_where_nothing_fits_yet_it_goes_on(monkeypatch):
    slow = Slow()
    monkeypatch.setattr(module, "find_plan", slow.find)
    takes = iter([2 * WHOLE // 10, WHOLE // 10])
    search = fitting(lambda plan: plan.peak + next(takes, 0), time_limit=0.5)
    assert search.run() is not None
    assert len(slow.limits) > 1


def test_a_plan_that_fits_is_where_the_next_one_starts(monkeypatch):
    started = []

    def find(problem, request, incumbent, **_):
        started.append(incumbent)
        return FIND(problem, request)

    monkeypatch.setattr(module, "find_plan", find)
    search = fitting(lambda plan: plan.peak * 4 // 5)
    search.run()
    assert started[:2] == [None, search.tried[0].plan.schedule]
