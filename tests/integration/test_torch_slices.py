"""Steps that take slices in loops, and write them: planned without the whole tensors that capture makes of each."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hcp.integrations.torch import capture_graph, checkpoint, measure_peak, plan_of  # noqa: E402
from hcp.schedule.actions import keep_everything  # noqa: E402
from hcp.schedule.replay import replay  # noqa: E402
from tests.effort import slow  # noqa: E402
from tests.integration.training_steps import Step, clear, random_schedule  # noqa: E402


class Scan(nn.Module):
    """A recurrence over slices of what is computed for all times at once, written into one tensor of results."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(16, 32)
        self.decay = nn.Linear(16, 32)

    def forward(self, x):
        new, decay = self.inside(x).tanh(), self.decay(x).sigmoid()
        out = torch.zeros_like(new)
        state = new[:, 0]
        for time in range(x.shape[1]):
            state = decay[:, time] * state + new[:, time]
            out[:, time] = state
        return out.square().mean()


class Shifts(nn.Module):
    """Overlapping slices, strides, chunks and rotations of halves, added to a path that takes everything."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 32)

    def forward(self, x):
        y = self.linear(x)
        first, second = y.chunk(2, -1)
        turned = torch.cat((-second, first), -1)
        y = y * turned.cos() + y[:, ::2].repeat_interleave(2, 1) * y[:, 3:4]
        return (y[:, 1:] * y[:, :-1]).square().mean() + nn.functional.pad(y, (0, 0, 1, 0))[:, :-1].exp().mean()


def steps():
    draw = torch.Generator().manual_seed(7)
    x = torch.randn(4, 24, 16, generator=draw)
    return {"scan": Step(Scan, (x,)), "shifts": Step(Shifts, (x,))}


@pytest.mark.parametrize("name", ["scan", "shifts"])
@pytest.mark.parametrize("drop", [0.0, 0.6])
def test_peak_and_bits(name, drop):
    step = steps()[name]
    model = checkpoint(step.model(), plan=lambda graph: random_schedule(graph, drop, seed=5))
    found = step.trace(model)
    assert all(torch.equal(a, b) for a, b in zip(found, step.trace(step.model()), strict=True))
    clear(model)
    (plan,) = plan_of(model)
    assert measure_peak(lambda: step.run(model)) == plan.peak_bytes


def test_a_loop_that_keeps_everything_takes_no_more_than_eager():
    step = steps()["scan"]
    graph = capture_graph(step.model(), step.inputs)
    model = step.model()
    step.run(model)
    clear(model)
    assert replay(graph, keep_everything(graph)).peak <= measure_peak(lambda: step.run(model))


class Mamba(nn.Module):
    """The state space model of the transformers library in its own PyTorch code, with random weights."""

    def __init__(self, width, scan_in_halves):
        super().__init__()
        transformers = pytest.importorskip("transformers")
        transformers.logging.set_verbosity_error()
        config = transformers.MambaConfig(
            vocab_size=64, hidden_size=width, num_hidden_layers=2, use_cache=False, use_associative_scan=scan_in_halves
        )
        self.model = transformers.MambaForCausalLM(config)

    def forward(self, tokens):
        return self.model(input_ids=tokens, labels=tokens).loss


def mamba(width, length, *, scan_in_halves):
    tokens = torch.randint(0, 64, (2, length), generator=torch.Generator().manual_seed(3))
    return Step(lambda: Mamba(width, scan_in_halves), (tokens,))


@pytest.mark.filterwarnings("ignore")
def test_mamba_takes_no_more_than_eager_to_the_byte():
    step = mamba(32, 12, scan_in_halves=False)
    model, reference = checkpoint(step.model(), plan=keep_everything), step.model()
    for found, wanted in zip(step.trace(model), step.trace(reference), strict=True):
        torch.testing.assert_close(found, wanted)
    clear(model)
    clear(reference)
    (plan,) = plan_of(model)
    assert measure_peak(lambda: step.run(model)) == plan.peak_bytes
    assert plan.peak_bytes <= measure_peak(lambda: step.run(reference))


@slow
@pytest.mark.filterwarnings("ignore")
def test_mamba_with_another_scan_when_captured_takes_less_than_eager_at_the_usual_share():
    # The library scans in halves where it finds itself compiled, which keeps more than the loop that eager runs.
    step = mamba(64, 24, scan_in_halves=True)
    reference = step.model()
    step.run(reference)
    clear(reference)
    graph = capture_graph(step.model(), step.inputs)
    assert 0.6 * replay(graph, keep_everything(graph)).peak < measure_peak(lambda: step.run(reference))
