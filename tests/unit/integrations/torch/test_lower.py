"""Joint graphs as hcp's graphs: storages are values, views vanish, and a boundary parts forward and backward."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp import keep_everything, replay
from hcp.integrations.torch import capture_graph
from hcp.integrations.torch.lower import BOUNDARY


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(8, 8)

    def forward(self, x):
        return self.inner(x).t().tanh().sum()


class Drops(Net):
    def forward(self, x):
        return nn.functional.dropout(self.inner(x), 0.5).sum()


X = torch.ones(4, 8)


@pytest.fixture(scope="module")
def graph():
    return capture_graph(Net(), (X,))


def test_views_are_no_nodes(graph):
    assert not any(".t." in node.op or "view" in node.op or "expand" in node.op for node in graph.nodes)
    assert any("tanh" in node.op for node in graph.nodes)


def test_parameters_and_inputs_are_no_values(graph):
    assert not graph.inputs
    assert all(name in graph.producer for name in graph.values)


def test_kinds(graph):
    kinds = {kind: [v for v in graph.values.values() if v.kind == kind] for kind in ("output", "gradient")}
    assert [value.bytes for value in kinds["output"]] == [4]
    made = {value.bytes for value in kinds["gradient"]}
    # Of the weight, of the bias, and of the loss, which comes from outside.
    assert made == {4 * 8 * 8, 4 * 8, 4}
    assert all(value.resident for values in kinds.values() for value in values)


def test_the_boundary_parts_forward_and_backward(graph):
    boundary = graph.node[BOUNDARY]
    assert not boundary.recomputable
    before = set(graph.order[: graph.order.index(BOUNDARY)])
    # What needs the gradient of the loss comes behind it.
    (tangent,) = (value.name for value in boundary.outputs)
    assert not any(tangent in graph.node[name].inputs for name in before)
    assert replay(graph, keep_everything(graph)).peak > 0


def test_random_draws_are_ordered_by_tokens_of_no_bytes():
    graph = capture_graph(Drops(), (X,))
    (draw,) = (node for node in graph.nodes if any(value.name.endswith(":done") for value in node.outputs))
    (token,) = (value for value in draw.outputs if value.name.endswith(":done"))
    assert token.bytes == 0
    # It is a part of the forward, whatever happens to its result.
    assert token.name in graph.node[BOUNDARY].inputs


def line_of(text):
    return 1 + next(i for i, line in enumerate(Path(__file__).read_text().splitlines()) if line.strip() == text)


def test_nodes_say_where_they_come_from(graph):
    line = line_of("return self.inner(x).t().tanh().sum()")
    of_layer, of_net = f"inner: test_lower.py:{line}", f"test_lower.py:{line}"
    assert {node.op: node.source for node in graph.nodes} == {
        "aten.addmm.default": of_layer,
        "aten.tanh.default": of_net,
        "aten.sum.default": of_net,
        "boundary": "",
        # Nodes of the backward pass belong to forward ones.
        "aten.tanh_backward.default": of_net,
        "aten.mm.default": of_layer,
        "aten.sum.dim_IntList": of_layer,
    }
