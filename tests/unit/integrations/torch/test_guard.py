"""Calls run planned, raise, or warn: the node of the plan is found behind views, and variants are told apart."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.graph.errors import HcpError
from hcp.integrations.torch.guard import _planned_node, _variant, guarded
from hcp.integrations.torch.internals import COMPILED_NODE
from hcp.integrations.torch.request import TorchRequest
from hcp.integrations.torch.step_planner import TorchExecutor
from hcp.runtime import FallbackWarning

X = torch.ones(2, 2)


def test_variants():
    module = nn.Linear(2, 2)
    same = _variant(module, (X,), {})
    assert _variant(module, (X + 1,), {}) == same
    assert _variant(module, (X[:1],), {}) != same
    assert _variant(module, (X.double(),), {}) != same
    assert _variant(module, (X,), {"scale": 1}) != _variant(module, (X,), {"scale": 2})
    assert _variant(module.eval(), (X,), {}) != same


def test_unplanned_variants_warn_once():
    module, calls = nn.Linear(2, 2), []

    def fails(*_args):
        calls.append(1)
        raise HcpError("nothing fits")

    executor = TorchExecutor("Linear", TorchRequest(budget="50%", fallback="warn"))
    run = guarded(module, module.forward, executor, fails)
    with pytest.warns(FallbackWarning, match=r"Linear runs unplanned on float32\[2, 2\].*nothing fits"):
        assert torch.equal(run(X), module(X))
    assert torch.equal(run(X + 1), module(X + 1))
    assert len(calls) == 1
    with pytest.warns(FallbackWarning, match=r"float32\[1, 2\]"):
        run(X[:1])
    strict = guarded(module, module.forward, TorchExecutor("Linear", TorchRequest(budget="50%")), fails)
    with pytest.raises(HcpError, match="nothing fits"):
        strict(X)
    assert executor.called_with is None


def test_the_planned_node_is_found_through_views():
    class Planned(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, gradient):
            return gradient

    made = Planned.apply(X.clone().requires_grad_())
    type(made.grad_fn).__name__ = COMPILED_NODE
    assert _planned_node(made.grad_fn) is made.grad_fn
    assert _planned_node(made.view(4).t().grad_fn) is made.grad_fn
    assert _planned_node((made + made).grad_fn) is None
    assert _planned_node(None) is None
