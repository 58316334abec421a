"""A step whose backward PyTorch lost is refused; one that lacks gradients because the user says so is planned."""

import gc
import logging
import weakref

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.utils.checkpoint import checkpoint as checkpointed  # noqa: E402

from hcp.integrations.torch import CaptureError, TorchError, capture_graph, checkpoint, max_batch, plan_for  # noqa: E402
from hcp.integrations.torch.demo.models import MLP  # noqa: E402
from hcp.runtime import FallbackWarning  # noqa: E402

LOST = "ignore:.*an autograd kernel was not registered"


class Gain(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return x.exp() * self.gain


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = MLP(8, 2, 4)

    def forward(self, x, targets):
        return functional.cross_entropy(self.body(x), targets)


def batch(size=4):
    return torch.ones(size, 8), torch.zeros(size, dtype=torch.long)


@pytest.mark.filterwarnings(LOST)
def test_a_call_on_meta_is_refused_and_names_what_plans_ahead():
    with torch.device("meta"):
        model = checkpoint(Classifier(), "80%")
        with pytest.raises(CaptureError, match=r"^body\.\S+ is on the meta device.*plan_for\(\)"):
            model(*batch())


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_modules_and_inputs_on_meta_are_planned_without_memory(device):
    with torch.device("meta"):
        model = Classifier()
    with torch.device(device):
        found = plan_for(model, batch(), budget="100%", quiet=True, time_limit=1)
        assert found.graph.fingerprint == capture_graph(model, batch()).fingerprint
        assert max_batch(model, batch, "1MB", most=4, time_limit=1).keep_everything == 4
    assert found.gradient_bytes == sum(4 * parameter.numel() for parameter in model.parameters())
    with pytest.raises(TorchError, match="without memory, and cost 'measured' times operations"):
        capture_graph(model, batch(), cost="measured")


def test_calls_on_meta_without_gradient_run_as_captured():
    with torch.device("meta"), torch.no_grad():
        assert checkpoint(Classifier(), "80%")(*batch()).is_meta


def test_a_step_is_planned_without_memory_on_fake_tensors():
    with FakeTensorMode():
        model, inputs = Classifier(), batch()
    assert capture_graph(model, inputs).fingerprint == capture_graph(Classifier(), batch()).fingerprint


library = torch.library.Library("hcp_lost", "DEF")
library.define("scale(Tensor x, Tensor weight) -> Tensor")
library.impl("scale", lambda x, weight: x * weight, "CompositeExplicitAutograd")


class Scaled(nn.Module):
    """A layer, and a parameter beside it that some function uses."""

    def __init__(self, use):
        super().__init__()
        self.use = use
        self.layer = nn.Linear(8, 8)
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return self.use(self.layer(x), self.weight)


@pytest.mark.filterwarnings(LOST)
def test_a_lost_backward_is_an_error_that_names_the_parameter():
    def use(x, weight):
        return x + torch.ops.hcp_lost.scale(x, weight)

    with pytest.raises(CaptureError, match=r"^weight requires a gradient, and the outputs depend on it.*detach"):
        capture_graph(Scaled(use), (torch.ones(4, 8),))
    with pytest.warns(FallbackWarning, match="weight requires a gradient"):
        checkpoint(Scaled(use), "100%", fallback="warn")(torch.ones(4, 8))
    frozen = Scaled(use)
    frozen.weight.requires_grad_(False)
    capture_graph(frozen, (torch.ones(4, 8),))


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        return x * weight.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def without_recording(x, weight):
    with torch.no_grad():
        scale = weight * 2
    x = x * scale
    return x.mul_(2)


def unused(x, weight):
    return x + weight if x.ndim > 2 else x


@pytest.mark.parametrize(
    "use",
    [
        lambda x, weight: x * weight.detach(),
        lambda x, weight: (x, (x * weight).detach()),
        lambda x, weight: (x, (x * weight).argmax(-1)),
        lambda x, weight: x * (weight > 0),
        lambda x, weight: x * torch.ones_like(weight),
        lambda x, weight: checkpointed(torch.tanh, x, use_reentrant=False) * weight.detach(),
        StraightThrough.apply,
        without_recording,
        unused,
    ],
    ids=["detach", "detached", "integer", "mask", "like", "checkpoint", "function", "no_grad", "unused"],
)
def test_parameters_without_a_gradient_on_purpose_are_planned(use):
    model = checkpoint(Scaled(use), "100%", solver="keep_all", quiet=True)
    outputs = model(torch.ones(4, 8))
    (outputs[0] if isinstance(outputs, tuple) else outputs).sum().backward()
    assert model.weight.grad is None
    assert model.layer.weight.grad is not None


def test_the_inputs_of_the_first_call_are_let_go(caplog):
    # What PyTorch logs of a capture holds its inputs, and pytest holds what is logged.
    caplog.set_level(logging.ERROR, "torch.__trace")
    model = checkpoint(MLP(8, 2, 4), "100%", solver="keep_all", quiet=True)
    x = torch.ones(4, 8)
    alive = weakref.ref(x)
    model(x).sum().backward()
    del x
    gc.collect()
    assert alive() is None
