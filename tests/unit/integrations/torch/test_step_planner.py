"""What people read about the call at hand, and about why a step is planned once more."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.cost import device_of
from hcp.integrations.torch.request import TorchRequest
from hcp.integrations.torch.step_planner import TorchExecutor, lower_joint


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
