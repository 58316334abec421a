"""Captured fx graphs as hcp's: values by storage, and errors that name what is missing."""

import pytest

pytest.importorskip("torch")

import torch
from torch import fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from hcp import GraphError
from hcp.integrations.torch.errors import CaptureError
from hcp.integrations.torch.fx_builder import from_pytorch_fx

X = torch.ones(4, 8)


def test_values_are_storages():
    graph = from_pytorch_fx(make_fx(lambda x: torch.sin(torch.tanh(x).t()))(X))
    first, second = graph.nodes
    assert "tanh" in first.op + first.name
    assert "sin" in second.op + second.name
    assert [value.bytes for node in graph.nodes for value in node.outputs] == [X.nbytes, X.nbytes]
    assert graph.values[graph.nodes[-1].outputs[0].name].resident
    assert [value.bytes for value in graph.inputs] == [X.nbytes]


def test_shapes_have_to_be_there():
    traced = fx.symbolic_trace(nn.Tanh())
    with pytest.raises(CaptureError, match="give"):
        from_pytorch_fx(traced)
    assert len(from_pytorch_fx(traced, (X,)).nodes) == 1


def test_a_module_without_operations():
    with pytest.raises(GraphError, match="no nodes"):
        from_pytorch_fx(make_fx(lambda x: x)(X))


@pytest.mark.parametrize(
    "capture",
    [fx.symbolic_trace, lambda module: torch.export.export(module, (X,)).module()],
    ids=["symbolic_trace", "export"],
)
def test_nodes_say_which_module_they_come_from_and_not_where_pytorch_defines_it(capture):
    graph = from_pytorch_fx(capture(nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.Tanh()))), (X,))
    assert [node.source for node in graph.nodes] == ["0", "1.0"]
