"""Settings of Inductor's, and when a step is planned."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch import TorchError
from hcp.integrations.torch.inductor import backend as module
from hcp.integrations.torch.inductor.backend import fused_backend, inductor_settings
from hcp.integrations.torch.request import TorchRequest
from hcp.integrations.torch.step_planner import TorchExecutor
from tests.unit.integrations.torch.inductor.steps import Net, traced

X = torch.randn(16, 8)


def test_settings_are_what_torch_compile_makes_of_them():
    assert inductor_settings(None, None) == {}
    assert inductor_settings(None, {"epilogue_fusion": False}) == {"epilogue_fusion": False}
    assert inductor_settings("max-autotune-no-cudagraphs", None)["max_autotune"] is True


@pytest.mark.parametrize(
    ("mode", "options", "message"),
    [
        ("slow", None, r"mode 'slow' .*should be one of: default"),
        (None, {"wrong": 1}, r"options {'wrong': 1}: Unexpected optimization option wrong; torch._inductor.list_opt"),
        (None, {"epilogue_fusion": "yes"}, "got str should be bool"),
    ],
)
def test_what_inductor_does_not_know_is_told_in_a_line(mode, options, message):
    with pytest.raises(TorchError, match=message) as caught:
        inductor_settings(mode, options)
    assert len(str(caught.value)) < 300


@pytest.fixture
def seen(monkeypatch):
    """Steps in the place of real ones: what they were made with, and what was asked of them."""
    made = []

    class Step:
        def __init__(self, traced, patches, request, name, inputs, before):
            self.patches, self.request, self.inputs, self.asked = patches, request, inputs, []
            made.append(self)

        key, choose = "key", None

        def unplanned(self):
            return "unplanned"

        def program(self, plan):
            return plan

    monkeypatch.setattr(module, "FusedStep", Step)
    return made


def executor():
    request = TorchRequest(
        budget="50%", cache=False, compiler="inductor", options={"epilogue_fusion": False, "max_autotune": False}
    )
    return TorchExecutor("Net", request)


def compiled(found, **options):
    step = traced(Net(), X)
    return fused_backend(found)(step.module, step.inputs, **options)


def test_settings_of_the_call_go_before_those_of_the_request(seen, monkeypatch):
    monkeypatch.setattr(module, "once", lambda *_: None)
    compiled(executor(), options={"max_autotune": True})
    assert seen[0].patches == {"epilogue_fusion": False, "max_autotune": True}


def test_steps_without_gradients_are_not_planned(seen, monkeypatch):
    def fails(*_):
        raise AssertionError("asked for a plan")

    monkeypatch.setattr(module, "once", fails)
    with torch.no_grad():
        assert compiled(executor()) == "unplanned"


def test_the_plan_joins_the_executors(seen, monkeypatch):
    found = executor()
    monkeypatch.setattr(module, "once", lambda *_: None)
    # What takes inputs that need gradients and hands on none.
    assert compiled(found) == "unplanned"
    assert found.plans == []
    chosen = SimpleNamespace(
        found=SimpleNamespace(plan="the plan", source="planned"), measured_bytes=7, allowed_bytes=8
    )
    monkeypatch.setattr(module, "once", lambda *_: chosen)
    assert compiled(found) == "the plan"
    (plan,) = found.plans
    assert (plan.plan, plan.measured_bytes, plan.allowed_bytes, plan.source) == ("the plan", 7, 8, "planned")
