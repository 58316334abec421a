"""Ctrl-C while a step is planned stops the program: nothing trains on a plan cut short, and nothing stays of it."""

from dataclasses import dataclass, field

import pytest

torch = pytest.importorskip("torch")

from hcp.integrations.torch import TorchError, checkpoint, max_batch, plan_for, plan_of  # noqa: E402
from hcp.integrations.torch.demo.models import MLP  # noqa: E402
from hcp.planning.problem import Problem  # noqa: E402
from hcp.planning.solution import Solution, Status  # noqa: E402
from hcp.schedule.actions import keep_everything  # noqa: E402
from hcp.schedule.replay import replay  # noqa: E402

X = torch.ones(4, 8)
STOPPED = "planning of MLP was stopped by the user"


@dataclass
class Stopped:
    """Keeps everything where that fits; the user stops its first search."""

    asked: list[Problem] = field(default_factory=list, repr=False)

    def __call__(self, problem: Problem) -> Solution:
        self.asked.append(problem)
        whole = keep_everything(problem.graph)
        fits = replay(problem.graph, whole).peak <= problem.budget
        found, status = (whole, Status.FEASIBLE) if fits else (None, Status.NO_SOLUTION)
        return Solution(found, status, interrupted=len(self.asked) == 1)


@pytest.mark.parametrize("fallback", ["error", "warn"])
def test_a_call_ends_with_it_and_the_next_one_plans_afresh(fallback, tmp_path):
    model, solver = MLP(8, 3, 4), Stopped()
    checkpoint(model, "100%", solver=solver, fallback=fallback, cache=tmp_path)
    with pytest.raises(KeyboardInterrupt, match=STOPPED):
        model(X)
    assert len(solver.asked) == 1
    assert not list(tmp_path.iterdir())
    with pytest.raises(TorchError, match="has no plan yet"):
        plan_of(model)
    reference = MLP(8, 3, 4)
    reference.load_state_dict(model.state_dict())
    for each in (model, reference):
        each(X).sum().backward()
    assert len(solver.asked) == 2
    (plan,) = plan_of(model)
    assert plan.source == "planned"
    pairs = zip(model.parameters(), reference.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)


def test_planning_ahead_ends_with_it():
    with pytest.raises(KeyboardInterrupt, match=STOPPED):
        plan_for(MLP(8, 3, 4), (X,), budget="100%", solver=Stopped())


def test_no_further_batch_is_planned_after_it():
    solver = Stopped()
    with pytest.raises(KeyboardInterrupt, match=STOPPED):
        max_batch(MLP(8, 3, 4), lambda batch: (torch.ones(batch, 8),), 1000, solver=solver, most=64)
    assert len(solver.asked) == 1
