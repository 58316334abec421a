"""Which backend runs a planned step, and what each takes."""

import sys

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch import TorchError, TorchVersionError, backend
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


def test_an_inductor_that_lacks_something_is_refused(monkeypatch):
    # What an older PyTorch would do where a name is not there yet.
    monkeypatch.setitem(sys.modules, "hcp.integrations.torch.inductor.backend", None)
    with pytest.raises(TorchVersionError, match=r"with PyTorch .*; it was tested with 2\.13"):
        backend_of(executor(compiler="inductor"))


def test_only_inductor_takes_a_mode_or_options():
    planned = backend("100%", solver="keep_all", cache=False, quiet=True)
    with pytest.raises(TorchError, match="given mode and options, which only Inductor takes; give backend"):
        planned(None, (), mode="max-autotune", options={})
