"""A planned module is used as any other: names, modes, shapes, copies of plans, frozen parameters."""

import logging

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hcp.integrations.torch import capture_graph, checkpoint, measure_peak, plan_of  # noqa: E402
from hcp.integrations.torch.demo.models import MLP  # noqa: E402
from hcp.schedule.actions import keep_everything  # noqa: E402
from hcp.schedule.replay import replay  # noqa: E402
from tests.integration.training_steps import STEPS, random_schedule  # noqa: E402


def test_type_and_names_stay():
    step = STEPS["gpt"]
    model, reference = step.model(), step.model()
    assert checkpoint(model, "100%", solver="keep_all") is model
    step.run(model)
    assert type(model) is type(reference)
    assert list(model.state_dict()) == list(reference.state_dict())
    reference.load_state_dict(model.state_dict())


def test_calls_without_gradient_run_without_a_plan():
    step = STEPS["resnet"]
    model, reference = checkpoint(step.model(), "100%", solver="keep_all"), step.model()
    model.eval()
    reference.eval()
    with torch.no_grad():
        assert torch.equal(model(*step.inputs), reference(*step.inputs))
    with pytest.raises(ValueError, match="no plan yet"):
        plan_of(model)


def test_each_variant_has_a_plan_of_its_own():
    step = STEPS["shared norm"]
    model, reference = checkpoint(step.model(), plan=lambda graph: random_schedule(graph, 0.2, seed=1)), step.model()
    for training in (True, False):
        for inputs in (step.inputs, tuple(item[:2] for item in step.inputs)):
            for each in (model, reference):
                each.train(training)
                each.zero_grad()
                each(*inputs).backward()
            pairs = zip(model.parameters(), reference.parameters(), strict=True)
            assert all(torch.equal(a.grad, b.grad) for a, b in pairs)
    assert len(plan_of(model)) == 4


def test_frozen_parameters_get_no_gradient():
    x = torch.randn(16, 8)
    model, reference = MLP(8, 3, 4), MLP(8, 3, 4)
    reference.load_state_dict(model.state_dict())
    for each in (model, reference):
        each.hidden[0].requires_grad_(False)
    checkpoint(model, plan=lambda graph: random_schedule(graph, 0.3, seed=2))
    for each in (model, reference):
        each(x).square().sum().backward()
    assert model.hidden[0].weight.grad is None
    assert torch.equal(model.head.weight.grad, reference.head.weight.grad)
    assert torch.equal(model.hidden[1].weight.grad, reference.hidden[1].weight.grad)


def test_retain_graph_gives_the_same_gradients_again():
    model = checkpoint(MLP(8, 3, 4), plan=lambda graph: random_schedule(graph, 0.3, seed=2))
    loss = model(torch.randn(16, 8)).square().sum()
    first = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
    second = torch.autograd.grad(loss, list(model.parameters()))
    assert all(map(torch.equal, first, second))


def test_a_captured_graph_is_the_one_that_is_planned():
    step = STEPS["gpt"]
    model = step.model()
    before = [value.clone() for value in model.state_dict().values()]
    state = torch.get_rng_state()
    graph = capture_graph(model, step.inputs)
    assert "forward" not in vars(model)
    assert torch.equal(state, torch.get_rng_state())
    assert all(map(torch.equal, before, model.state_dict().values()))
    plan = random_schedule(graph, 0.1, seed=4)
    step.run(checkpoint(model, plan=plan))
    (made,) = plan_of(model)
    assert made.graph.fingerprint == graph.fingerprint
    assert made.schedule == plan
    assert made.peak_bytes == replay(graph, plan).peak
    assert made.keep_everything_bytes == replay(graph, keep_everything(graph)).peak


def test_measured_costs_are_whole_nanoseconds():
    graph = capture_graph(MLP(8, 3, 4), (torch.randn(16, 8),), cost="measured")
    costs = [node.cost for node in graph.nodes]
    assert graph.node["BOUNDARY"].cost == 0
    assert all(isinstance(cost, int) for cost in costs)
    assert sum(costs) > 0


def test_measure_peak_counts_allocations_above_the_start():
    held = torch.ones(1000)

    def work():
        first = held.neg()
        del first
        return held.neg()

    assert measure_peak(work) == 4000
    assert measure_peak(lambda: held.neg().neg()) == 8000
    assert measure_peak(lambda: None) == 0


def test_autocast_is_captured():
    x = torch.randn(16, 8)
    model, reference = MLP(8, 3, 4), MLP(8, 3, 4)
    reference.load_state_dict(model.state_dict())
    checkpoint(model, plan=lambda graph: random_schedule(graph, 0.3, seed=2))
    for each in (model, reference):
        with torch.autocast("cpu", torch.bfloat16):
            loss = each(x).float().square().sum()
        loss.backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(model.parameters(), reference.parameters(), strict=True))


LOGGER = logging.getLogger(__name__)


class Talks(nn.Module):
    """Logs in its forward, as libraries do."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 4)

    def forward(self, x):
        LOGGER.warning("called")
        return self.linear(x)


def test_logging_does_not_keep_a_model_from_being_planned():
    x = torch.ones(2, 8)
    model = checkpoint(Talks(), "100%", solver="keep_all")
    assert torch.equal(model(x), model.linear(x))
    assert len(plan_of(model)) == 1


def test_forward_hooks_run():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    checkpoint(model, "100%", solver="keep_all")
    model.register_forward_hook(lambda module, args, output: output * 2)
    out = model(torch.ones(2, 4))
    assert torch.equal(out, 2 * torch.relu(model[0](torch.ones(2, 4))))
