"""Limits, requests to stop, deadlines and cancelled work."""

import math
import signal
import threading

import pytest

import hcp
from hcp.graph.errors import HcpError
from hcp.graph.instances import instance, training_chain, unet
from hcp.planners import planner_named
from hcp.planning.deadline import GRACE_SECONDS, GRACE_SHARE, Deadline, WorkClock
from hcp.planning.interrupts import stop_on_interrupt
from hcp.planning.planner import ask
from hcp.planning.problem import Control, Limits, Problem


def test_a_part_ends_no_later_than_the_whole():
    clock = WorkClock()
    whole = Deadline(10, clock=clock)
    part = whole.part(100)
    assert part.left == 10
    clock.spend(4)
    assert (whole.left, part.left, whole.part(3).left) == (6, 6, 3)
    clock.spend(6)
    assert whole.over
    assert part.over


def test_a_request_to_stop_leaves_nothing():
    asked = threading.Event()
    whole = Deadline(math.inf, asked.is_set)
    part = whole.part(math.inf)
    assert not part.over
    asked.set()
    assert whole.over
    assert part.over
    # What was asked for once stays so.
    asked.clear()
    assert part.stopped


@pytest.mark.parametrize(("name", "value"), [("time_limit", 0), ("time_limit", math.nan), ("work_limit", -1)])
def test_limits_that_are_none_are_refused(name, value):
    with pytest.raises(HcpError, match=f"{name.replace('_', ' ')} {value} is not positive"):
        Limits(**{name: value})


class Looks(WorkClock):
    """A clock that a look at it moves on."""

    looks = 0

    @property
    def now(self):
        self.looks += 1
        return float(self.looks)


@pytest.mark.parametrize("solver", [name for name in hcp.PLANNERS if name != "exhaustive"])
def test_every_planner_ends_soon_after_its_limit(solver):
    """Each would go on far longer here; what it does is bounded by how often it may look at the clock."""
    graph, clock, most = training_chain(1_500), Looks(), 100
    try:
        solution = ask(planner_named(solver), Problem(graph, 450), Limits(600, work_limit=most, clock=clock), Control())
    except hcp.NotApplicable:
        return
    # A limit, what finishing may take beyond it, and the look that is one too many.
    assert clock.looks <= most * (1 + GRACE_SHARE) + GRACE_SECONDS + 5
    assert solution.status in (hcp.Status.NO_SOLUTION, hcp.Status.FEASIBLE)


def test_a_search_that_never_looks_at_the_clock_ends_at_its_limit():
    """Recomputing everything of a chain of 5,000 nodes would run twelve million nodes."""
    plan = hcp.solve(training_chain(5_000), "30%", "recompute_all", time_limit=0.05)
    assert plan.schedule is None
    assert plan.note == "stopped at the limit of time or work"


@pytest.fixture
def python_handler():
    """Python's own handler, which a program that was started in the background does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_handler")
def test_ctrl_c_is_a_request_once():
    with stop_on_interrupt() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_programs_own_handler_stays():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with stop_on_interrupt() as stop:
            signal.raise_signal(signal.SIGINT)
            assert not stop()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [1]


def test_planners_may_take_the_problem_alone():
    problem = Problem(unet(1), 10**6)
    taken = []

    def plain(problem):
        taken.append(problem)
        return hcp.Solution(None, hcp.Status.NO_SOLUTION)

    def whole(*arguments):
        taken.append(arguments)
        return hcp.Solution(None, hcp.Status.NO_SOLUTION)

    limits, control = Limits(), Control()
    ask(plain, problem, limits, control)
    ask(whole, problem, limits, control)
    assert taken == [problem, (problem, limits, control)]


@pytest.mark.parametrize("solver", [name for name in hcp.PLANNERS if name not in ("exhaustive", "treewidth")])
def test_the_same_work_gives_the_same_plan_however_many_threads(solver):
    graph = instance("unet:2")

    def plan(workers):
        return hcp.solve(graph, "70%", solver, time_limit=300, work_limit=1, seed=3, workers=workers)

    try:
        first, second = plan(1), plan(4)
    except hcp.NotApplicable:
        return
    assert first.schedule == second.schedule
    assert [(b.value, b.scope) for b in first.bounds] == [(b.value, b.scope) for b in second.bounds]
