"""A whole training step as a function, with the loss in the plan: eager's gradients, the planned peak to the byte."""

import copy
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from hcp.integrations.torch import (  # noqa: E402
    CaptureError,
    TorchError,
    capture_graph,
    checkpoint,
    max_batch,
    measure_peak,
    plan_for,
    plan_of,
)
from hcp.integrations.torch.demo.models import GPT, MLP, ResNet  # noqa: E402

OPTIONS = {"solver": "eviction", "quiet": True, "cache": False}


def language():
    model = GPT(layers=2, width=32, heads=2, context=16, vocabulary=64)
    ids = torch.randint(64, (8, 17), generator=torch.Generator().manual_seed(1))

    def loss_of(batch):
        logits = model(batch[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())

    return [model], loss_of, (ids,)


def images():
    model = ResNet()
    x = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(1))

    def loss_of(batch, scale=2.0):
        return functional.mse_loss(model(batch["x"]).flatten(1).mean(1), batch["y"]) * scale

    return [model], loss_of, ({"x": x, "y": torch.ones(8)},)


def two_models():
    """A student and a frozen teacher, in an object that has the step as a method."""

    class Distilling:
        def __init__(self):
            self.student, self.teacher = MLP(32, 4, 16), MLP(32, 3, 16).requires_grad_(False)

        def loss_of(self, x):
            with torch.no_grad():
                wanted = self.teacher(x)
            return functional.mse_loss(self.student(x), wanted)

    task = Distilling()
    return [task.student, task.teacher], task.loss_of, (torch.randn(64, 32),)


def gradients(models, loss):
    found = [None if p.grad is None else p.grad.clone() for model in models for p in model.parameters()]
    for model in models:
        model.zero_grad()
    return [loss.detach(), *(gradient for gradient in found if gradient is not None)]


@pytest.mark.parametrize("make", [language, images, two_models])
def test_the_loss_is_in_the_plan(make):
    torch.manual_seed(0)
    models, loss_of, args = make()
    state = copy.deepcopy([model.state_dict() for model in models])
    ahead = plan_for(loss_of, args, budget="75%", **OPTIONS)
    planned = checkpoint(loss_of, plan=ahead)
    found = []
    for function in (loss_of, planned):
        for model, before in zip(models, state, strict=True):
            model.load_state_dict(before)
        torch.manual_seed(5)
        for _ in range(2):
            loss = function(*args)
            loss.backward()
            found.append(gradients(models, loss))
    assert len(found[0]) > 5
    for eager, mine in zip(found[:2], found[2:], strict=True):
        assert all(map(torch.equal, eager, mine))
    assert plan_of(planned)[0].schedule == ahead.schedule
    assert ahead.overhead > 0
    assert measure_peak(lambda: planned(*args).backward()) == ahead.peak_bytes <= ahead.budget_bytes


def test_a_function_is_planned_at_its_first_call():
    models, loss_of, args = images()
    planned = checkpoint(loss_of, "80%", **OPTIONS)
    with pytest.raises(TorchError, match="loss_of has no plan yet"):
        plan_of(planned)
    with torch.no_grad():
        assert torch.equal(planned(*args, scale=3.0), loss_of(*args, scale=3.0))
    for _ in range(3):
        planned(*args).backward()
        models[0].zero_grad()
    (plan,) = plan_of(planned)
    assert plan.source == "planned"
    assert plan.graph.name == "loss_of"
    assert measure_peak(lambda: planned(*args).backward()) == plan.peak_bytes
    graph = capture_graph(loss_of, args)
    assert [node.op for node in graph.nodes] == [node.op for node in plan.plan.problem.graph.nodes]
    with pytest.raises(CaptureError, match="loss_of is compiled or planned already"):
        checkpoint(planned, "75%")


def test_a_module_may_hold_its_own_step():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = MLP(8, 3, 4)
            self.step = checkpoint(self.loss_of, "100%", **OPTIONS)

        def loss_of(self, x):
            return self.body(x).square().mean()

    model, x = Model(), torch.ones(4, 8)
    model.step(x).backward()
    assert len(plan_of(model.step)) == 1
    assert all(name.startswith("body.") for name in model.state_dict())
    found = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    model.loss_of(x).backward()
    assert all(torch.equal(mine, p.grad) for mine, p in zip(found, model.parameters(), strict=True))


def test_what_was_not_found_is_planned_all_the_same():
    """A parameter behind a call is no module that is found; that of the frozen one beside it is."""
    frozen, free = nn.Linear(8, 8).requires_grad_(False), nn.Parameter(torch.ones(8))

    def loss_of(x):
        return (frozen(x).tanh() * free).square().mean()

    planned = checkpoint(loss_of, "100%", **OPTIONS)
    planned(torch.ones(4, 8)).backward()
    assert len(plan_of(planned)) == 1
    assert free.grad is not None


def test_lengths_and_the_largest_batch():
    model = MLP(16, 4, 16)

    def loss_of(x):
        return model(x).square().mean()

    planned = checkpoint(loss_of, "90%", max_length=32, **OPTIONS)
    for length in (9, 32, 20):
        planned(torch.ones(4, length, 16)).backward()
    assert [plan.source for plan in plan_of(planned)].count("planned") == 1
    found = max_batch(loss_of, lambda batch: (torch.ones(batch, 16),), 40_000, solver="eviction", most=64)
    assert found.planned >= found.keep_everything >= 1
    wanted = max_batch(partial(loss_of), lambda batch: (torch.ones(batch, 16),), 40_000, solver="eviction", most=64)
    assert (found.keep_everything, found.planned) == (wanted.keep_everything, wanted.planned)


def test_neither_module_nor_function():
    for call in (
        lambda step: checkpoint(step, "75%"),
        lambda step: plan_for(step, (), budget="75%"),
        lambda step: capture_graph(step, ()),
        lambda step: max_batch(step, lambda _: (), 1000),
    ):
        with pytest.raises(TorchError, match=r"\(\) got 'int' object; give it a torch.nn.Module, or a function that"):
            call(3)
