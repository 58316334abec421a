"""The matrix: every planner of the table on random graphs against the oracle, and on every generator's graphs."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hcp
from hcp.graph.instances import INSTANCES, instance
from hcp.heuristics.anneal import Anneal
from hcp.schedule.scopes import FIXED_ORDER, ORDER_FREE
from hcp.solvers.exhaustive import Exhaustive, least_peak
from hcp.solvers.memetic import Memetic
from tests.effort import examples, some
from tests.strategies import graphs, seeded_graphs

# The portfolio runs the others; it gets fewer examples.
QUICK = [name for name in hcp.PLANNERS if name != "auto"]
# Counted moves instead of seconds: the same result on every machine.
COUNTED = {"anneal": Anneal(moves=2_000), "memetic": Memetic(moves=1_000)}
PLANNERS = {name: COUNTED.get(name, name) for name in QUICK}
SIZES = {
    "chain": 12,
    "training-chain": 9,
    "residual-net": 3,
    "unet": 2,
    "transformer": 1,
    "random-layered": 30,
    "binary-tree": 3,
    "pyramid": 4,
}


@st.composite
def tight_problems(draw):
    """Graphs with a budget from the least possible peak upwards, where most planners have to recompute."""
    graph = draw(st.one_of(graphs(), seeded_graphs()))
    least = least_peak(graph)
    highest = hcp.replay(graph, hcp.keep_everything(graph)).peak
    return graph, draw(st.one_of(st.just(max(1, least)), st.integers(max(1, least), max(1, highest))))


def check_plan(plan, optimum, optimum_in_order):
    graph, budget = plan.graph, plan.problem.budget
    for bound in plan.bounds:
        if bound.of == "cost":
            # Narrower scopes leave schedules out: their bounds may exceed the oracle's optimum.
            known = {ORDER_FREE: optimum, FIXED_ORDER: optimum_in_order}.get(bound.scope)
            assert known is None or bound.value <= known
        if bound.certificate is not None:
            assert bound.certificate.proven(graph, budget) >= bound.value
    if plan.schedule is None:
        assert plan.status is hcp.Status.NO_SOLUTION
        return
    usage = hcp.replay(graph, plan.schedule)
    assert (plan.cost, plan.peak) == (usage.cost, usage.peak)
    assert usage.peak <= budget
    assert usage.cost >= optimum
    if plan.status is hcp.Status.OPTIMAL:
        assert usage.cost == optimum


def plan_of(graph, budget, solver, **options):
    """The plan, or None where the planner does not fit the graph."""
    try:
        return hcp.solve(graph, budget, solver, **options)
    except hcp.NotApplicable:
        return None


def optimum_of(graph, budget, order=None):
    bounds = Exhaustive()(hcp.Problem(graph, budget, order)).bounds
    return bounds[0].value if bounds else None


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tight_problems())
def test_bounds_and_schedules_hold_against_the_oracle(drawn):
    graph, budget = drawn
    optimum, in_order = optimum_of(graph, budget), optimum_of(graph, budget, graph.order)
    assert in_order is None or in_order >= optimum
    for solver in PLANNERS.values():
        plan = plan_of(graph, budget, solver, time_limit=0.2)
        if plan is not None:
            check_plan(plan, optimum, in_order)


@settings(max_examples=examples(25), deadline=None)
@given(tight_problems())
def test_the_portfolio_holds_against_the_oracle(drawn):
    graph, budget = drawn
    plan = hcp.solve(graph, budget, "auto", time_limit=0.5)
    check_plan(plan, optimum_of(graph, budget), optimum_of(graph, budget, graph.order))


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(graphs(), seeded_graphs()), st.integers(0, 3))
def test_a_fixed_order_is_followed(graph, step):
    budget = max(1, least_peak(graph, graph.order) + step)
    optimum = optimum_of(graph, budget, graph.order)
    for solver in PLANNERS.values():
        plan = plan_of(graph, budget, solver, order=graph.order, time_limit=0.2)
        if plan is None:
            continue
        assert all(bound.value <= optimum for bound in plan.bounds if bound.scope in {ORDER_FREE, FIXED_ORDER})
        if plan.schedule is not None:
            assert plan.schedule.follows(graph.order)
            assert plan.cost >= optimum


@pytest.mark.parametrize("name", INSTANCES)
@pytest.mark.parametrize("budget", some(["100%", "75%"], 1))
def test_planners_agree_on_generated_graphs(name, budget):
    graph = instance(f"{name}:{SIZES[name]}")
    rows = hcp.compare(graph, budget, QUICK, time_limit=0.5).rows
    for row in rows:
        if row.plan is None:
            assert row.status in {"INFEASIBLE", "NOT_APPLICABLE"}
            continue
        if row.plan.schedule is not None:
            assert hcp.replay(graph, row.plan.schedule).peak <= row.budget_bytes
            assert row.gap >= 0
        assert all(row.plan.verified(bound) for bound in row.plan.bounds if bound.certificate is not None)
    infeasible = [row.status == "INFEASIBLE" for row in rows]
    schedules = [row.plan is not None and row.plan.schedule is not None for row in rows]
    assert not (any(infeasible) and any(schedules))
    if budget == "100%":
        assert next(row for row in rows if row.solver == "keep_all").status == "OPTIMAL"


def test_incumbents_are_never_made_worse():
    graph = instance("unet:2")
    peak = hcp.replay(graph, hcp.keep_everything(graph)).peak
    good = hcp.solve(graph, peak * 3 // 4, "cpsat", time_limit=5)
    for solver in QUICK:
        if solver == "exhaustive":
            continue
        plan = plan_of(graph, peak * 3 // 4, solver, time_limit=0.5, incumbent=good.schedule)
        if plan is None:
            assert solver in {"mixed", "revolve", "rotor"}
        elif plan.schedule is None:
            assert solver == "lp"
        else:
            assert plan.cost <= good.cost
