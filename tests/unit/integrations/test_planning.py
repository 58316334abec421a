"""The core that all integrations share: what may be asked, where a plan comes from, and what happens without one."""

import dataclasses
import inspect
import pickle

import pytest

import hcp
from hcp.graph.errors import HcpError
from hcp.graph.instances import training_chain, unet
from hcp.integrations import request as requests
from hcp.integrations.planned import Planned
from hcp.integrations.planning import adopt, allow_unplanned, find_plan, heed, judged, plan_step
from hcp.integrations.request import Errors, Request
from hcp.planning.problem import InfeasibleBudget, Problem
from hcp.planning.solution import Solution, Status
from hcp.runtime import FallbackWarning
from hcp.schedule.actions import ScheduleError, keep_everything
from hcp.schedule.bandwidth import parse_link
from hcp.schedule.replay import replay

GRAPH = unet(2)
WHOLE = replay(GRAPH, keep_everything(GRAPH)).peak


class OptionError(HcpError):
    pass


class MisfitError(HcpError):
    pass


class NothingError(HcpError):
    pass


class OwnRequest(Request):
    errors = Errors(OptionError, MisfitError, NothingError)


def request(**options):
    return OwnRequest(**{"quiet": True, "cache": False, "solver": "eviction"} | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "neither a budget nor a plan"),
        ({"budget": "50%", "fallback": "hope"}, "fallback 'hope' is not understood; give 'error' or 'warn'"),
        ({"budget": "50%", "host": 3}, "host 3 is not understood; give a bandwidth"),
    ],
)
def test_bad_options_are_a_frameworks_own_errors(options, message):
    with pytest.raises(OptionError, match=message):
        request(**options)


@pytest.mark.parametrize("options", [{"time_limit": 0}, {"time_limit": float("nan")}, {"cache": 3}])
def test_what_no_framework_understands_is_refused_at_once(options):
    with pytest.raises(HcpError, match="is not"):
        request(budget="50%", **options)
    with pytest.raises(hcp.planners.UnknownSolver, match="unknown solver 'best'; choose one of auto"):
        request(budget="50%", solver="best")
    # Not loaded before it has to plan.
    assert request(budget="50%", solver="no_such_module:Planner").solver == "no_such_module:Planner"


def test_a_budget_passes_each_room_once(monkeypatch):
    """From a request, and from ``hcp.solve``: read, checked, planned, judged."""
    calls = []

    def counted(module, name):
        inner = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args: calls.append(name) or inner(*args))

    for module in (requests, hcp.planners):
        counted(module, "parse_budget")
    for name in ("check_budget", "ask", "judge"):
        counted(hcp.planners, name)
    plan_step(GRAPH, request(budget="66%"))
    assert calls == ["parse_budget", "check_budget", "ask", "judge"]
    calls.clear()
    hcp.solve(GRAPH, "66%", "eviction")
    assert calls == ["parse_budget", "check_budget", "ask", "judge"]
    # A plan that is known is not planned, and not judged again.
    calls.clear()
    plan_step(GRAPH, request(budget="66%"))
    assert calls == ["parse_budget"]


def test_a_request_can_be_pickled():
    asked = request(budget="50%", host="1GiB/s")
    assert pickle.loads(pickle.dumps(asked)) == asked


def test_percentages_can_refer_to_something_else():
    asked = request(budget="50%")
    assert asked.problem(GRAPH, None).budget == WHOLE // 2
    assert asked.problem(GRAPH, None, 1000).budget == 500
    assert asked.link(GRAPH) is None
    assert request(budget="50%", host="0.5").link(GRAPH) == parse_link("0.5", GRAPH)


def test_a_plan_is_made_once(tmp_path, capsys):
    asked = request(budget="70%", cache=tmp_path, quiet=False)
    made = plan_step(GRAPH, asked, inputs="float32[4]", again=" again, as a test wants it")
    assert made.source == "planned"
    assert made.plan.peak <= made.plan.problem.budget
    again = plan_step(GRAPH, asked)
    assert again.source == "memory"
    assert again.plan.schedule == made.plan.schedule
    (file,) = tmp_path.glob("*.json")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("hcp: planning unet")
    assert "on float32[4] again, as a test wants it" in lines[0]
    assert "within '70%'" in lines[0]
    assert lines[1].startswith(f"hcp: {Planned(made.plan)}, ")
    assert lines[2].endswith("from memory")
    assert hcp.load_plan(file).schedule == made.plan.schedule


