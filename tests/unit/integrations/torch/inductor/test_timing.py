"""Kernels as graphs of their own, each distinct one timed once."""

import pytest

pytest.importorskip("torch")

import torch
from torch import fx

from hcp.integrations.measurements import Measurements
from hcp.integrations.torch.inductor import timing
from hcp.integrations.torch.inductor.kernels import Kernel
from hcp.integrations.torch.inductor.timing import graph_of, kernel_times

aten = torch.ops.aten


@pytest.fixture
def kernels():
    """Two equal chains over views of what they read, and another one."""
    graph = fx.Graph()
    x = graph.placeholder("x")
    found = []
    for last in (aten.exp.default, aten.exp.default, aten.sin.default):
        turned = graph.call_function(aten.permute.default, (x, [1, 0]))
        inner = graph.call_function(aten.tanh.default, (turned,))
        found.append((inner, graph.call_function(last, (inner,))))
    for node in graph.nodes:
        node.meta["val"] = torch.empty(4, 4)
    return [Kernel(operations, (x,), operations[-1:]) for operations in found]


def test_a_kernel_by_itself_computes_the_same(kernels):
    given = torch.randn(4, 4)
    (made,) = fx.GraphModule({}, graph_of(kernels[0]))(given)
    assert torch.equal(made, given.t().tanh().exp())


def test_kernels_that_differ_in_names_alone_are_timed_once(kernels, monkeypatch):
    monkeypatch.setattr(timing, "compile_kernel", lambda module, inputs: module)
    timed = []
    monkeypatch.setattr(timing, "call_time", lambda call, layouts: timed.append(call) or 10 * len(timed))
    times = Measurements(None)
    assert list(kernel_times(kernels, times).values()) == [10, 10, 20]
    # And not again.
    assert list(kernel_times(kernels, times).values()) == [10, 10, 20]
    assert len(timed) == 2
