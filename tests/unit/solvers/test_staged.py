"""The planner of the staged model against the oracle, and what it says where it does not apply."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

import hcp
from hcp.graph.errors import HcpError
from hcp.graph.instances import instance
from hcp.planning.problem import Problem
from hcp.schedule.scopes import FIXED_ORDER
from hcp.solvers.exhaustive import Exhaustive
from hcp.solvers.fixed_order.stages import STAGED
from hcp.solvers.staged import Staged
from tests.effort import examples
from tests.unit.solvers.fixed_order.test_stages import staged_optimum, tight_problems


@pytest.mark.parametrize("backend", ["highs", "cpsat"])
@pytest.mark.parametrize(
    ("name", "budget"), [("random-layered:20", "90%"), ("random-layered:30", "80%"), ("unet:2", "80%")]
)
def test_the_planner_proves_its_optimum_lazily(name, budget, backend):
    graph = instance(name)
    plan = hcp.solve(graph, budget, Staged(backend), time_limit=30)
    staged = [bound for bound in plan.bounds if bound.scope in {FIXED_ORDER, STAGED}]
    assert plan.cost is not None
    assert max(bound.value for bound in staged) >= plan.cost * (1 - 2e-6)
    assert plan.schedule.follows(graph.order)
    assert "in the given order costs less" in plan.note


@settings(max_examples=examples(60), deadline=None)
@given(tight_problems(max_nodes=6))
def test_the_planner_holds_against_the_oracle(drawn):
    graph, budget = drawn
    optimum = Exhaustive()(Problem(graph, budget, graph.order)).bounds[0].value
    best = staged_optimum(graph, budget)
    plan = hcp.solve(graph, budget, "staged", order=graph.order, time_limit=20)
    for bound in plan.bounds:
        known = best if bound.scope == STAGED else optimum
        assert known is None or bound.value <= known
    if best is not None:
        assert optimum <= plan.cost <= best
    if plan.status is hcp.Status.OPTIMAL:
        assert plan.cost == optimum


def test_a_graph_too_large_is_left_alone(monkeypatch):
    monkeypatch.setattr("hcp.solvers.staged.MOST_COLUMNS", 10)
    plan = hcp.solve(instance("unet:2"), "75%", "staged", time_limit=5)
    assert "at most 3000 nodes and 10 columns" in plan.note
    assert all(bound.scope == hcp.ORDER_FREE for bound in plan.bounds)


def test_an_unknown_backend_is_named():
    with pytest.raises(HcpError, match="choose one of highs, cpsat"):
        Staged("gurobi")


def test_the_linear_bound_is_proved_and_survives_a_plan_file(tmp_path):
    graph = instance("unet:2")
    plan = hcp.solve(graph, "75%", "staged", time_limit=20)
    bound = next(bound for bound in plan.bounds if bound.scope == FIXED_ORDER and bound.certificate)
    budget = plan.problem.budget
    assert bound.value > graph.base_cost
    assert bound.certificate.proven(graph, budget) == bound.value
    assert bound.certificate.proven(graph, budget - 1) == bound.value
    assert bound.certificate.proven(graph, budget + 1) == 0
    for changed in (
        replace(bound.certificate, multipliers=bound.certificate.multipliers[::2]),
        replace(bound.certificate, multipliers=((10**9, 1),)),
        replace(bound.certificate, denominator=bound.certificate.denominator * 3),
    ):
        assert changed.proven(graph, budget) < bound.value
    hcp.save_plan(plan, tmp_path / "plan.json")
    assert bound in hcp.verify_plan(tmp_path / "plan.json").bounds
