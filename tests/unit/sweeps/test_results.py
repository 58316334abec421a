"""Rows judged beside the others of their group."""

import pytest

from hcp.compare import Comparison, Row
from hcp.graph.errors import HcpError
from hcp.graph.instances import training_chain
from hcp.planning.plan import judge
from hcp.planning.problem import Problem
from hcp.planning.solution import Bound, Solution, Status
from hcp.report.comparison import latex_comparison
from hcp.report.tables import comparison_table
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.scopes import ORDER_FREE
from hcp.sweeps.results import judged as _judged


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
