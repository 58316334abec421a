"""What people read about the call at hand, and about why a step is planned once more."""

import itertools

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch import step_planner
from hcp.integrations.torch.boundary import Boundary
from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.cost import device_of
from hcp.integrations.torch.errors import BudgetWarning
from hcp.integrations.torch.joint_graph import lower_joint
from hcp.integrations.torch.request import TorchRequest
from hcp.integrations.torch.step_planner import TorchExecutor


def executor(**options):
    # Asked for by no other test, so that no plan is known.
    request = TorchRequest(**{"budget": "100%", "solver": "keep_all", "cache": False, "time_limit": 12.5} | options)
    return TorchExecutor("Net", request)


def test_inputs_in_words():
    made = executor()
    assert made.inputs() == ""
    made.called_with = ((torch.ones(2, 3), [torch.ones(4, dtype=torch.int64)]), {"scale": 2.0, "mask": None})
    assert made.inputs() == "float32[2, 3], int64[4], 2.0"


def test_each_variant_says_which_it_is(capsys):
    made = executor(dynamic=False)
    for rows in (2, 3):
        made.step(trace(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), (torch.ones(rows, 4),), {}))
    lines = [line for line in capsys.readouterr().err.splitlines() if "planning" in line]
    assert "again" not in lines[0]
    assert "planning Net again, as this is variant 2 of its shapes and modes" in lines[1]
    assert [plan.source for plan in made.plans] == ["planned"] * 2


def test_other_shapes_take_a_plan_over(capsys):
    made = executor(time_limit=12.75)
    for rows in (2, 3, 4):
        made.step(trace(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), (torch.ones(rows, 4),), {}))
    assert [plan.source for plan in made.plans] == ["planned", "carried over", "carried over"]
    assert made.allowed == made.plans[-1].budget_bytes == made.plans[-1].keep_everything_bytes
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "took the plan for Net over" in line]) == 1
    made.step(trace(nn.Linear(4, 4), (torch.ones(2, 4),), {}))
    # Keeping everything needs no plan of another shape.
    assert made.plans[-1].source == "carried over"


def test_a_plan_is_for_a_graph_and_not_yet_in_force():
    made = executor(quiet=True)
    joint = trace(nn.Linear(4, 4), (torch.ones(2, 4),), {})
    graph = lower_joint(joint, "roofline", made.name, False).graph
    assert made.plan_graph(graph, device_of(joint.primals)).graph.fingerprint == graph.fingerprint
    assert not made.plans


SEEDS = itertools.count()


def watched(**options):
    """An executor whose first step is watched, as those of modules are; no plan of another's is known."""
    asked = {"budget": "80%", "solver": "cpsat", "quiet": True, "time_limit": 2.5, "seed": next(SEEDS)}
    made = executor(**asked | options)
    made.called_with = ()
    return made


def deep(rows=64):
    body = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(16, 16), nn.Tanh())))
    return trace(body, (torch.ones(rows, 16),), {})


def test_a_first_plan_is_searched_for_once_it_was_seen_what_the_program_does():
    made = watched()
    step = made.step(deep())
    assert made.waiting == [step]
    assert step.provisional
    first = step.plan
    seen = Boundary(held=64, after=32)
    assert step.renew(seen) is not None
    assert (step.provisional, made.waiting, made.plans) == (False, [], [step.plan])
    assert step.plan.between == step.between == seen
    assert step.plan.gap < first.gap
    # Nothing new was seen since.
    assert step.renew(None) is None
    assert step.renew(seen) is None


def test_where_nothing_was_seen_the_second_call_or_a_look_searches():
    made = watched()
    step = made.step(deep())
    made.settle(unseen=False)
    assert step.provisional
    assert step.renew(None) is not None
    assert (step.provisional, step.plan.between, made.waiting) == (False, None, [])
    looked = watched()
    step = looked.step(deep())
    looked.settle(unseen=True)
    assert looked.plans == [step.plan]
    assert not step.provisional
    # What runs changes with the next call.
    assert step.renew(None) is not None


def test_a_plan_taken_over_from_a_first_one_is_taken_over_again():
    made = watched()
    large, small = made.step(deep()), made.step(deep(48))
    assert [plan.source for plan in made.plans] == ["planned", "carried over"]
    assert small.provisional
    large.renew(Boundary(after=32))
    assert not small.provisional
    assert made.plans == [large.plan, small.plan]
    assert small.plan.source == "carried over"
    assert small.plan.overhead <= large.plan.overhead
    assert small.renew(None) is not None


def test_where_no_plan_leaves_room_for_the_loss_the_step_is_still_searched_for():
    made = watched()
    step = made.step(deep())
    with pytest.warns(BudgetWarning, match="with what the program does between"):
        assert step.renew(Boundary(after=10**9)) is not None
    assert (step.provisional, step.plan.between) == (False, None)
    # It is not asked for again.
    assert step.renew(Boundary(after=10**9)) is None


def test_a_search_that_is_stopped_is_made_by_the_next_call(monkeypatch):
    made = watched()
    step = made.step(deep())

    def stopped(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step_planner, "search", stopped)
        with pytest.raises(KeyboardInterrupt):
            made.settle(unseen=True)
    assert step.provisional
    assert step.renew(None) is not None
