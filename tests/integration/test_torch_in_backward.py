"""Optimizers that take gradients in the backward: the same parameters, and no gradient stays."""

import pytest

torch = pytest.importorskip("torch")

from hcp.integrations.torch import TorchError, checkpoint, measure_peak, plan_for, plan_of  # noqa: E402
from hcp.integrations.torch.demo.models import GPT  # noqa: E402

TOKENS = torch.randint(0, 64, (2, 17), generator=torch.Generator().manual_seed(5))
BATCH = TOKENS[:, :-1].contiguous(), TOKENS[:, 1:].contiguous()
OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, foreach=False),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, foreach=False),
}


def model(make=None):
    torch.manual_seed(0)
    made = GPT(layers=3, width=64, heads=2, context=16, vocabulary=64, dropout=0.0)
    if make is not None:
        optimizers = {parameter: make([parameter]) for parameter in made.parameters()}

        def step(parameter):
            optimizers[parameter].step()
            optimizers[parameter].zero_grad()

        for parameter in made.parameters():
            parameter.register_post_accumulate_grad_hook(step)
    return made


def train(module, steps=3):
    for _ in range(steps):
        module(*BATCH).backward()
    return list(module.parameters())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_the_same_and_no_gradient_stays(name):
    make = OPTIMIZERS[name]
    planned = checkpoint(model(make), "80%", optimizer_in_backward=True, time_limit=2, quiet=True, cache=False)
    assert all(torch.equal(a, b) for a, b in zip(train(planned), train(model(make)), strict=True))
    assert all(parameter.grad is None for parameter in planned.parameters())
    (plan,) = plan_of(planned)
    kept = checkpoint(model(), "100%", quiet=True, cache=False)
    train(kept, 1)
    (whole,) = plan_of(kept)
    parameters = sum(parameter.numel() * 4 for parameter in planned.parameters())
    largest = max(parameter.numel() * 4 for parameter in planned.parameters())
    # Of the gradients only the loss's own is left, and what every schedule has to hold is less.
    assert whole.gradient_bytes == parameters
    assert plan.gradient_bytes == 0
    assert plan.graph.index.least_bytes < whole.graph.index.least_bytes - parameters // 2
    assert plan.budget_bytes < whole.graph.index.least_bytes
    measured = measure_peak(lambda: planned(*BATCH).backward())
    assert plan.peak_bytes - 2 * largest - 64 <= measured <= plan.peak_bytes


def test_hooks_without_the_option_run_after_the_backward():
    make = OPTIMIZERS["sgd"]
    planned = checkpoint(model(make), "100%", time_limit=2, quiet=True, cache=False)
    assert all(torch.equal(a, b) for a, b in zip(train(planned), train(model(make)), strict=True))
    assert plan_of(planned)[0].gradient_bytes > 0


def test_compiled_plans_call_no_hooks():
    with pytest.raises(TorchError, match="compiled plans call no hooks in their backward; give compiler='aot_eager'"):
        checkpoint(model(), "80%", optimizer_in_backward=True, compiler="inductor")


def test_a_plan_made_ahead_serves():
    module = model(OPTIMIZERS["sgd"])
    plan = plan_for(module, BATCH, budget="80%", optimizer_in_backward=True, time_limit=1, quiet=True)
    planned = checkpoint(module, plan=plan, optimizer_in_backward=True, quiet=True)
    assert all(torch.equal(a, b) for a, b in zip(train(planned), train(model(OPTIMIZERS["sgd"])), strict=True))
    assert plan_of(planned)[0].peak_bytes == plan.peak_bytes
