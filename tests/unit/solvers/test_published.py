"""The published formulations: the same optimum as the staged model, on the same schedules."""

import pytest
from hypothesis import given, settings

import hcp
from hcp.graph.errors import HcpError
from hcp.graph.instances import instance
from hcp.planning.deadline import Deadline
from hcp.planning.problem import Problem
from hcp.solvers.checkmate import Checkmate, checkmate_program
from hcp.solvers.fixed_order.stages import STAGED, build_stage_grid, build_stage_model
from hcp.solvers.lp_rounding import LpRounding
from hcp.solvers.moccasin import Moccasin
from hcp.solvers.models.highs import LinearProgram
from tests.effort import examples, some
from tests.interrupts import solve_and_interrupt
from tests.unit.solvers.fixed_order.test_stages import staged_optimum, tight_problems


def check(graph, budget, planner, best):
    plan = hcp.solve(graph, budget, planner, time_limit=20)
    if best is None:
        assert plan.schedule is None
        assert "stays within" in plan.note
        return
    assert plan.cost == best
    assert plan.schedule.follows(graph.order)
    assert all(bound.value <= best for bound in plan.bounds)
    assert max(bound.value for bound in plan.bounds) == best


@settings(max_examples=examples(60), deadline=None)
@given(tight_problems(max_nodes=5))
def test_formulations_agree_with_the_definition(drawn):
    graph, budget = drawn
    check(graph, budget, Checkmate(), staged_optimum(graph, budget))
    check(graph, budget, Checkmate(tightened=False), staged_optimum(graph, budget))


@pytest.mark.parametrize("most", [1, 2, 3])
@settings(max_examples=examples(40), deadline=None)
@given(tight_problems(max_nodes=5))
def test_intervals_agree_with_the_definition(most, drawn):
    graph, budget = drawn
    check(graph, budget, Moccasin(most), staged_optimum(graph, budget, most))


@pytest.mark.parametrize(
    ("name", "budget"), some([("random-layered:25", "90%"), ("unet:2", "75%"), ("training-chain:10", "75%")], 1)
)
def test_formulations_agree_on_larger_graphs(name, budget):
    graph = instance(name)
    plans = [hcp.solve(graph, budget, solver, time_limit=60) for solver in ("checkmate", Moccasin(4))]
    assert plans[0].cost == plans[1].cost
    # It may leave the staged schedules, but never their order.
    plan = hcp.solve(graph, budget, "staged", time_limit=60)
    assert plan.cost <= plans[0].cost
    assert all(bound.value <= plans[0].cost for bound in plan.bounds)


def test_the_tight_form_is_as_strong_as_the_staged_model():
    graph = instance("random-layered:40")
    budget = hcp.replay(graph, hcp.keep_everything(graph)).peak * 3 // 4
    problem = Problem(graph, budget)
    grid = build_stage_grid(graph.index, budget, tuple(graph.index.order.tolist()))
    staged = LinearProgram(build_stage_model(grid, budget, range(len(graph.nodes))).model).solve(Deadline(30)).value
    tight = LinearProgram(checkmate_program(problem, tightened=True).model).solve(Deadline(30)).value
    published = LinearProgram(checkmate_program(problem, tightened=False).model).solve(Deadline(30)).value
    assert graph.base_cost <= published < tight
    assert tight == pytest.approx(staged, rel=1e-6)


@pytest.mark.parametrize("solver", ["checkmate", "lp_rounding"])
def test_a_program_too_large_is_refused(solver):
    with pytest.raises(hcp.NotApplicable, match="columns, more than"):
        hcp.solve(instance("transformer:8"), "60%", solver)


def test_too_many_nodes_are_refused(monkeypatch):
    monkeypatch.setattr("hcp.solvers.moccasin.MOST_NODES", 10)
    with pytest.raises(hcp.NotApplicable, match="at most 10 nodes"):
        hcp.solve(instance("unet:3"), "75%", "moccasin")


def test_rounding_says_when_it_breaks_the_budget():
    seen = set()
    for size in (30, 35, 40):
        graph = instance(f"random-layered:{size}")
        for budget in ("98%", "90%", "80%"):
            plan = hcp.solve(graph, budget, "lp_rounding", time_limit=20)
            broken = "rounding breaks the budget by" in plan.note
            assert broken or plan.schedule is not None or "less the allowance" in plan.note
            assert not (broken and plan.schedule is not None)
            seen.add(broken)
    assert seen == {True, False}


def test_bad_options_are_refused():
    with pytest.raises(HcpError, match="at least 1"):
        Moccasin(0)
    with pytest.raises(HcpError, match="from 0 to below 1"):
        LpRounding(allowance=1.0)


@pytest.mark.parametrize("solver", ["staged", "checkmate", "moccasin", "lp_rounding"])
def test_an_incumbent_survives_an_interrupt(solver):
    graph = instance("unet:4")
    start = hcp.solve(graph, "75%", "chen_greedy")
    plan = hcp.solve(graph, "75%", solver, time_limit=20, incumbent=start.schedule, stop=lambda: True)
    assert plan.cost <= start.cost
    assert plan.interrupted


@pytest.mark.parametrize("solver", ["staged", "checkmate", "moccasin"])
def test_a_signal_reaches_the_solver(solver):
    found = solve_and_interrupt("random-layered:90", "60%", solver)
    assert found["interrupted"]
    assert found["seconds"] < 150


def test_bounds_say_how_often_nodes_may_run():
    plan = hcp.solve(instance("random-layered:25"), "90%", Moccasin(3), time_limit=20)
    assert {bound.scope for bound in plan.bounds} == {f"{STAGED}, <= 3 computations", hcp.ORDER_FREE}
