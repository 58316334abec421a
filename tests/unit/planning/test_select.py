"""Choosing among candidates: legal, within the budget, never worse than the incumbent."""

from hcp.graph.instances import chain, training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.problem import Problem
from hcp.planning.select import best_within, choose
from hcp.planning.solution import Status
from hcp.schedule.actions import Compute, Schedule, keep_everything
from hcp.schedule.replay import replay

GRAPH = training_chain(3)
KEEP = keep_everything(GRAPH)
PEAK = replay(GRAPH, KEEP).peak
# Recomputes the first node once.
DEARER = Schedule.from_computes(GRAPH, ("v0", "v0", *GRAPH.order[1:]))


def test_the_cheapest_that_fits_wins():
    assert best_within(Problem(GRAPH, PEAK), [DEARER, KEEP]).schedule == KEEP
    assert best_within(Problem(GRAPH, PEAK), []).schedule is None
    selection = best_within(Problem(GRAPH, PEAK - 1), [KEEP])
    assert selection.schedule is None
    assert selection.smallest_peak == PEAK


def test_illegal_candidates_are_passed_over():
    illegal = Schedule((Compute("v1"),))
    assert best_within(Problem(GRAPH, PEAK), [illegal, DEARER]).schedule == DEARER


def test_the_incumbent_is_a_candidate():
    assert best_within(Problem(GRAPH, PEAK, incumbent=KEEP), [DEARER]).schedule == KEEP
    assert best_within(Problem(GRAPH, PEAK, incumbent=DEARER), []).schedule == DEARER
    assert best_within(Problem(GRAPH, PEAK - 1, incumbent=KEEP), []).schedule is None


def test_a_fixed_order_binds_first_executions():
    graph = Graph((Node("a", outputs=(Value("x", 1),)), Node("b", outputs=(Value("y", 1),))))
    turned = Schedule.from_computes(graph, "ba")
    assert best_within(Problem(graph, 9), [turned]).schedule == turned
    assert best_within(Problem(graph, 9, order=("a", "b")), [turned]).schedule is None
    assert Schedule.from_computes(graph, "aba").follows(("a", "b"))
    assert not turned.follows(("a", "b"))


def test_interrupted_choices_keep_what_they_have():
    def candidates():
        yield DEARER
        raise KeyboardInterrupt

    selection = best_within(Problem(GRAPH, PEAK), candidates())
    assert selection.schedule == DEARER
    assert selection.interrupted
    assert best_within(Problem(GRAPH, PEAK, time_limit=0.0), [DEARER, KEEP]).schedule == DEARER


def test_solutions_say_what_was_reached():
    assert choose(Problem(GRAPH, PEAK), "p", [DEARER]).status is Status.FEASIBLE
    assert choose(Problem(GRAPH, PEAK), "p", [KEEP]).status is Status.OPTIMAL
    missed = choose(Problem(GRAPH, PEAK - 1), "p", [KEEP])
    assert missed.status is Status.NO_SOLUTION
    assert f"smallest peak reached: {PEAK} bytes" in missed.note
    assert choose(Problem(chain(2), 1), "p", []).note == "no legal schedule found"
    assert [point.incumbent for point in choose(Problem(GRAPH, PEAK), "p", [DEARER, KEEP]).trace] == [10, 9]
