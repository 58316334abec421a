import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hcp.integrations.devices import DEVICES  # noqa: E402
from hcp.integrations.torch import capture_graph  # noqa: E402
from hcp.integrations.torch.ahead.steps import Steps  # noqa: E402
from hcp.integrations.torch.errors import TorchError  # noqa: E402
from hcp.schedule.replay import keep_everything_usage  # noqa: E402

DEVICE = DEVICES["h100-80gb"]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(128, 256), nn.Linear(256, 128)

    def forward(self, x, mask=None):
        hidden = torch.tanh(self.first(x))
        return {"loss": self.second(hidden if mask is None else hidden * mask).square().mean(), "hidden": hidden}


class Loss(Net):
    def forward(self, x, mask=None):
        return super().forward(x, mask)["loss"]


def inputs(batch):
    return {"x": torch.ones(batch, 128), "mask": torch.ones(batch, 1)}


def test_the_graph_is_that_of_the_real_module_in_portions_of_the_allocator():
    steps = Steps.of(Net, inputs, DEVICE)
    found, real = steps.graph(64), capture_graph(Loss(), (), inputs(64))
    assert [node.op for node in found.nodes] == [node.op for node in real.nodes]
    for mine, its in zip(found.values.values(), real.values.values(), strict=True):
        assert 0 <= mine.bytes - its.bytes < 512
        assert mine.bytes % 512 == 0
    assert steps.input_bytes(64) == 64 * 129 * 4
    assert steps.kernels == {"aten.addmm.default": 2, "aten.mm.default": 3}


def test_one_capture_serves_all_batch_sizes():
    steps = Steps.of(Net, inputs, DEVICE)
    for batch in (1, 2, 7, 64):
        one, all_ = steps.graph(batch), steps.for_any_batch(batch)
        assert keep_everything_usage(one).peak == keep_everything_usage(all_).peak
        assert one.index.least_bytes == all_.index.least_bytes
    assert steps.symbolic is not None


def test_a_step_that_cannot_be_captured_so_is_captured_for_each():
    class Own(Loss):
        def forward(self, x, mask=None):
            # A size that is looked at.
            return super().forward(x, mask) * (2 if x.shape[0] > 10 else 1)

    steps = Steps.of(Own, lambda batch: (torch.ones(batch, 128), torch.ones(batch + 5, 1)[5:]), DEVICE)
    assert keep_everything_usage(steps.for_any_batch(20)).peak == keep_everything_usage(steps.graph(20)).peak


def test_inputs_that_take_no_batch():
    steps = Steps.of(Net, lambda: (torch.ones(8, 128),), DEVICE, torch.bfloat16)
    assert not steps.takes_batch
    assert steps.input_bytes(1) == 8 * 128 * 2


def test_what_is_no_module_is_refused():
    with pytest.raises(TorchError, match="gave 'int' object; give a module"):
        Steps.of(lambda: 3, inputs, DEVICE)
