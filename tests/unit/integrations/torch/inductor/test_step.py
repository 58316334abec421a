"""Steps on their way: what is asked, what is kept of it, and what comes of plans and records; nothing is compiled."""

import pytest

pytest.importorskip("torch")

import torch

from hcp import keep_everything
from hcp.integrations.torch import TorchError
from hcp.integrations.torch.errors import ExecutionError
from hcp.integrations.torch.inductor import records
from hcp.integrations.torch.inductor import step as module
from hcp.integrations.torch.inductor.records import identity_of_plan
from tests.unit.integrations.torch.inductor.steps import Net, step_of

X = torch.randn(16, 8)
WHOLE = 4000


@pytest.fixture(autouse=True)
def _no_compiler(monkeypatch):
    """Programs take seven eighths of what is planned for them; that of Inductor's own takes ``WHOLE``."""
    monkeypatch.setattr(records, "_RECORDS", {})
    monkeypatch.setattr(module, "step_peak", lambda program, *_: program)
    monkeypatch.setattr(module.FusedStep, "program", lambda _, plan: plan.peak * 7 // 8)
    monkeypatch.setattr(module.FusedStep, "unplanned", lambda _: WHOLE)


def step(**options):
    torch.manual_seed(0)
    return step_of(Net(), X, **{"solver": "eviction", "time_limit": 2.0} | options)


@pytest.fixture(scope="module")
def peak():
    from hcp import replay

    graph = step().lowered.graph
    return replay(graph, keep_everything(graph)).peak


def test_the_plan_keeps_the_budget_by_measurement(peak):
    budget = peak * 7 // 8
    chosen = step(budget=budget).choose()
    assert chosen.allowed_bytes == budget
    assert chosen.measured_bytes == chosen.found.plan.peak * 7 // 8 <= budget
    assert chosen.found.plan.peak > budget


def test_percentages_are_of_what_inductor_takes_by_itself():
    asked = step(budget="100%")
    assert asked.choose().allowed_bytes == WHOLE
    assert asked.record.whole_bytes == WHOLE
    assert step(budget="50%", cost="roofline")._allowed() == WHOLE // 2


def test_what_was_asked_before_is_there(monkeypatch, peak):
    first = step(budget=peak)
    chosen = first.choose()
    again = step(budget=peak)

    def fails(*_):
        raise AssertionError("planned again")

    monkeypatch.setattr(module, "lower_fused", fails)
    known = again.choose()
    assert known.found.plan.schedule == chosen.found.plan.schedule
    assert (known.found.source, known.measured_bytes) == ("memory", chosen.measured_bytes)


def test_questions_tell_options_apart():
    asked = {step(**options).question for options in ({}, {"budget": 7}, {"seed": 1}, {"solver": "auto"})}
    assert len(asked) == 4
    assert step(solver=lambda problem: None).question is None
    assert step(solver=lambda problem: None).question == step(solver=lambda problem: None).question


def test_a_plan_for_less_is_offered_for_more(peak):
    tight = step(budget=peak * 3 // 4).choose()

    def worse(problem):
        from hcp import solve

        return solve(problem.graph, problem.budget, "sqrt_n")

    loose = step(budget=peak * 3 // 4 + 1, solver=worse).choose()
    assert loose.found.plan.cost <= tight.found.plan.cost


def test_records_of_other_programs_are_not_offered(peak):
    asked = step(budget=peak)
    other = step_of(Net(layers=2), X, budget="100%", solver="eviction").choose()
    asked.record.add(records.Compiled(identity_of_plan(other.found.plan), 0, 1, 1, other.found.plan))
    chosen = asked.choose()
    assert chosen.found.plan.graph == asked.lowered.graph
    assert all(each.cost for each in asked.record.compiled)


def test_stale_answers_are_forgotten(monkeypatch, peak):
    step(budget=peak).choose()
    again = step(budget=peak)
    stale = [True]

    def program(_, plan):
        if stale:
            stale.pop()
            raise module._Stale("of another program")
        return plan.peak

    monkeypatch.setattr(module.FusedStep, "program", program)
    assert again.choose().measured_bytes is not None
    # It was looked at anew.
    assert stale == []
    assert "lowered" in vars(again)


def test_a_budget_below_all_programs_names_what_was_reached():
    with pytest.raises(TorchError, match=r"keeps 100 bytes: the smallest took [\d,]+ bytes; give a budget of at least"):
        step(budget=100, solver="auto").choose()


def test_plans_that_are_given(peak):
    plan = step(budget=peak).choose().found.plan
    given = step(budget=None, plan=plan).choose()
    assert given.found.source == "given"
    assert given.found.plan.schedule == plan.schedule
    assert given.measured_bytes == plan.peak * 7 // 8
    assert given.allowed_bytes == plan.peak
    with pytest.raises(ExecutionError, match="once compiled, over the budget of 100"):
        step(budget=100, plan=plan).choose()
    with pytest.raises(ExecutionError, match="made for another graph"):
        step_of(Net(layers=2), X, budget=None, plan=plan).choose()


def test_what_holds_no_values_is_planned_by_the_graph(monkeypatch, peak):
    monkeypatch.setattr(module, "can_run", lambda _: False)
    chosen = step(budget="100%").choose()
    assert chosen.measured_bytes is None
    assert chosen.allowed_bytes == peak
    assert chosen.found.plan.peak <= peak


class Detached(torch.nn.Module):
    """Takes weights and hands nothing on that needs their gradients."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)

    def forward(self, x):
        return self.linear(x).detach() + 1


def test_steps_that_turn_out_to_need_no_gradient():
    assert step_of(Detached(), X).choose() is None


def test_processes_share_no_answer_to_another_question():
    """Also where planners cannot be told apart, and where each process has a function of its own for costs."""
    x = torch.randn(16, 8)
    own = {"solver": lambda problem: None, "cost": lambda node: 1}
    keys = [step_of(Net(), x, budget=budget, **own).key for budget in ("50%", "60%", "50%")]
    assert keys[0] == keys[2] != keys[1]
    assert step_of(Net(), x, budget="50%", solver=lambda problem: None, cost=lambda node: 1).key == keys[0]
