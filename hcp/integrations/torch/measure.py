"""Memory that a function really takes: allocation events on the CPU, the allocator's own peak on a GPU."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import nn

from hcp.integrations.torch.boundary import abandon
from hcp.integrations.torch.errors import ExecutionError
from hcp.integrations.torch.internals import Recorder, profiler_runs, tree_leaves
from hcp.integrations.torch.rng import random_state_kept


@dataclass(frozen=True)
class Memory:
    """Allocations while a function ran.

    Attributes:
        times: Nanoseconds of each allocation or release, ascending.
        held: Bytes held above the start right after each; below zero where memory from before was released.
        marks: Start and end, in nanoseconds, of each ``record_function`` block, by name.
        operations: Name and start of each ATen operation that no other one called, in order.
    """

    times: tuple[int, ...]
    held: tuple[int, ...]
    marks: dict[str, tuple[int, int]]
    operations: tuple[tuple[str, int], ...]

    @property
    def peak(self) -> int:
        """Most bytes held above the start."""
        return max((0, *self.held))

    def peak_within(self, mark: str) -> int:
        """Most bytes held above the start of a marked block while it ran."""
        start, end = self.marks[mark]
        first, last = bisect_left(self.times, start), bisect_right(self.times, end)
        before = self.held[first - 1] if first else 0
        return max((before, *self.held[first:last])) - before


def record(fn: Callable[[], object]) -> Memory:
    """Runs a function and records every allocation that PyTorch makes on the CPU meanwhile.

    Raises:
        ExecutionError: If a profiler runs already; PyTorch has one at a time.
    """
    abandon()
    if profiler_runs():
        raise ExecutionError(
            "a PyTorch profiler is running already, and hcp needs it to see allocations; "
            "make the first call of a planned module, and measurements, outside of it"
        )
    recorder = Recorder()
    recorder.start()
    result = None
    try:
        result = fn()
    finally:
        allocations, marks, recorded = recorder.stop()
    # Only now, so that what it returns counts to its end.
    del result
    operations: list[tuple[str, int]] = []
    done = 0
    for start, end, name in recorded:
        if start >= done:
            operations.append((name.removeprefix("aten::"), start))
            done = end
    times = tuple(time for time, _ in allocations)
    held = tuple(accumulate(size for _, size in allocations))
    return Memory(times, held, marks, tuple(operations))


def eager_peak(module: nn.Module, forward: Callable[..., object], args: Sequence[Any], kwargs: dict[str, Any]) -> int:
    """What a forward and backward of a module takes that is not planned, outputs and gradients included.

    It is run twice. Buffers and the random state are put back, and no gradient is left.

    Raises:
        ExecutionError: See ``measure_peak``.
    """
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    wanted = [leaf for leaf in (*module.parameters(), *given) if leaf.requires_grad]

    def step() -> object:
        outputs = forward(*args, **kwargs)
        ends = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
        ones = [torch.ones_like(end) for end in ends]
        return outputs, torch.autograd.grad(ends, wanted, ones, allow_unused=True)

    before = [buffer.clone() for buffer in module.buffers()]
    try:
        with random_state_kept():
            step()
            return measure_peak(step)
    finally:
        with torch.no_grad():
            for buffer, content in zip(module.buffers(), before, strict=True):
                buffer.copy_(content)


def measure_peak(fn: Callable[[], object]) -> int:
    """Most bytes that a function holds above what was held when it started.

    What the function returns counts to its end. Run it once before: first calls compile, and prepare libraries.

    Args:
        fn: Runs forward and backward, say.

    Returns:
        Bytes: on a GPU if CUDA was used in this process, else on the CPU.

    Raises:
        ExecutionError: On the CPU, if a profiler runs already.
    """
    used = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    if not used:
        return record(fn).peak
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    start = torch.cuda.memory_allocated()
    result = fn()
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() - start
    del result
    return peak
