"""Comparisons: shared bounds, winners, and rows for what does not work."""

import json

import pytest

import hcp
from hcp.compare import Comparison, Row
from hcp.graph.errors import HcpError
from hcp.graph.instances import chain, training_chain, unet
from hcp.planning.plan import judge
from hcp.planning.problem import Problem
from hcp.planning.solution import Bound, Solution, Status
from hcp.report.comparison import latex_comparison
from hcp.report.tables import comparison_table
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.scopes import ORDER_FREE
from hcp.sweeps.rows import judged as _judged


def test_gaps_use_the_best_bound_of_all_planners():
    graph = training_chain(5)
    comparison = hcp.compare(graph, 5, ["exhaustive", "sqrt_n"])
    exact, heuristic = comparison.rows
    assert exact.status == "OPTIMAL"
    assert exact.gap == 0.0
    assert heuristic.bound == graph.base_cost
    assert heuristic.best_bound == exact.bound == exact.plan.cost == 16
    assert heuristic.gap == pytest.approx(heuristic.plan.cost / 16 - 1)
    assert exact.winner
    assert heuristic.winner == (heuristic.plan.cost == 16)


def test_a_schedule_that_meets_another_planners_bound_is_optimal():
    graph = training_chain(3)
    twice = Schedule.from_computes(graph, ("v0", *graph.order))
    problem = Problem(graph, 100)
    dear = judge(problem, Solution(twice, Status.FEASIBLE))
    bound = judge(problem, Solution(None, Status.NO_SOLUTION, (Bound(dear.cost, "cost", ORDER_FREE),)))
    rows = _judged([Row("g", 100, 100, "a", "FEASIBLE", dear), Row("g", 100, 100, "b", "BOUND", bound)])
    assert [row.status for row in rows] == ["OPTIMAL", "BOUND"]
    assert rows[0].gap == 0.0
    assert rows[1].gap is None
    assert not rows[1].winner


def test_a_bound_above_a_schedule_is_a_defect():
    graph = training_chain(3)
    problem = Problem(graph, 100)
    plan = judge(problem, Solution(keep_everything(graph), Status.FEASIBLE))
    wrong = judge(problem, Solution(None, Status.NO_SOLUTION, (Bound(plan.cost + 1, "cost", ORDER_FREE),)))
    with pytest.raises(HcpError, match=r"contradict each other: b claims .* less than 10, and a has one of cost 9"):
        _judged([Row("g", 100, 100, "a", "FEASIBLE", plan), Row("g", 100, 100, "b", "BOUND", wrong)])


def test_verified_speaks_of_the_bound_that_is_used():
    graph = training_chain(3)
    twice = Schedule.from_computes(graph, ("v0", *graph.order))
    problem = Problem(graph, 100)
    plain = judge(problem, Solution(twice, Status.FEASIBLE))
    word = judge(problem, Solution(None, Status.NO_SOLUTION, (Bound(10, "cost", ORDER_FREE, None, "somebody"),)))
    rows = _judged([Row("g", 100, 100, "a", "FEASIBLE", plain), Row("g", 100, 100, "b", "BOUND", word)])
    # Its own bound is the trivial one, which is proved; gap and status rest on the other one.
    assert (rows[0].bound, rows[0].verified) == (9, True)
    assert (rows[0].best_bound, rows[0].best_bound_verified, rows[0].gap) == (10, False, 0.0)
    assert rows[0].to_dict()["best_bound_verified"] is False
    table = comparison_table(Comparison(tuple(rows)))
    cells = dict(zip(table.headers, table.rows[0], strict=True))
    assert (cells["status"], cells["verified"]) == ("optimal (claimed)", "no")
    assert cells["best bound"] == "+11.111 %"
    assert r"& 11.111 & no & 0.000 &" in latex_comparison(Comparison(tuple(rows)))


def test_what_does_not_work_becomes_a_row():
    rows = hcp.compare([chain(20), unet(1)], [1, "100%"], ["keep_all", "exhaustive"]).rows
    found = {(row.graph, row.budget, row.solver): row for row in rows}
    assert found["chain-20", 1, "keep_all"].status == "INFEASIBLE"
    assert "no schedule fits 1 bytes" in found["chain-20", 1, "keep_all"].message
    assert found["chain-20", "100%", "exhaustive"].status == "NOT_APPLICABLE"
    assert "at most 12 nodes" in found["chain-20", "100%", "exhaustive"].message
    assert found["chain-20", "100%", "keep_all"].winner


def test_groups_and_json():
    comparison = hcp.compare([chain(3), chain(4)], ["100%", 50], ["keep_all", "sqrt_n"])
    assert [len(group) for group in comparison.groups()] == [2, 2, 2, 2]
    data = json.loads(json.dumps(comparison.to_dict()))
    assert data["gap_scope"] == "order-free"
    assert len(data["rows"]) == 8
    assert {
        "graph",
        "budget_bytes",
        "solver",
        "status",
        "cost",
        "peak",
        "overhead",
        "gap",
        "gap_scope",
        "winner",
    } <= set(data["rows"][0])
    assert Comparison(()).to_dict()["rows"] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([], "80%", "keep_all"), "no graph to compare"),
        ((chain(3), [], "keep_all"), "no budget to compare"),
        ((chain(3), "80%", []), "no solver to compare"),
        ((chain(3), "80%", ["keep_all", "keep_all"]), "'keep_all' is given twice"),
        (([chain(3), chain(3)], "80%", "keep_all"), "'chain-3' is given twice"),
        ((chain(3), "80 apples", "keep_all"), "apples"),
        ((chain(3), "80%", "gurobi"), "unknown solver 'gurobi'; choose one of"),
    ],
)
def test_bad_input(arguments, text):
    with pytest.raises(HcpError, match=text):
        hcp.compare(*arguments)
