"""Every segment strategy on random graphs against the oracle, and on chains against the published counts."""

import pytest
from hypothesis import given, settings

from hcp.graph.instances import instance, training_chain
from hcp.heuristics.chen_greedy import ChenGreedy
from hcp.heuristics.interval_tree import IntervalTree
from hcp.heuristics.keep_all import KeepAll
from hcp.heuristics.segments import geometric
from hcp.heuristics.sqrt_n import SqrtN
from hcp.planning.problem import Control, Limits, Problem
from hcp.planning.solution import Status
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.exhaustive import Exhaustive
from tests.effort import examples
from tests.strategies import problems

PLANNERS = [KeepAll(), SqrtN(), ChenGreedy(), IntervalTree(), SqrtN(segments=3), ChenGreedy(5), IntervalTree(blocks=4)]
SEARCHING = [SqrtN(), ChenGreedy(), IntervalTree()]


@settings(max_examples=examples(400), deadline=None)
@given(problems())
def test_schedules_are_legal_within_budget_and_no_cheaper_than_the_optimum(drawn):
    graph, budget = drawn
    problem = Problem(graph, budget)
    oracle = Exhaustive()(problem)
    for planner in PLANNERS:
        solution = planner(problem)
        if solution.schedule is None:
            assert solution.status is Status.NO_SOLUTION
            assert "smallest peak reached" in solution.note
            continue
        usage = replay(graph, solution.schedule)
        assert usage.peak <= budget
        assert oracle.status is Status.OPTIMAL
        assert usage.cost >= oracle.bounds[0].value
        assert solution.schedule.follows(graph.order)
        if solution.status is Status.OPTIMAL:
            assert usage.cost == oracle.bounds[0].value


@pytest.mark.parametrize("planner", PLANNERS, ids=repr)
def test_keep_everything_is_found_or_the_incumbent_kept(planner):
    graph = training_chain(12, uniform=False)
    keep = keep_everything(graph)
    problem = Problem(graph, replay(graph, keep).peak)
    found = planner(problem, Limits(), Control(incumbent=keep))
    assert replay(graph, found.schedule).cost == graph.base_cost


@pytest.mark.parametrize("planner", SEARCHING, ids=repr)
@pytest.mark.parametrize("name", ["training-chain:60", "residual-net:16", "unet:4", "transformer:6"])
def test_training_graphs_fit_well_under_the_keep_everything_peak(planner, name):
    graph = instance(name)
    peak = replay(graph, keep_everything(graph)).peak
    solution = planner(Problem(graph, peak * 65 // 100))
    assert solution.status is Status.FEASIBLE
    # One extra forward pass is a third of the cost; only interval trees go deeper.
    assert replay(graph, solution.schedule).cost < graph.base_cost * 1.5


def test_geometric():
    assert geometric(1, 1, 2.0) == [1]
    assert geometric(1, 9, 1.1) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert geometric(10, 100, 2.0) == [10, 20, 40, 80, 100]