def test_planners_whose_text_says_nothing_are_asked_each_time():
    calls = []

    def planner(problem):
        calls.append(problem)
        return Solution(keep_everything(problem.graph), Status.FEASIBLE, (), "mine")

    asked = request(budget="100%", solver=planner)
    assert plan_step(GRAPH, asked).source == plan_step(GRAPH, asked).source == "planned"
    assert len(calls) == 2
    # In bytes once, and then handed on.
    assert {problem.budget for problem in calls} == {WHOLE}


def test_nothing_found_is_a_frameworks_own_error():
    asked = request(budget="90%", solver=lambda problem: Solution(None, Status.NO_SOLUTION, (), "mine", note="a note"))
    with pytest.raises(NothingError, match=r"'mine' found no plan for .* within '90%' \([\d,]+ bytes\); raise.*a note"):
        plan_step(GRAPH, asked)


def test_budgets_that_no_schedule_keeps():
    for options in ({}, {"plan": keep_everything}):
        with pytest.raises(InfeasibleBudget, match="no schedule fits 3 bytes"):
            plan_step(GRAPH, request(budget=3, **options))


def test_a_given_plan_keeps_its_bounds():
    plan = hcp.solve(GRAPH, "70%", "lp", time_limit=5)
    schedule = hcp.solve(GRAPH, "70%", "eviction").schedule
    known = dataclasses.replace(judged(plan.problem, schedule, "eviction", plan.bounds))
    for given in (known, Planned(known)):
        found = plan_step(GRAPH, request(plan=given))
        assert found.source == "given"
        assert found.plan.gap == known.gap
        assert found.plan.problem.budget == known.peak
    assert plan_step(GRAPH, request(budget="80%", plan=schedule)).plan.problem.budget == WHOLE * 4 // 5
    assert adopt(GRAPH, request(plan=keep_everything)).peak == WHOLE


def test_plans_that_do_not_fit():
    other = hcp.solve(training_chain(4), "100%", "keep_all")
    with pytest.raises(MisfitError, match="another graph"):
        plan_step(GRAPH, request(plan=other))
    with pytest.raises(MisfitError, match="over the budget"):
        plan_step(GRAPH, request(budget=WHOLE - 1, plan=keep_everything))
    with pytest.raises(ScheduleError):
        plan_step(GRAPH, request(plan=other.schedule))
    without = judged(Problem(GRAPH, WHOLE), keep_everything(GRAPH), "mine")
    with pytest.raises(MisfitError, match="has no schedule"):
        plan_step(GRAPH, request(plan=dataclasses.replace(without, schedule=None)))


def test_an_interrupted_search_stops_the_program():
    plan = hcp.solve(GRAPH, "100%", "keep_all")
    assert heed(plan) is plan
    with pytest.raises(KeyboardInterrupt, match="no plan was kept"):
        heed(dataclasses.replace(plan, interrupted=True))


def test_interrupted_plans_are_not_kept():
    def planner(problem):
        return Solution(keep_everything(problem.graph), Status.FEASIBLE, (), "mine", interrupted=True)

    with pytest.raises(KeyboardInterrupt):
        find_plan(Problem(GRAPH, WHOLE), request(budget=WHOLE, solver=planner))


def test_running_unplanned_has_to_be_allowed():
    reason = HcpError("there is no plan")
    with pytest.raises(HcpError, match="no plan"):
        allow_unplanned(request(budget=1), reason, "so be it")
    with pytest.warns(FallbackWarning, match="so be it"):
        allow_unplanned(request(budget=1, fallback="warn"), reason, "so be it")
    with pytest.warns(FallbackWarning, match="there is no plan"):
        allow_unplanned(request(budget=1, fallback="warn"), reason)


def _defaults(function):
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty
    }


def _agree(asked, *functions):
    own = {field.name: field.default for field in dataclasses.fields(asked)}
    for function in functions:
        found = _defaults(function)
        assert {name: found[name] for name in found.keys() & own.keys() - {"budget", "plan"}} == {
            name: own[name] for name in found.keys() & own.keys() - {"budget", "plan"}
        }, function


def test_signatures_of_pytorch_say_what_the_request_says():
    torch = pytest.importorskip("hcp.integrations.torch")
    from hcp.integrations.torch.request import TorchRequest

    _agree(TorchRequest, torch.checkpoint, torch.plan_for, torch.backend, torch.HCConfig)
    # Every option is there; a budget may be a total.
    options = {field.name for field in dataclasses.fields(TorchRequest)} - {"total"}
    assert options < inspect.signature(torch.checkpoint).parameters.keys()


def test_signatures_of_jax_say_what_the_request_says():
    jax = pytest.importorskip("hcp.integrations.jax")
    from hcp.integrations.jax.request import JaxRequest

    _agree(JaxRequest, jax.value_and_grad, jax.grad, jax.checkpoint_plan)
    assert _defaults(jax.value_and_grad) == _defaults(jax.grad)
