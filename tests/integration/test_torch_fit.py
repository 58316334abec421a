"""What is told without the machine is what is found on it."""

import json
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch import nn  # noqa: E402

from hcp import cli  # noqa: E402
from hcp.integrations.torch import TorchError, capture_graph, checkpoint, fit, measure_peak  # noqa: E402
from hcp.integrations.torch.capture import trace  # noqa: E402
from hcp.integrations.torch.demo.models import GPT  # noqa: E402
from hcp.integrations.torch.in_backward import settled  # noqa: E402
from hcp.integrations.torch.prepare import prepare  # noqa: E402
from hcp.integrations.torch.probe import footprints_by_rule, probe  # noqa: E402
from hcp.schedule.actions import keep_everything  # noqa: E402
from tests.effort import some  # noqa: E402
from tests.integration.test_torch_transformers import WithLoss, bert, gpt2  # noqa: E402
from tests.integration.training_steps import STEPS  # noqa: E402

TOKENS = torch.randint(0, 64, (4, 16), generator=torch.Generator().manual_seed(3))


def llama(layers=2, dtype=torch.float32):
    config = transformers.LlamaConfig(
        vocab_size=256,
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return WithLoss(transformers.LlamaForCausalLM(config).to(dtype), "sdpa")


MODELS = {name: (step.model, step.inputs) for name, step in STEPS.items()} | {
    "gpt2": (lambda: gpt2("sdpa"), (TOKENS,)),
    "bert": (lambda: bert("eager"), (TOKENS,)),
    "llama": (llama, (TOKENS,)),
    "llama, bfloat16": (lambda: llama(dtype=torch.bfloat16), (TOKENS,)),
}


@pytest.mark.parametrize("name", some(MODELS, 8))
def test_footprints_by_rule_are_those_of_operations_that_run(name):
    make, inputs = MODELS[name]
    program = prepare(trace(make(), inputs, {}))
    ruled, probed = footprints_by_rule(program), probe(program)
    assert ruled.keys() == probed.keys()
    for node, footprint in probed.items():
        assert (ruled[node].outputs, ruled[node].sizes) == (footprint.outputs, footprint.sizes), node


def meta(make, inputs):
    with torch.device("meta"):
        module = make()
    return module, tuple(torch.empty_like(each, device="meta") for each in inputs)


@pytest.mark.parametrize("name", ["gpt, loss outside", "resnet"])
def test_a_module_on_the_meta_device_has_the_graph_of_the_real_one_without_workspace(name):
    make, inputs = MODELS[name]
    real = capture_graph(make(), inputs)
    module, arguments = meta(make, inputs)
    found = capture_graph(module, arguments)
    assert [(node.op, node.cost) for node in found.nodes] == [(node.op, node.cost) for node in real.nodes]
    assert list(found.values.values()) == list(real.values.values())
    assert not any(node.workspace for node in found.nodes)
    assert all(parameter.is_meta for parameter in module.parameters())


def test_what_a_deep_model_takes_is_what_shallow_ones_take_extrapolated():
    tokens = torch.randint(0, 64, (4, 32), generator=torch.Generator().manual_seed(3))

    def gpt(layers):
        return GPT(layers=layers, width=32, heads=2, context=32, vocabulary=64, dropout=0.0)

    def measured(layers):
        model = checkpoint(gpt(layers), plan=keep_everything, quiet=True)
        model(tokens, tokens).backward()
        model.zero_grad()
        return measure_peak(lambda: model(tokens, tokens).backward())

    one, two = measured(1), measured(2)
    found = fit(lambda: gpt(5), lambda: (tokens, tokens), device="rtx4090", time_limit=1, quiet=True)
    # Tensors take portions of 512 bytes there.
    assert found.kept == pytest.approx(one + 4 * (two - one), rel=0.02)
    assert found.parameters == sum(p.numel() * 4 for p in gpt(5).parameters())
    assert found.fits
    assert found.smallest_device == "rtx4090"
    assert found.floor.value <= found.smallest.peak <= found.kept


class Wide(nn.Module):
    """Much larger than the machine."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(60_000, 60_000, bias=False) for _ in range(2))

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x.square().mean()


def test_what_cannot_fit_is_refused_with_the_proof_and_the_smallest_device_that_fits():
    def inputs(batch):
        return (torch.randn(batch, 60_000),)

    found = fit(Wide, inputs, device="h100-80gb", optimizer="adamw", time_limit=1, quiet=True)
    assert not found.fits
    assert found.refuted
    assert found.plan is None
    assert found.floor.value > found.left
    assert found.smallest.verified(found.floor)
    # 28.8 GB of parameters, twice that of state, as much again of gradients, and of the optimizer's for a while.
    assert found.smallest_device == "b200"
    assert "does not fit, which is proved; b200 is the smallest that does" in str(found)
    assert "no schedule takes less than" in found.proof
    assert found.batches == (0, 0)
    # Where eight share it, it fits.
    shared = fit(Wide, inputs, device="h100-80gb", optimizer="adamw", mesh={"fsdp": 8}, time_limit=1, quiet=True)
    assert shared.fits
    assert shared.parameters == found.parameters / 8
    assert shared.batches[0] > 0


FILE = """
import torch
from torch import nn

def make():
    return nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))

