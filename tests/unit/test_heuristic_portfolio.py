"""What ``auto`` is without solvers: it keeps budgets, starts from what is given, and says what it lacks."""

import builtins
import sys

import pytest

import hcp
from hcp import heuristic_portfolio
from hcp.graph.instances import instance, training_chain
from hcp.heuristic_portfolio import HeuristicPortfolio
from hcp.heuristics.sqrt_n import SqrtN
from hcp.planning.problem import Control, Limits, NotApplicable, Problem
from hcp.planning.solution import Solution, Status
from hcp.portfolio import Auto
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay

GRAPH = training_chain(12)
PEAK = replay(GRAPH, keep_everything(GRAPH)).peak


@pytest.fixture
def without(monkeypatch):
    """Makes packages look as if they were not installed."""
    load = builtins.__import__

    def take_away(*names):
        def loaded(name, *rest):
            if name.partition(".")[0] in names:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return load(name, *rest)

        monkeypatch.delitem(sys.modules, "hcp.portfolio")
        monkeypatch.delattr(hcp, "portfolio")
        for name in [name for name in sys.modules if name.startswith("hcp.solvers")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(builtins, "__import__", loaded)

    return take_away


@pytest.mark.parametrize("missing", ["ortools", "highspy"])
def test_auto_plans_without_solvers_and_says_so(without, missing):
    without(missing)
    plan = hcp.solve(GRAPH, "60%", time_limit=1)
    assert plan.planner == "auto"
    assert plan.peak <= plan.problem.budget
    assert f"{missing} is not installed" in plan.note


def test_what_else_is_missing_is_an_error(without):
    without("scipy")
    with pytest.raises(ModuleNotFoundError, match="scipy"):
        hcp.solve(GRAPH, "60%", time_limit=1)


def test_auto_is_the_whole_portfolio_where_solvers_are():
    assert isinstance(hcp.planners.planner_named("auto"), Auto)


def test_it_ends_where_nothing_has_to_be_recomputed():
    solution = HeuristicPortfolio("ortools")(Problem(GRAPH, PEAK), Limits(60))
    assert solution.status is Status.OPTIMAL
    assert solution.seconds < 30


def test_its_plans_are_no_worse_than_what_it_starts_from():
    graph = instance("unet:4")
    problem = Problem(graph, hcp.solve(graph, "60%", "keep_all").problem.budget)
    start = SqrtN()(problem, Limits(2)).schedule
    solution = HeuristicPortfolio()(problem, Limits(1), Control(incumbent=start))
    usage = replay(graph, solution.schedule)
    assert usage.peak <= problem.budget
    assert usage.cost <= replay(graph, start).cost
    assert "not installed" not in solution.note


def test_members_that_do_not_apply_are_passed_over_and_a_proof_that_nothing_fits_ends_it(monkeypatch):
    asked = []

    def inapplicable(problem, limits, control, /):
        asked.append("inapplicable")
        raise NotApplicable("not for this graph")

    def proves(problem, limits, control, /):
        asked.append("proves")
        return Solution(None, Status.INFEASIBLE, note="too small")

    monkeypatch.setattr(heuristic_portfolio, "QUICK", (inapplicable, proves, inapplicable))
    solution = HeuristicPortfolio()(Problem(GRAPH, PEAK - 1), Limits(5))
    assert asked == ["inapplicable", "proves"]
    assert (solution.status, solution.note) == (Status.INFEASIBLE, "too small")
