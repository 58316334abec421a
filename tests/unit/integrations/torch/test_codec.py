"""Tensors as plain memory and back: any type and layout, to the bit."""

import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch.codec import TensorCodec
from hcp.integrations.torch.errors import ExecutionError

BASE = torch.arange(24.0).reshape(4, 6)


@pytest.mark.parametrize(
    "tensor",
    [
        BASE,
        BASE.t(),
        BASE.to(torch.bfloat16),
        BASE > 3,
        torch.tensor(7),
        torch.empty(0, 3),
        BASE.requires_grad_().clone(),
        torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.complex(BASE.detach(), -BASE.detach()).conj(),
    ],
    ids=["plain", "transposed", "bfloat16", "bool", "scalar", "empty", "gradient", "channels_last", "conjugated"],
)
def test_round_trip(tensor):
    codec = TensorCodec()
    found = codec.decode(codec.encode(tensor))
    assert torch.equal(found, tensor)
    assert (found.dtype, found.stride()) == (tensor.dtype, tensor.stride())
    assert not found.requires_grad
    # A copy of its own.
    assert found.numel() == 0 or found.data_ptr() != tensor.data_ptr()


@pytest.mark.parametrize("tensor", [BASE.detach()[:, ::2], BASE.detach()[:1].expand(3, 6)], ids=["gaps", "overlaps"])
def test_what_is_not_dense_becomes_so(tensor):
    found = TensorCodec().decode(TensorCodec().encode(tensor))
    assert torch.equal(found, tensor)
    assert found.is_contiguous()


@pytest.mark.parametrize("value", [BASE.detach().to_sparse(), 3, None])
def test_other_things_are_refused(value):
    with pytest.raises(ExecutionError, match="store plain dense tensors"):
        TensorCodec().encode(value)
