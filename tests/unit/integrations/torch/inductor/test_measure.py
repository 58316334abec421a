"""The peak of a compiled step, measured without leaving a trace."""

import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch.inductor.measure import can_run, step_peak, written_inputs
from hcp.integrations.torch.internals import FakeTensorMode, input_place
from tests.unit.integrations.torch.inductor.steps import step_named

KIB = 1024


def test_steps_with_values_can_run():
    assert can_run((torch.ones(2), 3))
    assert not can_run((torch.ones(2), torch.ones(2, device="meta")))
    with FakeTensorMode():
        assert not can_run((torch.ones(2),))


def test_written_inputs_are_the_buffers():
    step = step_named("net")
    (place,) = step.written
    assert step.traced.inputs[place].shape == (8,)
    assert not step.traced.inputs[place].requires_grad
    assert written_inputs(step.joint) <= {input_place(primal) for primal in step.joint.primals}


@pytest.mark.parametrize("enabled", [True, False])
def test_nothing_is_left_changed(enabled):
    weight = torch.nn.Parameter(torch.ones(KIB))
    hooked = []
    weight.register_hook(hooked.append)
    buffer, x = torch.zeros(KIB), torch.ones(KIB)
    runs = []

    def step(weight, buffer, x):
        runs.append(torch.is_grad_enabled())
        buffer.add_(1)
        # The mask and the product are held for the backward.
        return ((weight * x) * torch.rand_like(x)).sum()

    torch.manual_seed(3)
    state = torch.get_rng_state()
    with torch.set_grad_enabled(enabled):
        peak = step_peak(step, (weight, buffer, x), {1})
    assert runs == [True, True]
    assert peak >= 2 * KIB * 4
    assert (weight.grad, hooked) == (None, [])
    assert torch.equal(buffer, torch.zeros(KIB))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_peak_is_what_a_step_holds():
    weight = torch.nn.Parameter(torch.ones(256 * KIB))
    # The output, its gradient, and the weight's.
    peaks = [step_peak(lambda weight: 3.0 * weight, (weight,), ()), step_peak(lambda weight: -weight, (weight,), ())]
    assert all(3 * KIB * KIB <= peak < 4 * KIB * KIB for peak in peaks)
