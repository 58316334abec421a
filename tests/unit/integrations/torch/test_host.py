"""Copies on the host are of whole storages, so that all views of one share its copy."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch import measure_peak
from hcp.integrations.torch.errors import ExecutionError
from hcp.integrations.torch.host import placed, to_device, to_host

CPU = torch.device("cpu")


tensors = pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(12.0).reshape(3, 4),
        torch.arange(12.0).reshape(3, 4)[1:, ::2],
        torch.arange(12).to(torch.bfloat16).reshape(3, 4).t(),
        torch.tensor(True),
        torch.empty(0),
    ],
    ids=["plain", "view", "bfloat16", "scalar", "empty"],
)


def check_copies(tensor, there, back):
    """Both are what the tensor is, with the whole storage behind it, in memory of their own."""
    assert there.untyped_storage().nbytes() == tensor.untyped_storage().nbytes()
    for copy in (there, back):
        assert torch.equal(copy, tensor)
        assert (copy.stride(), copy.storage_offset()) == (tensor.stride(), tensor.storage_offset())
        assert not copy.numel() or copy.data_ptr() != tensor.data_ptr()


@tensors
def test_there_and_back(tensor):
    there = to_host(tensor)
    check_copies(tensor, there, to_device(there, CPU))


def test_tensors_over_one_storage_share_a_copy():
    base = torch.arange(12.0)
    there = to_host(base)
    view = placed(there, base[3:9:2])
    assert torch.equal(view, base[3:9:2])
    assert view.untyped_storage().data_ptr() == there.untyped_storage().data_ptr()


def test_the_host_does_not_count_as_the_device():
    tensor = torch.ones(2**16)
    held = []
    assert measure_peak(lambda: held.append(to_host(tensor))) < 2**10
    assert measure_peak(lambda: to_device(held[0], CPU)) >= tensor.nbytes
    assert isinstance(held[0].numpy(), np.ndarray)


@pytest.mark.parametrize("lazy", [torch.Tensor.conj, lambda x: x.conj().imag], ids=["conjugated", "negated"])
def test_lazy_tensors_are_refused(lazy):
    with pytest.raises(ExecutionError, match="lazily conjugated or negated"):
        to_host(lazy(torch.ones(3, dtype=torch.complex64)))


def test_memory_of_copies_that_are_gone_serves_others():
    tensor = torch.arange(50_000.0)
    there = to_host(tensor)
    place = there.data_ptr()
    other = to_host(tensor + 1)
    assert other.data_ptr() != place
    view = placed(there, tensor[1:])
    del there
    # A view holds it still.
    assert to_host(tensor).data_ptr() != place
    assert torch.equal(view, tensor[1:])
    del view
    assert to_host(tensor).data_ptr() == place
