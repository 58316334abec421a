"""Choosing among candidates: legal, within the budget, never worse than the incumbent."""

from hcp.graph.cancellation import tick
from hcp.graph.instances import chain, training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.problem import Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import TIMED_OUT, Status
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Compute, Schedule, keep_everything
from hcp.schedule.replay import replay

GRAPH = training_chain(3)
KEEP = keep_everything(GRAPH)
PEAK = replay(GRAPH, KEEP).peak
# Recomputes the first node once.
DEARER = Schedule.from_computes(GRAPH, ("v0", "v0", *GRAPH.order[1:]))


def chosen(candidates, problem=None, limits=None, **control):
    problem = Problem(GRAPH, PEAK) if problem is None else problem
    return choose(Tracker(problem, limits or Limits(), Control(**control), "p"), candidates)


def test_the_cheapest_that_fits_wins():
    assert chosen([DEARER, KEEP]).schedule == KEEP
    assert chosen([]).schedule is None
    assert chosen([KEEP], Problem(GRAPH, PEAK - 1)).schedule is None


def test_illegal_candidates_are_passed_over():
    illegal = Schedule((Compute("v1"),))
    assert chosen([illegal, DEARER]).schedule == DEARER


def test_the_incumbent_is_a_candidate():
    assert chosen([DEARER], incumbent=KEEP).schedule == KEEP
    assert chosen([], incumbent=DEARER).schedule == DEARER
    assert chosen([], Problem(GRAPH, PEAK - 1), incumbent=KEEP).schedule is None


def test_a_fixed_order_binds_first_executions():
    graph = Graph((Node("a", outputs=(Value("x", 1),)), Node("b", outputs=(Value("y", 1),))))
    turned = Schedule.from_computes(graph, "ba")
    assert chosen([turned], Problem(graph, 9)).schedule == turned
    assert chosen([turned], Problem(graph, 9, order=("a", "b"))).schedule is None
    assert Schedule.from_computes(graph, "aba").follows(("a", "b"))
    assert not turned.follows(("a", "b"))


def test_who_is_asked_to_stop_keeps_what_there_is():
    asked = []

    def candidates():
        yield DEARER
        asked.append(True)
        yield DEARER
        raise AssertionError("went on")

    found = chosen(candidates(), stop=lambda: bool(asked))
    assert found.schedule == DEARER
    assert found.interrupted
    assert "stopped by the user" in found.note


def test_the_time_limit_holds_between_candidates_and_inside_them():
    found = chosen([DEARER, KEEP], limits=Limits(time_limit=1e-9))
    assert (found.schedule, found.note) == (DEARER, TIMED_OUT)

    def candidates():
        yield DEARER
        while True:
            tick()

    found = chosen(candidates(), limits=Limits(time_limit=0.01))
    assert (found.schedule, found.note) == (DEARER, TIMED_OUT)


def test_candidates_are_counted_for_whoever_follows():
    phases = []
    chosen([DEARER, DEARER], monitor=lambda progress: phases.append((progress.planner, progress.phase)))
    assert phases == [("p", "schedule 1"), ("p", "schedule 2")]


def test_solutions_say_what_was_reached():
    assert chosen([DEARER]).status is Status.FEASIBLE
    assert chosen([KEEP]).status is Status.OPTIMAL
    missed = chosen([KEEP], Problem(GRAPH, PEAK - 1))
    assert missed.status is Status.NO_SOLUTION
    assert f"smallest peak reached: {PEAK} bytes, over the budget of {PEAK - 1}" in missed.note
    assert chosen([], Problem(chain(2), 1)).note == "no legal schedule found"
    assert [point.incumbent for point in chosen([DEARER, KEEP]).trace] == [10, 9]
