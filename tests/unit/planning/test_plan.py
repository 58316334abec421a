"""Judged plans: gaps and their scopes, statuses, and the JSON object."""

import json
import threading

import pytest

import hcp
from hcp.graph.instances import training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.plan import EveryNodeOnce, excess, judge
from hcp.planning.problem import Control, Limits, Problem
from hcp.planning.solution import Bound, Solution, Status
from hcp.planning.tracker import Tracker
from hcp.report.tables import plan_table
from hcp.schedule.actions import Compute, Schedule, ScheduleError, keep_everything
from hcp.schedule.scopes import FIXED_ORDER, ORDER_FREE

GRAPH = training_chain(3)  # keep-everything cost 9, peak 4
FIXED = Bound(99, "cost", FIXED_ORDER)
TWICE = Schedule.from_computes(GRAPH, ("v0", *GRAPH.order))  # cost 10


class ProvesTooMuch(EveryNodeOnce):
    def proven(self, graph, budget):
        return 11


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
    problem = Problem(GRAPH, 100, order=order)
    asked = threading.Event()
    tracker = Tracker(problem, Limits(), Control(asked.is_set, incumbent=TWICE), "test")
    tracker.add_bound(Bound(9, "cost", ORDER_FREE))
    assert len(tracker.solution().bounds) == 1
    tracker.raise_bound(10)
    for stopped in (False, True):
        if stopped:
            asked.set()
        solution = tracker.solution()
        assert solution.interrupted is stopped
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


def test_an_optimum_is_met_in_whole_numbers_however_dear_the_graph_is():
    nodes = tuple(Node(n.name, n.op, n.inputs, n.outputs, 10**9 if n.name == "v2" else n.cost) for n in GRAPH.nodes)
    graph = Graph(nodes, GRAPH.inputs, GRAPH.order)
    twice = Schedule.from_computes(graph, ("v0", *graph.order))
    problem = Problem(graph, 100)
    short, met = (Bound(graph.base_cost + extra, "cost", ORDER_FREE) for extra in (0, 1))
    assert judge(problem, Solution(twice, Status.OPTIMAL, (short,))).status is Status.FEASIBLE
    assert judge(problem, Solution(twice, Status.FEASIBLE, (met,))).status is Status.OPTIMAL


def test_who_says_that_an_optimum_is_one():
    claimed = judged(TWICE, Bound(10, "cost", ORDER_FREE, None, "a solver"))
    assert (claimed.status, claimed.optimality) == (Status.OPTIMAL, "claimed")
    assert claimed.to_dict()["optimality"] == "claimed"
    assert judged(keep_everything(GRAPH)).optimality == "certified"
    assert judged(TWICE).optimality is None
    text = plan_table(claimed).to_text()
    assert "optimal as claimed by a solver (a solver)" in text
    assert "proved" not in text
    assert "proved: no schedule costs less" in plan_table(judged(keep_everything(GRAPH))).to_text()


def test_a_bound_that_the_schedule_refutes_is_dropped_and_said():
    plan = judged(TWICE, Bound(11, "cost", ORDER_FREE, None, "a solver"), Bound(9, "cost", ORDER_FREE))
    assert [bound.value for bound in plan.bounds] == [9, 9]
    assert plan.gap == pytest.approx(1 / 9)
    assert "no cost below 11 was claimed (order-free, a solver), but the schedule has a cost of 10" in plan.note
    with pytest.raises(RuntimeError, match="defective"):
        judged(TWICE, Bound(11, "cost", ORDER_FREE, ProvesTooMuch()))
    assert judged(TWICE, Bound(11, "cost", ORDER_FREE, EveryNodeOnce())).bounds[0].value == 9


def test_a_fixed_orders_bound_says_nothing_of_schedules_in_other_orders():
    graph = Graph(tuple(Node(name, outputs=(Value(name, 1),), cost=1) for name in "ab"))
    turned = judge(Problem(graph, 9), Solution(keep_everything(graph, ("b", "a")), Status.FEASIBLE, (FIXED,)))
    assert turned.gap_fixed_order is None
    assert FIXED in turned.bounds
    straight = judge(Problem(graph, 9), Solution(keep_everything(graph), Status.FEASIBLE, (FIXED,)))
    assert FIXED not in straight.bounds
