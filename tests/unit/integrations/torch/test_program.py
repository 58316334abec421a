"""What a planner asks of captured nodes: what they take, draw, write, and wait for."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.program import Program, is_random, tensor_bytes, writes_input

aten = torch.ops.aten


class Attends(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.dropout = dropout

    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=self.dropout)


def program(module, *shape):
    return Program(trace(module, (torch.randn(shape, requires_grad=True),), {}))


def test_bytes_are_those_of_all_items():
    found = {node.target: tensor_bytes(node) for node in program(nn.MaxPool1d(2), 1, 2, 8).operations}
    # Maxima and their places.
    assert found[aten.max_pool2d_with_indices.default] == 8 * 4 + 8 * 8


@pytest.mark.parametrize(("dropout", "random"), [(0.0, False), (0.5, True)])
def test_attention_is_random_where_it_drops(dropout, random):
    nodes = program(Attends(dropout), 1, 2, 8, 4).operations
    assert any(map(is_random, nodes)) == random


def test_writes(monkeypatch):
    graph = torch.fx.Graph()
    x = graph.placeholder("x")
    assert writes_input(graph.call_function(aten.add_.Tensor, (x, 1)))
    assert not writes_input(graph.call_function(aten.add.Tensor, (x, 1)))
    assert not writes_input(graph.call_function(len, (x,)))


def test_what_needs_the_gradient_of_the_loss():
    made = program(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), 2, 4)
    behind = made.depends_on_tangents()
    tanh = next(node for node in made.operations if node.target is aten.tanh.default)
    assert tanh not in behind
    assert behind >= {node for node in made.joint.gradients if node is not None}


def test_orders_add_up():
    made = program(nn.Tanh(), 2)
    first, second, third = list(made.operations)[:3]
    made.order(third, first)
    made.order(third, second)
    assert made.after == {third: [first, second]}
