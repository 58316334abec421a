"""The annealing planner: schedules judged by replay, against the oracle, repeatable, and interruptible."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.errors import HcpError
from hcp.graph.instances import instance
from hcp.graph.random_graphs import random_layered
from hcp.heuristics.anneal import Anneal
from hcp.planning.problem import Control, Limits, Problem
from hcp.planning.solution import Status
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.exhaustive import Exhaustive
from tests.effort import examples
from tests.strategies import problems

QUICK = Anneal(moves=4_000)


def tight_problem(share=0.8, order=None):
    graph = random_layered(40, 3)
    return Problem(graph, int(replay(graph, keep_everything(graph)).peak * share), order)


@settings(max_examples=examples(300), deadline=None)
@given(problems(), st.booleans())
def test_schedules_are_legal_within_budget_and_no_cheaper_than_the_optimum(drawn, ordered):
    graph, budget = drawn
    problem = Problem(graph, budget, order=graph.order if ordered else None)
    solution = QUICK(problem)
    oracle = Exhaustive()(problem)
    if solution.schedule is None:
        assert solution.status is Status.NO_SOLUTION
        assert str(budget) in solution.note
        return
    usage = replay(graph, solution.schedule)
    assert usage.peak <= budget
    assert oracle.schedule is not None
    assert usage.cost >= replay(graph, oracle.schedule).cost
    if ordered:
        assert solution.schedule.follows(graph.order)
    assert (solution.status is Status.OPTIMAL) == (usage.cost == graph.base_cost)


@settings(max_examples=examples(60), deadline=None)
@given(problems())
def test_never_worse_than_an_incumbent_within_budget(drawn):
    graph, budget = drawn
    oracle = Exhaustive()(Problem(graph, budget))
    if oracle.schedule is None:
        return
    best = replay(graph, oracle.schedule).cost
    solution = Anneal(moves=50)(Problem(graph, budget), Limits(), Control(incumbent=oracle.schedule))
    assert replay(graph, solution.schedule).cost == best


def test_an_incumbent_over_the_budget_is_only_a_start():
    problem = tight_problem()
    solution = Anneal(moves=40_000)(problem, Limits(), Control(incumbent=keep_everything(problem.graph)))
    assert replay(problem.graph, solution.schedule).peak <= problem.budget


def test_an_incumbent_that_breaks_the_fixed_order_is_not_returned():
    graph = random_layered(40, 3)
    swapped = Anneal(moves=60_000)(tight_problem(share=0.9)).schedule
    assert not swapped.follows(graph.order)
    solution = Anneal(moves=50_000)(tight_problem(0.9, graph.order), Limits(), Control(incumbent=swapped))
    assert solution.schedule is None or solution.schedule.follows(graph.order)


def test_same_seed_and_moves_give_the_same_schedule():
    runs = [Anneal(moves=30_000)(tight_problem(), Limits(seed=seed)).schedule for seed in (5, 5)]
    assert runs[0] == runs[1]


def test_reordering_alone_meets_the_budget_and_is_proved_optimal():
    problem = tight_problem(share=0.9)
    solution = Anneal(moves=60_000)(problem)
    assert solution.status is Status.OPTIMAL
    assert replay(problem.graph, solution.schedule).cost == problem.graph.base_cost


def test_chains_are_planned_close_to_their_optimum():
    graph = instance("training-chain:8")
    problem = Problem(graph, int(replay(graph, keep_everything(graph)).peak * 0.6))
    solution = Anneal(moves=60_000)(problem)
    assert replay(graph, solution.schedule).peak <= problem.budget


def test_nothing_within_the_budget_names_the_smallest_peak():
    problem = Problem(random_layered(20, 1), 1)
    solution = QUICK(problem)
    assert solution.schedule is None
    assert solution.status is Status.NO_SOLUTION
    assert "smallest peak" in solution.note


def test_a_request_to_stop_returns_the_best_so_far():
    found = threading.Event()

    def note(progress):
        if progress.incumbent is not None:
            found.set()

    problem = tight_problem(share=0.8)
    solution = Anneal(moves=10**7)(problem, Limits(), Control(found.is_set, note))
    assert replay(problem.graph, solution.schedule).peak <= problem.budget
    assert solution.interrupted


def test_a_request_to_stop_before_anything_is_found():
    solution = Anneal()(tight_problem(share=0.5), Limits(), Control(lambda: True))
    assert solution.status is Status.NO_SOLUTION


def test_time_limit_ends_the_search_without_a_limit_on_moves():
    assert Anneal()(tight_problem(share=0.8), Limits(time_limit=0.3)).status in {Status.FEASIBLE, Status.OPTIMAL}


def test_trace_falls():
    costs = [point.incumbent for point in Anneal(moves=50_000)(tight_problem(share=0.8)).trace]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("moves", [0, -1, 1.5, True, "many"])
def test_bad_moves_are_refused(moves):
    with pytest.raises(HcpError, match="moves"):
        Anneal(moves=moves)


def test_illegal_incumbents_are_refused():
    graph = tight_problem().graph
    with pytest.raises(HcpError):
        QUICK(tight_problem(), Limits(), Control(incumbent=Schedule.from_computes(graph, graph.order[::-1])))
