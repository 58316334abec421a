"""Schedules as code: what runs in which half, what is saved between them, and that results stay."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp import Compute, Schedule, keep_everything
from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.emit import emit
from hcp.integrations.torch.joint_graph import lower_joint
from hcp.integrations.torch.lower import BOUNDARY

X = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def lowered():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh())
    return lower_joint(trace(module, (X,), {}), "roofline", "net", False)


def late(graph):
    """Everything of the forward again behind the boundary."""
    at = graph.order.index(BOUNDARY)
    return Schedule.from_computes(graph, (*graph.order[: at + 1], *graph.order[:at], *graph.order[at + 1 :]))


def run(split, lowered):
    torch.manual_seed(1)
    primals = [torch.randn(primal.meta["val"].shape) for primal in lowered.program.joint.primals]
    tangents = [torch.ones(tangent.meta["val"].shape) for tangent in lowered.program.joint.tangents]
    outputs, saved = split_at(split.forward(*primals), len(lowered.program.joint.outputs))
    there = {tensor.data_ptr() for tensor in (*primals, *outputs)}
    return outputs, split.backward(*saved, *tangents), [t for t in saved if t.data_ptr() not in there]


def split_at(items, place):
    return items[:place], items[place:]


def calls(graph):
    return [node for node in graph.graph.nodes if node.op == "call_function"]


def placeholders(graph):
    return [node.name for node in graph.graph.nodes if node.op == "placeholder"]


def test_recomputation_moves_operations_and_saves_less(lowered):
    kept, again = (emit(lowered, schedule) for schedule in (keep_everything(lowered.graph), late(lowered.graph)))
    outputs, gradients, saved = run(kept, lowered)
    same, equal, fewer = run(again, lowered)
    assert all(map(torch.equal, outputs, same))
    for one, other in zip(gradients, equal, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)
    assert len(calls(again.backward)) > len(calls(kept.backward))
    # What the step made is made again, from weights and inputs alone.
    assert saved
    assert not fewer


def test_saved_tensors_come_before_tangents(lowered):
    split = emit(lowered, keep_everything(lowered.graph))
    names = placeholders(split.backward)
    tangents = [place for place, name in enumerate(names) if "tangents" in name]
    assert tangents == list(range(len(names) - len(tangents), len(names)))
    assert len(names) - len(tangents) == len(saved_of(split, lowered))


def saved_of(split, lowered):
    (output,) = split.forward.graph.find_nodes(op="output")
    return output.args[0][len(lowered.program.joint.outputs) :]


def test_the_order_is_the_schedules(lowered):
    graph = lowered.graph
    split = emit(lowered, keep_everything(graph))
    at = graph.order.index(BOUNDARY)
    own = [node for node in calls(split.forward) if not any(v.target == node.target for v in lowered.views)]
    expected = [lowered.computes[name][0].target for name in graph.order[:at]]
    assert [node.target for node in own] == expected
    assert [action.node for action in keep_everything(graph).actions if isinstance(action, Compute)] == [*graph.order]
