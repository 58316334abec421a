"""Runs each operation once on stand-in inputs to see what it really allocates, and times it where asked.

Outputs, views and workspace are read off the allocator rather than guessed: kernels differ in what they need.
Operations that agree in target, shapes, layouts and other arguments are run once for all.
"""

import operator
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import fx
from torch.profiler import record_function

from hcp.integrations.torch.capture import real_tensors
from hcp.integrations.torch.measure import record
from hcp.integrations.torch.program import Program, tensors_of

REPEATS: Final = 5
_MARK: Final = "hcp-probe:"


@dataclass(frozen=True)
class Footprint:
    """What an operation allocates.

    Attributes:
        outputs: For each item returned, the number of its fresh storage, or None where it is a view of an input or
            no tensor.
        sizes: Bytes of each fresh storage.
        workspace: Most bytes held beyond the outputs while it runs.
        nanoseconds: Least time seen; zero unless asked for.
    """

    outputs: tuple[int | None, ...]
    sizes: tuple[int, ...]
    workspace: int = 0
    nanoseconds: int = 0


def probe(program: Program, *, timed: bool) -> dict[fx.Node, Footprint]:
    """The footprint of every operation of a program.

    Args:
        program: What to run, one operation at a time; the process never holds more than one operation's tensors.
        timed: Whether to time the operations as well.

    Raises:
        ExecutionError: If a PyTorch profiler runs already.
    """
    keys = {node: _signature(node) for node in program.operations if node.target is not operator.getitem}
    samples = {key: node for node, key in keys.items()}
    marks = {key: f"{_MARK}{number}" for number, key in enumerate(samples)}

    def run_all() -> None:
        for key, node in samples.items():
            args, kwargs = _stand_ins(node)
            with record_function(marks[key]):
                node.target(*args, **kwargs)  # type: ignore[operator]

    with real_tensors(), _random_state_kept():
        # This first round also warms up the kernels, whose first calls may allocate more.
        found = {key: _outputs(node) for key, node in samples.items()}
        memory = record(run_all)
        for key, footprint in found.items():
            workspace = max(0, memory.peak_within(marks[key]) - sum(footprint.sizes))
            nanoseconds = _least_time(samples[key]) if timed else 0
            found[key] = replace(footprint, workspace=workspace, nanoseconds=nanoseconds)
    return {node: found[key] for node, key in keys.items()}


def _outputs(node: fx.Node) -> Footprint:
    args, kwargs = _stand_ins(node)
    given = {
        tensor.untyped_storage()._cdata
        for tensor in torch.utils._pytree.tree_leaves((args, kwargs))
        if isinstance(tensor, torch.Tensor)
    }
    result = node.target(*args, **kwargs)  # type: ignore[operator]
    numbers: dict[int, int] = {}
    sizes: list[int] = []
    outputs: list[int | None] = []
    for item in result if isinstance(result, list | tuple) else (result,):
        if not isinstance(item, torch.Tensor) or item.untyped_storage()._cdata in given:
            outputs.append(None)
            continue
        storage = item.untyped_storage()
        if storage._cdata not in numbers:
            numbers[storage._cdata] = len(sizes)
            sizes.append(storage.nbytes())
        outputs.append(numbers[storage._cdata])
    return Footprint(tuple(outputs), tuple(sizes))


def _least_time(node: fx.Node) -> int:
    args, kwargs = _stand_ins(node)
    times = []
    for _ in range(REPEATS):
        _synchronize(node)
        start = time.perf_counter_ns()
        node.target(*args, **kwargs)  # type: ignore[operator]
        _synchronize(node)
        times.append(time.perf_counter_ns() - start)
    return min(times)


def _synchronize(node: fx.Node) -> None:
    if any(tensor.device.type == "cuda" for tensor in tensors_of(node)):
        torch.cuda.synchronize()


def _stand_ins(node: fx.Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Real arguments of the right shapes and layouts; zeros are valid wherever an index is wanted."""

    def stand_in(source: fx.Node) -> Any:  # noqa: ANN401 - whatever the operation takes
        if source.op == "get_attr":
            return getattr(source.graph.owning_module, str(source.target))
        example = source.meta["val"]
        if not isinstance(example, torch.Tensor):
            return example
        real = torch.empty_strided(example.shape, example.stride(), dtype=example.dtype, device=example.device)
        return real.fill_(0.5) if real.is_floating_point() else real.zero_()

    return (
        fx.node.map_arg(node.args, stand_in),
        fx.node.map_arg(node.kwargs, stand_in),
    )


def _signature(node: fx.Node) -> str:
    """Equal for operations that allocate the same: target, shapes, layouts and other arguments."""

    def describe(source: fx.Node) -> str:
        example = source.meta.get("val")
        if source.op == "get_attr" or not isinstance(example, torch.Tensor):
            return f"<{source.name}>"
        return f"<{tuple(example.shape)}{example.stride()}{example.dtype}{example.device}>"

    return f"{node.target}{fx.node.map_arg((node.args, node.kwargs), describe)}"


@contextmanager
def _random_state_kept() -> Iterator[None]:
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if used else []):
        yield
