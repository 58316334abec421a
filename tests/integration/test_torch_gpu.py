"""Planned steps on a GPU where there is one, else on the CPU: gradients, budgets, random draws, precisions."""

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hcp.integrations.torch import checkpoint, measure_peak, plan_of  # noqa: E402
from hcp.integrations.torch.demo.models import GPT  # noqa: E402

# One device only: peaks are the GPU's in a process that has used it.
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# The allocator hands out blocks of 512 bytes, and libraries keep workspaces.
ROUNDED = 1.05 if DEVICE == "cuda" else 1.0


class Loss(nn.Module):
    """Layers and their loss, so that a budget for the module is one for the step."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.GELU()) for _ in range(6)])

    def forward(self, x):
        return self.layers(x).square().mean()


def gpt(dropout=0.1):
    torch.manual_seed(0)
    # Large enough that a block's rounding is nothing.
    return GPT(vocabulary=64, layers=2, width=64, heads=2, context=64, dropout=dropout).to(DEVICE)


def tokens():
    drawn = torch.randint(0, 64, (8, 65), generator=torch.Generator().manual_seed(1)).to(DEVICE)
    return drawn[:, :-1].contiguous(), drawn[:, 1:].contiguous()


def gradients(model, batch, context=None):
    model.zero_grad(set_to_none=True)
    torch.manual_seed(7)
    if context is None:
        model(*batch).backward()
    else:
        with context:
            loss = model(*batch)
        loss.backward()
    return [each.grad.clone() for each in model.parameters()]


def close(found, expected, tolerance):
    square = sum((a.float() - b.float()).square().sum() for a, b in zip(found, expected, strict=True))
    return bool(square <= tolerance**2 * sum(b.float().square().sum() for b in expected))


def test_a_plan_keeps_its_budget_and_draws_the_same_numbers():
    batch, model = tokens(), gpt()
    expected = gradients(model, batch)
    whole = measure_peak(lambda: (model.zero_grad(set_to_none=True), model(*batch).backward()))
    planned = checkpoint(gpt(), "70%", solver="eviction", time_limit=2, cache=False, quiet=True)
    assert close(gradients(planned, batch), expected, 1e-5)
    planned.zero_grad(set_to_none=True)
    peak = measure_peak(lambda: planned(*batch).backward())
    (plan,) = plan_of(planned)
    assert peak <= ROUNDED * plan.budget_bytes
    assert peak < whole


@pytest.mark.parametrize("precision", ["bfloat16", "autocast"])
def test_low_precisions_are_planned(precision):
    def context():
        return torch.autocast(DEVICE, torch.bfloat16) if precision == "autocast" else None

    def make():
        model = gpt(dropout=0.0)
        return model.to(torch.bfloat16) if precision == "bfloat16" else model

    batch = tokens()
    expected = gradients(make(), batch, context())
    planned = checkpoint(make(), "80%", solver="eviction", time_limit=2, cache=False, quiet=True)
    assert close(gradients(planned, batch, context()), expected, 2e-2)
    assert all(each.grad.dtype == each.dtype for each in planned.parameters())


@pytest.mark.skipif(DEVICE == "cpu", reason="tests/integration/test_torch_inductor.py is about compiled plans on a CPU")
def test_a_compiled_plan_keeps_its_budget():
    model = Loss().to(DEVICE)
    x = torch.randn(512, 64, generator=torch.Generator().manual_seed(1)).to(DEVICE)

    def run(module):
        module.zero_grad(set_to_none=True)
        module(x).backward()

    run(model)
    expected = [each.grad.clone() for each in model.parameters()]
    planned = checkpoint(
        copy.deepcopy(model), "80%", compiler="inductor", solver="eviction", time_limit=4, cache=False, quiet=True
    )
    run(planned)
    assert close([each.grad for each in planned.parameters()], expected, 1e-3)
    planned.zero_grad(set_to_none=True)
    (plan,) = plan_of(planned)
    assert measure_peak(lambda: planned(x).backward()) <= plan.budget_bytes