def batch_of(size):
    return (torch.randn(size, 64),)

def pair():
    return make(), batch_of(8)

def broken():
    return 1 / 0
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    (tmp_path / "made_here.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["hcp", "fit", *words, "-t", "1", "-q"])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, *capsys.readouterr()

    return call


def test_the_command_tells_it_as_text_and_as_json(run):
    code, out, _ = run("made_here.py:make", "--inputs", "batch_of", "--batch", "4", "-d", "l40s")
    assert code == 0
    assert "on L40S: fits, with 0.000 % more work" in out
    code, out, _ = run("made_here.py:pair", "--json", "--total", "20kB", "--reserve", "0", "--optimizer", "sgd")
    found = json.loads(out)
    assert code == 2
    assert (found["fits"], found["refuted"], found["batch"]) == (False, True, None)
    assert found["floor"] > found["left"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["made_here.py"], "does not name a function that makes a model"),
        (["there.py:make"], "there is no file 'there.py'"),
        (["made_here.py:nothing"], "made_here.py has no function 'nothing'; it has make, batch_of, pair, broken"),
        (["made_here.py:make"], "make() gives no pair of a model and its inputs"),
        (["made_here.py:broken", "--inputs", "batch_of"], "broken() ended with ZeroDivisionError"),
        (["made_here.py:pair", "--device", "v100"], "device 'v100' is not known"),
        (["made_here.py:pair", "--reserve", "100%"], "reserve '100%' leaves nothing"),
        (["made_here.py:pair", "--total", "50%"], "total '50%' is not understood"),
        (["made_here.py:pair", "--optimizer", "adamz"], "optimizer 'adamz' is not known"),
        (["nowhere:make"], "'nowhere' cannot be loaded"),
    ],
)
def test_the_command_names_what_is_wrong(run, words, message):
    code, _, err = run(*words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_gradients_that_are_taken_in_the_backward_do_not_stay():
    tokens = torch.randint(0, 64, (2, 32), generator=torch.Generator().manual_seed(3))

    def found(taken):
        make = lambda: GPT(layers=2, width=64, heads=2, context=32, vocabulary=64, dropout=0.0)  # noqa: E731
        return fit(make, lambda: (tokens, tokens), optimizer_in_backward=taken, time_limit=3, quiet=True)

    stay, taken = found(False), found(True)
    assert stay.gradients >= stay.parameters
    assert taken.gradients == 0
    # What is told is what would run: no parameter is read after its step.
    assert taken.smallest.overhead > 0
    assert settled(taken.graph, taken.smallest.schedule) is taken.smallest.schedule
    assert taken.floor.value < stay.floor.value - stay.parameters // 2
    with pytest.raises(TorchError, match="reduced before they may be taken"):
        fit(lambda: GPT(1, 8, 1, 4, 8), lambda: (tokens,), optimizer_in_backward=True, mesh=2)


def test_inputs_without_memory_leave_a_real_module_as_it_is():
    module = GPT(layers=1, width=8, heads=1, context=4, vocabulary=8)
    before = [parameter.clone() for parameter in module.parameters()]
    tokens = torch.zeros(2, 4, dtype=torch.long, device="meta")
    capture_graph(module, (tokens, tokens))
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), before, strict=True))


class Boxes(nn.Module):
    """Takes a list of pictures."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, pictures):
        return sum(self.linear(picture).square().mean() for picture in pictures)


def test_inputs_whose_number_grows_with_the_batch_are_captured_for_each():
    found = fit(Boxes, lambda batch: ([torch.ones(4, 8)] * batch,), total="1500B", reserve=0, time_limit=1, quiet=True)
    assert found.batches == (0, 0)
