"""Copies between device and host beside the computation: one engine for each way, each copy in its turn.

What ``hcp.schedule.engines`` counts, done. Next to a GPU an engine is a stream: what waits for a copy makes the stream
of the computation wait, so that memory is given back, and taken, in the order of the program, and the allocator needs
to know of no other stream. On the CPU an engine is a thread.

Generated code calls ``send`` and ``fetch`` where a schedule offloads and fetches, ``sent`` where it frees what may
still be on its way out, and ``arrived`` before the first reader of what may still be on its way back.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hcp.integrations.torch.host import bytes_of, host_memory, placed

Way = Literal["out", "back"]


@dataclass(frozen=True)
class _Copy:
    """One that was begun: waits for it, and says whether it is complete."""

    wait: Callable[[], object]
    done: Callable[[], bool]


# By the address of the storage that is being written. Tensors may be saved for the backward in between, which gives
# other objects over the same storage.
_UNDER_WAY: Final[dict[int, _Copy]] = {}


def send(tensor: torch.Tensor, *, limited: bool = False) -> torch.Tensor:
    """A tensor's copy on the host, which is complete when ``sent`` has returned; the tensor has to stay until then.

    Args:
        tensor: It.
        limited: Whether the copy waits for the fetches before it, after which others go.
    """
    source = bytes_of(tensor)
    copy = host_memory(tensor, source.numel())
    if tensor.is_cuda:
        _UNDER_WAY[_address(copy)] = _streamed("out", copy, source, tensor.device, limited)
    elif source.numel():
        after = _last_fetch() if limited else None
        _UNDER_WAY[_address(copy)] = _of(_thread("out").submit(copy_bytes, [copy.numpy(), source.numpy()], after))
    return placed(copy, tensor)


def sent(copy: torch.Tensor, tensor: torch.Tensor) -> None:  # noqa: ARG001 - which stays until the copy is complete
    """Waits for a copy on its way out, before the tensor goes."""
    _wait(copy)


def fetch(copy: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A fresh tensor on a device, which is equal to a copy on the host when ``arrived`` has returned."""
    source = bytes_of(copy)
    target = torch.empty(source.numel(), dtype=torch.uint8, device=device)
    if target.is_cuda:
        _UNDER_WAY[_address(target)] = _streamed("back", target, source, target.device, limited=False)
    elif source.numel():
        future = _thread("back").submit(copy_bytes, [target.numpy(), source.numpy()], None)
        _FETCHED[:] = [future]
        _UNDER_WAY[_address(target)] = _of(future)
    return placed(target, copy)


def arrived(tensor: torch.Tensor) -> None:
    """Waits for a tensor on its way back."""
    _wait(tensor)


def under_way(tensor: torch.Tensor) -> bool:
    """Whether a copy on its way out, or a tensor on its way back, is not complete yet."""
    copy = _UNDER_WAY.get(_address(tensor))
    return copy is not None and not copy.done()


# The last fetch that a thread was given.
_FETCHED: Final[list["Future[None]"]] = []


def _last_fetch() -> "Future[None] | None":
    return _FETCHED[0] if _FETCHED else None


def _wait(tensor: torch.Tensor) -> None:
    copy = _UNDER_WAY.pop(_address(tensor), None)
    if copy is not None:
        copy.wait()


def _of(future: "Future[None]") -> _Copy:
    return _Copy(future.result, future.done)


def _address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def copy_bytes(pair: list[NDArray[np.uint8]], after: "Future[None] | None") -> None:
    """Copies the second of a pair into the first, once another copy is complete.

    The pair is empty then: the thread has what it was called with for some time after others know that it is done, and
    would keep memory alive that they have dropped.
    """
    target, source = pair
    pair.clear()
    if after is not None:
        after.exception()
    # In this thread alone, and without the interpreter's lock.
    np.copyto(target, source)


def _streamed(way: Way, target: torch.Tensor, source: torch.Tensor, device: torch.device, limited: bool) -> _Copy:
    """Begins a copy on a stream of its own, for which that of the computation waits where it has to."""
    stream = _stream(way, device)
    # What is copied is there by then, and memory that is written to is not in use any more.
    stream.wait_stream(torch.cuda.current_stream(device))
    if limited:
        stream.wait_stream(_stream("back", device))
    with torch.cuda.stream(stream):
        target.copy_(source, non_blocking=True)
    done = stream.record_event()
    return _Copy(lambda: torch.cuda.current_stream(device).wait_event(done), done.query)


@cache
def _thread(way: Way) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix=f"hcp-copies-{way}")


@cache
def _stream(way: Way, device: torch.device) -> torch.cuda.Stream:  # noqa: ARG001 - one each
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
