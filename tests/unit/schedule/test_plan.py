"""Judged plans: gaps and their scopes, statuses, and the JSON object."""

import json

import pytest

import hcp
from hcp.graph.instances import training_chain
from hcp.schedule.actions import Compute, Schedule, ScheduleError, keep_everything
from hcp.schedule.plan import excess, judge
from hcp.schedule.solution import FIXED_ORDER, ORDER_FREE, Bound, Problem, Solution, Status
from hcp.schedule.tracker import Tracker

GRAPH = training_chain(3)  # keep-everything cost 9, peak 4
TWICE = Schedule.from_computes(GRAPH, ("v0", *GRAPH.order))  # cost 10


def judged(schedule, *bounds, budget=100, status=Status.FEASIBLE):
    return judge(Problem(GRAPH, budget), Solution(schedule, status, bounds, "test"))


def test_the_judge_alone_decides_cost_and_peak():
    plan = judged(TWICE)
    assert (plan.cost, plan.peak) == (10, hcp.replay(GRAPH, TWICE).peak)
    assert plan.overhead == pytest.approx(1 / 9)
    assert plan.base.peak == 4


def test_defective_planners_do_not_get_through():
    with pytest.raises(ScheduleError):
        judged(Schedule((Compute("v1"),)))
    with pytest.raises(RuntimeError, match="over the budget of 3"):
        judged(keep_everything(GRAPH), budget=3)


def test_gaps_keep_their_scopes_apart():
    plan = judged(TWICE, Bound(10, "cost", FIXED_ORDER), Bound(99, "peak", ORDER_FREE))
    assert plan.gap == pytest.approx(1 / 9)
    assert plan.gap_fixed_order == 0.0
    assert plan.gap_scope == "order-free"
    assert plan.status is Status.FEASIBLE
    assert judged(TWICE).gap_fixed_order is None
    # Order-free bounds hold for the fixed order as well.
    both = judged(TWICE, Bound(9, "cost", FIXED_ORDER), Bound(10, "cost", ORDER_FREE))
    assert both.gap == both.gap_fixed_order == 0.0


def test_meeting_an_order_free_bound_is_a_proof():
    assert judged(TWICE, Bound(10, "cost", ORDER_FREE)).status is Status.OPTIMAL
    assert judged(keep_everything(GRAPH)).status is Status.OPTIMAL
    assert judged(TWICE).status is Status.FEASIBLE


def test_a_claim_of_optimality_needs_a_bound_of_the_problems_scope():
    fixed = Bound(10, "cost", FIXED_ORDER)
    assert judged(TWICE, status=Status.OPTIMAL).status is Status.FEASIBLE
    assert judged(TWICE, fixed, status=Status.OPTIMAL).status is Status.FEASIBLE
    problem = Problem(GRAPH, 100, order=GRAPH.order)
    assert judge(problem, Solution(TWICE, Status.FEASIBLE, (fixed,), "test")).status is Status.OPTIMAL


@pytest.mark.parametrize(("order", "scope"), [(None, ORDER_FREE), (GRAPH.order, FIXED_ORDER)])
def test_what_a_solver_reported_before_it_was_stopped_is_among_the_bounds(order, scope):
    problem = Problem(GRAPH, 100, order=order, incumbent=TWICE)
    tracker = Tracker(problem, "test")
    tracker.add_bound(Bound(9, "cost", ORDER_FREE))
    assert len(tracker.solution().bounds) == 1
    tracker.raise_bound(10)
    for solution in (tracker.solution(), tracker.interrupted()):
        assert [(bound.value, bound.scope) for bound in solution.bounds] == [(9, ORDER_FREE), (10, scope)]
        plan = judge(problem, solution)
        assert plan.status is Status.OPTIMAL
        assert not plan.verified(solution.bounds[-1])


def test_every_plan_has_the_trivial_bound_with_a_certificate():
    plan = judged(None, status=Status.NO_SOLUTION)
    (bound,) = plan.bounds
    assert bound.value == 9
    assert plan.verified(bound)
    assert plan.cost is plan.peak is plan.overhead is plan.gap is None


def test_json_object():
    data = json.loads(json.dumps(judged(TWICE).to_dict()))
    assert data["computes"] == ["v0", *GRAPH.order]
    assert data["status"] == "FEASIBLE"
    assert data["bounds"][0]["certificate_verified"] is True
    assert (data["nodes"], data["base_cost"], data["base_peak"]) == (6, 9, 4)


def test_excess():
    assert excess(11, 10) == pytest.approx(0.1)
    assert excess(0, 0) == 0.0
    assert excess(1, 0) == float("inf")


def test_solve_refuses_what_it_should():
    with pytest.raises(hcp.UnknownSolver, match="choose one of auto"):
        hcp.solve(GRAPH, "80%", "gurobi")
    with pytest.raises(hcp.InfeasibleBudget, match="smallest budget known to work is"):
        hcp.solve(GRAPH, 2, "keep_all")
    with pytest.raises(hcp.HcpError, match="time limit"):
        hcp.solve(GRAPH, "80%", "keep_all", time_limit=0)
