"""The host tier of planned steps: copies of whole storages outside of what the device's allocator counts.

Here the computation waits for each copy; ``engines.py`` has those that run beside it.

Next to a GPU a copy is page-locked memory. On the CPU device and host are the same memory; there copies are kept in
NumPy's, so that what PyTorch allocates, and ``measure_peak`` measures, is the device tier alone.

Copies are tensors, since autograd saves nothing else between forward and backward.
"""

import weakref
from collections import Counter
from threading import Lock
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from hcp.integrations.torch.errors import ExecutionError

# Memory of a size that was not asked for among so many copies is given back.
POOL_TURNS: Final = 4096


def to_host(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the same shape, strides and content in host memory, with a copy of the whole storage behind it."""
    source = bytes_of(tensor)
    copy = host_memory(tensor, source.numel())
    copy.copy_(source)
    return placed(copy, tensor)


def host_memory(tensor: torch.Tensor, size: int) -> torch.Tensor:
    """So many bytes of the host's memory, for a copy of a tensor."""
    if tensor.is_conj() or tensor.is_neg():
        raise ExecutionError(
            f"a lazily conjugated or negated {tensor.dtype} tensor cannot be moved to the host; resolve it in the model"
        )
    if tensor.is_cuda:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)
    return torch.from_numpy(_POOL.taken(size))


class _Pool:
    """Memory of copies that are no more, for others of their size.

    The system clears memory that it gives out, which takes longer than to copy into it. A step's copies are the same
    every time, so that what one step held serves the next; what no step needed for some time is given back.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[NDArray[np.uint8]]] = {}
        self._lock = Lock()
        self._taken = Counter[int]()
        self._turns = 0

    def taken(self, size: int) -> NDArray[np.uint8]:
        """Memory of so many bytes, which comes back when nothing refers to it any more."""
        with self._lock:
            self._taken[size] += 1
            self._turns += 1
            if self._turns >= POOL_TURNS:
                self._free = {size: free for size, free in self._free.items() if self._taken[size]}
                self._taken.clear()
                self._turns = 0
            free = self._free.get(size)
            whole = free.pop() if free else np.empty(size, np.uint8)
        part = whole[:]
        weakref.finalize(part, self._back, whole).atexit = False
        return part

    def _back(self, whole: NDArray[np.uint8]) -> None:
        # Called at any time, also while the lock is held by this very thread: lists need none to be added to.
        self._free.setdefault(whole.size, []).append(whole)


_POOL: Final = _Pool()


def to_device(copy: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A fresh tensor on a device, equal to a copy on the host."""
    source = bytes_of(copy)
    target = torch.empty(source.numel(), dtype=torch.uint8, device=device)
    target.copy_(source)
    return placed(target, copy)


def placed(owner: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A tensor over one's storage with the type, shape, strides and offset of another."""
    empty = torch.empty(0, dtype=like.dtype, device=owner.device)
    return empty.set_(owner.untyped_storage(), like.storage_offset(), like.size(), like.stride())


def bytes_of(tensor: torch.Tensor) -> torch.Tensor:
    """The whole storage of a tensor."""
    storage = tensor.untyped_storage()
    flat = torch.empty(0, dtype=torch.uint8, device=tensor.device)
    return flat.set_(storage, 0, (storage.nbytes(),), (1,))
