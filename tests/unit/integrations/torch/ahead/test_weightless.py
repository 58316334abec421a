import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hcp.integrations.torch.ahead.weightless import dtype_named, faked, holds_memory, made  # noqa: E402
from hcp.integrations.torch.errors import CaptureError, TorchError  # noqa: E402
from hcp.integrations.torch.internals import FakeTensor  # noqa: E402


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("scale", torch.ones(4))
        self.table = [torch.ones(3), {"more": torch.zeros(2, dtype=torch.int64)}]


def test_a_module_is_made_without_memory_and_captured_as_on_the_cpu():
    module = made(Tied, "it")
    assert not holds_memory(module)
    module, (tokens,) = faked(module, (made(lambda: torch.randint(0, 10, (2, 3)), "it"),), torch.bfloat16)
    assert module.head.weight is module.embedding.weight
    assert isinstance(module.head.weight, nn.Parameter)
    everything = [module.head.weight, module.scale, module.table[0], module.table[1]["more"], tokens]
    assert all(isinstance(tensor, FakeTensor) and tensor.device.type == "cpu" for tensor in everything)
    assert [tensor.dtype for tensor in everything] == [torch.bfloat16] * 3 + [torch.int64] * 2
    assert module.head.weight.requires_grad
    assert not module.scale.requires_grad
    assert not holds_memory(module)


def test_a_real_module_stays_as_it_is():
    module = Tied()
    copy, _ = faked(module, ())
    assert holds_memory(module)
    assert not holds_memory(copy)
    assert copy.head.weight is copy.embedding.weight
    assert torch.equal(module.scale, torch.ones(4))


def test_real_modules_and_tensors_hold_memory():
    assert holds_memory(Tied(), (torch.ones(2),))


def test_what_needs_numbers_says_so():
    with pytest.raises(CaptureError, match=r"the model does not run on the meta device.*device='cpu'"):
        made(lambda: torch.ones(3).sum().item(), "the model")


def test_types_by_name():
    assert dtype_named("bfloat16") is torch.bfloat16
    assert dtype_named(torch.float64) is torch.float64
    assert dtype_named(None) is None
    for wrong in ("int8", "nn", "", 16):
        with pytest.raises(TorchError, match="is no floating-point type"):
            dtype_named(wrong)
