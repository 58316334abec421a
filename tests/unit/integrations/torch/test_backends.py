"""Which backend runs a planned step, and what each takes."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch import TorchError, backend
from hcp.integrations.torch.backends import backend_of
from hcp.integrations.torch.request import TorchRequest
from hcp.integrations.torch.step_planner import TorchExecutor


def executor(**options):
    return TorchExecutor("Net", TorchRequest(budget="100%", solver="keep_all", cache=False, quiet=True, **options))


def test_operation_by_operation():
    found = executor()
    module = nn.Linear(4, 4)
    torch.compile(module, backend=backend_of(found), fullgraph=True, dynamic=False)(torch.ones(2, 4)).sum().backward()
    assert module.weight.grad is not None
    (plan,) = found.plans
    assert plan.allowed_bytes is None


def test_inductors_takes_a_mode(monkeypatch):
    from hcp.integrations.torch.inductor import backend as inductor

    monkeypatch.setattr(inductor, "fused_backend", lambda executor: executor)
    asked = executor(compiler="inductor")
    assert backend_of(asked) is asked


def test_only_inductor_takes_a_mode_or_options():
    planned = backend("100%", solver="keep_all", cache=False, quiet=True)
    with pytest.raises(TorchError, match="given mode and options, which only Inductor takes; give backend"):
        planned(None, (), mode="max-autotune", options={})
