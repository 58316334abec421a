"""Configurations that name one way to plan, and modules that report."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp import keep_everything, replay
from hcp.graph.instances import unet
from hcp.integrations.torch import HCConfig, HCModule, TorchError
from hcp.integrations.torch.module import BlockPlan

QUIET = {"cache": False, "quiet": True}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": "50%", "planner": "auto", "block_size": 3}, "planner and block_size, which exclude each other"),
        ({"block_size": 3, "custom_planner": keep_everything}, "block_size and custom_planner"),
        ({}, "has no budget"),
        ({"planner": "auto"}, "has no budget"),
    ],
)
def test_configurations_name_one_way(options, message):
    with pytest.raises(TorchError, match=message):
        HCConfig(**options)


def test_what_makes_the_schedule():
    assert HCConfig(budget="50%").given is None
    assert HCConfig(custom_planner=keep_everything).given is keep_everything
    assert HCConfig(block_size=3, budget="50%").given == BlockPlan(3, "50%")


def test_blocks_within_a_budget():
    graph = unet(4)
    whole = replay(graph, keep_everything(graph)).peak
    assert replay(graph, BlockPlan("sqrt")(graph)).peak < whole
    assert replay(graph, BlockPlan("tuned", "80%")(graph)).peak <= whole * 8 // 10


def test_a_module_and_its_report():
    module = HCModule(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), HCConfig(budget="100%", planner="keep_all", **QUIET))
    with pytest.raises(TorchError, match="has no plan yet"):
        module.report()
    loss = module(torch.ones(2, 4)).sum()
    module.backward(loss)
    assert all(p.grad is not None for p in module.parameters())
    assert module.plan is module.executor.plans[-1]
    assert module.report() == module.plan.report()
    with pytest.raises(TorchError, match="the loss needs no gradient"):
        module.backward(loss.detach())
    assert set(module.state_dict()) == {"module.0.weight", "module.0.bias"}
