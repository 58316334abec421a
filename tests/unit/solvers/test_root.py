"""The first bounds of every order-free search, against the oracle; and planner ``lp``, which ends with them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import instance
from hcp.graph.random_graphs import random_layered
from hcp.planning.deadline import Deadline
from hcp.planning.problem import DEFAULT_CONTROL, Limits, Problem
from hcp.planning.solution import Status
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.conflicts.bound import conflict_bound
from hcp.solvers.cut_relaxation.relaxation import RelaxationParams
from hcp.solvers.exhaustive import Exhaustive, least_peak
from hcp.solvers.lp import Lp
from hcp.solvers.models.highs import LinearProgram
from hcp.solvers.root import RootParams, first_bound, solve_root
from tests.effort import examples
from tests.strategies import problems


@settings(max_examples=examples(100), deadline=None)
@given(problems(max_nodes=7), st.booleans(), st.sampled_from((0, 0.25, 1)))
def test_bounds_hold_and_infeasibility_is_proved(drawn, shrink, share):
    graph, budget = drawn
    problem = Problem(graph, max(1, budget - 2) if shrink else budget)
    solution = Lp(RootParams(conflict_share=share))(problem, Limits(20))
    least = least_peak(graph)
    assert solution.schedule is None
    for bound in solution.bounds:
        assert bound.scope == ORDER_FREE
        if bound.of == "peak":
            assert problem.budget < bound.value <= least
    if solution.status is Status.INFEASIBLE:
        assert problem.budget < least
    elif problem.budget >= least:
        optimum = replay(graph, Exhaustive()(problem).schedule).cost
        assert all(bound.value <= optimum for bound in solution.bounds if bound.of == "cost")


def root_of(name, percent, params=RootParams()):  # noqa: B008 - frozen
    graph = instance(name)
    budget = replay(graph, keep_everything(graph)).peak * percent // 100
    tracker = Tracker(Problem(graph, budget), Limits(30), DEFAULT_CONTROL, "test")
    return solve_root(tracker, 30, params), tracker


def test_what_is_left_is_a_relaxation_to_go_on_from():
    root, tracker = root_of("transformer:2", 60)
    assert root.infeasibility is None
    assert root.note == ""
    assert root.relaxation.bound in tracker.bounds


def test_no_schedule_is_said_with_its_proof():
    root, _ = root_of("unet:3", 20)
    assert root.relaxation is None
    bound = root.infeasibility
    assert bound.of == "peak"
    assert str(bound.value) in root.note or f"{bound.value:,}" in root.note


@pytest.mark.parametrize("seconds", [0.0])
def test_no_time_leaves_nothing_that_is_not_proved(seconds):
    graph = instance("transformer:2")
    tracker = Tracker(Problem(graph, 10**7), Limits(30), DEFAULT_CONTROL, "test")
    root = solve_root(tracker, seconds, RootParams())
    assert root.infeasibility is None
    for bound in tracker.bounds:
        assert bound.certificate is None or bound.certificate.proven(graph, 10**7) == bound.value


def test_conflicts_are_taken_further_where_the_cut_relaxation_says_nothing():
    graph = random_layered(40, 1)
    budget = replay(graph, keep_everything(graph)).peak * 7 // 10
    solution = Lp()(Problem(graph, budget), Limits(30))
    assert {bound.source for bound in solution.bounds} >= {"conflict relaxation"}
    best = max(solution.bounds, key=lambda bound: bound.value)
    first = conflict_bound(graph, budget, Deadline(30), inputs=False)
    assert best.value > (graph.base_cost if first is None else first.value)
    assert best.certificate.proven(graph, budget) == best.value


def test_the_first_bound_is_certified():
    graph = instance("transformer:2")
    budget = replay(graph, keep_everything(graph)).peak * 3 // 5
    tracker = Tracker(Problem(graph, budget), Limits(30), DEFAULT_CONTROL, "test")
    first_bound(tracker, 30, RootParams())
    assert tracker.bound > graph.base_cost
    assert all(bound.certificate.proven(graph, budget) == bound.value for bound in tracker.bounds)


def test_a_first_program_that_is_stopped_proves_a_bound(monkeypatch):
    solve, graph = LinearProgram.solve, instance("transformer:3")
    monkeypatch.setattr(LinearProgram, "solve", lambda program, deadline: solve(program, deadline, 300))
    budget = replay(graph, keep_everything(graph)).peak * 3 // 5
    tracker = Tracker(Problem(graph, budget), Limits(30), DEFAULT_CONTROL, "test")
    first_bound(tracker, 30, RootParams(relaxation=RelaxationParams(stages=(70,))))
    assert tracker.bound > graph.base_cost
    assert all(bound.certificate.proven(graph, budget) == bound.value for bound in tracker.bounds)
