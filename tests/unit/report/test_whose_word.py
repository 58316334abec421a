"""In every format: whose word the bound behind a gap is, and an optimum of one order is never shown as optimal."""

import csv
import io
import json

import pytest

import hcp
from hcp.graph.instances import training_chain
from hcp.planning.plan import judge
from hcp.planning.problem import Problem
from hcp.planning.solution import Bound, Solution, Status
from hcp.report.page import to_html
from hcp.report.tables import comparison_numbers, comparison_table, plan_table
from hcp.schedule.actions import Schedule
from hcp.schedule.scopes import FIXED_ORDER, ORDER_FREE
from hcp.solvers.fixed_order.stages import STAGED
from hcp.sweeps.results import Comparison, Row, judged

GRAPH = training_chain(3)  # 9 units
TWICE = Schedule.from_computes(GRAPH, ("v0", *GRAPH.order))  # 10 units
NARROW = f"{STAGED}, <= 2 computations"


def plan_with(scope, order=None):
    bound = Bound(10, "cost", scope, None, "a solver")
    return judge(Problem(GRAPH, 100, order), Solution(TWICE, Status.FEASIBLE, (bound,), "solver"))


def comparison_with(scope):
    plan = plan_with(scope)
    return Comparison(tuple(judged([Row("g", "80%", 100, "solver", plan.status.name, plan, base_cost=9)])))


SHOWN = [
    (ORDER_FREE, "optimal (claimed)"),
    (FIXED_ORDER, "optimal in its order (claimed)"),
    (STAGED, "optimal in its order (staged; claimed)"),
    (NARROW, "optimal in its order (staged, <= 2 computations; claimed)"),
]


@pytest.mark.parametrize(("scope", "status"), SHOWN)
def test_an_optimum_of_one_order_is_shown_as_such(scope, status):
    comparison = comparison_with(scope)
    table = comparison_table(comparison)
    cells = dict(zip(table.headers, table.rows[0], strict=True))
    assert cells["status"] == status
    assert f" {status} " in table.to_text()
    numbers = comparison_numbers(comparison)
    (row,) = csv.DictReader(io.StringIO(numbers.to_csv()))
    assert (row["status"], row["optimal scope"], row["optimal verified"]) == (status, scope, "no")
    assert status in numbers.to_markdown()
    data = json.loads(json.dumps(comparison.to_dict()))["rows"][0]
    assert data["status"] == ("OPTIMAL" if scope == ORDER_FREE else "FEASIBLE")
    assert (data["optimal_scope"], data["optimal_verified"]) == (scope, False)
    pytest.importorskip("matplotlib")
    assert f"<td>{status.replace('<', '&lt;')}</td>" in to_html(comparison)


@pytest.mark.parametrize("scope", [ORDER_FREE, FIXED_ORDER])
def test_the_bound_behind_each_gap_has_a_flag(scope):
    comparison = comparison_with(scope)
    (row,) = csv.DictReader(io.StringIO(comparison_numbers(comparison).to_csv()))
    data = comparison.to_dict()["rows"][0]
    free = scope == ORDER_FREE
    # The trivial bound is certified, the solver's word is not.
    assert (row["best bound verified"], data["best_bound_verified"]) == (("no", False) if free else ("yes", True))
    assert (row["fixed order bound"], row["fixed order bound verified"]) == (("", "") if free else ("10", "no"))
    assert data["fixed_order_bound_verified"] is (None if free else False)
    plan = plan_with(scope)
    assert plan.to_dict()["gap_verified"] is not free
    assert plan.to_dict()["gap_fixed_order_verified"] is (None if free else False)
    rows = dict(plan_table(plan).rows)
    assert rows["gap (order-free)"].endswith(f" % over a {'claimed' if free else 'verified'} bound")
    assert rows.get("gap (fixed-order)") == (None if free else "0.000 % over a claimed bound")


@pytest.mark.parametrize(
    ("scope", "order", "status"),
    [
        (ORDER_FREE, None, "optimal as claimed by a solver (a solver)"),
        (ORDER_FREE, GRAPH.order, "optimal as claimed by a solver (a solver)"),
        (FIXED_ORDER, None, "feasible; optimal in its order as claimed by a solver (a solver)"),
        (FIXED_ORDER, GRAPH.order, "optimal in the order given as claimed by a solver (a solver)"),
        (STAGED, GRAPH.order, "feasible; optimal in the order given (staged) as claimed by a solver (a solver)"),
    ],
)
def test_the_status_of_a_plan(scope, order, status):
    plan = plan_with(scope, order)
    rows = dict(plan_table(plan).rows)
    assert rows["status"] == f"{status}; there is no certificate"
    assert (plan.reached.scope, plan.reached_verified) == (scope, False)
    assert plan.to_dict()["optimal_scope"] == scope


def test_schedules_in_other_orders_are_no_optimum_of_this_one():
    graph = hcp.Graph(tuple(hcp.Node(name, outputs=(hcp.Value(name, 1),), cost=1) for name in "ab"))
    bound = Bound(2, "cost", FIXED_ORDER, None, "a solver")
    twice = Schedule.from_computes(graph, ("b", "a"))
    plan = judge(Problem(graph, 9), Solution(twice, Status.FEASIBLE, (bound,)))
    # The trivial bound holds in all orders, and is met.
    assert plan.reached.scope == ORDER_FREE
    again = Schedule.from_computes(graph, ("b", "a", "b"))
    dear = Bound(3, "cost", FIXED_ORDER, None, "a solver")
    assert judge(Problem(graph, 9), Solution(again, Status.FEASIBLE, (dear,))).reached is None
