"""Runs each operation once on stand-in inputs to see what it really allocates, and times it where asked.

Outputs, views and workspace are read off the allocator rather than guessed: kernels differ in what they need, and
in the layouts they return, which capture does not always foresee and which decide what the next kernel needs.
Operations that agree in target, shapes, layouts and other arguments are run once for all.
"""

import hashlib
import operator
import time
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, cast

import torch
from torch import fx
from torch.profiler import record_function

from hcp.integrations.measurements import Measurements
from hcp.integrations.torch.capture import real_tensors
from hcp.integrations.torch.errors import CaptureError
from hcp.integrations.torch.internals import (
    FakeTensorMode,
    OpOverload,
    is_operation,
    outside_modes,
    storage_id,
    tree_leaves,
)
from hcp.integrations.torch.measure import record
from hcp.integrations.torch.program import Program
from hcp.integrations.torch.rng import random_state_kept

REPEATS: Final = 5
_MARK: Final = "hcp-probe:"

# Writes content into the stand-ins of an operator, by its name.
Fill = Callable[..., None]
_FILLS: Final[dict[str, Fill]] = {}


def sample_inputs(operator: str | OpOverload) -> Callable[[Fill], Fill]:
    """Says what an operator that checks its inputs is to be tried on, as a decorator of a function.

    Operations are run once by themselves on stand-ins, to see what they allocate: on tensors of the right shapes that
    hold zeros, or 0.5 where they are floating-point. The function gets the operator's arguments, and changes their
    content in place to what the operator takes.

    ``@sample_inputs("mylib::gather")`` before ``def fill(x, index): index.fill_(1)``, say.

    Args:
        operator: Its name with its library's (``"mylib::gather"``), or an overload of it.
    """

    def register(fill: Fill) -> Fill:
        _FILLS[operator if isinstance(operator, str) else _name(operator)] = fill
        return fill

    return register


def _name(operator: OpOverload) -> str:
    return "::".join(str(operator).split(".")[:2])


class Layout(NamedTuple):
    """What a stand-in for a tensor is made from; strides and offset in elements.

    The storage around a view counts as well: some operations copy all of it.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    offset: int
    storage_bytes: int


@dataclass(frozen=True)
class Footprint:
    """What an operation allocates.

    Attributes:
        outputs: For each item returned, the number of its fresh storage, or None where it is a view of an input or
            no tensor.
        sizes: Bytes of each fresh storage.
        layouts: For each item returned, its layout, or the item itself where it is no tensor.
        workspace: Most bytes held beyond the outputs while it runs.
        nanoseconds: Least time seen; zero unless asked for.
    """

    outputs: tuple[int | None, ...]
    sizes: tuple[int, ...]
    layouts: tuple[Any, ...] = ()
    workspace: int = 0
    nanoseconds: int = 0


def probe(program: Program, times: Measurements | None = None) -> dict[fx.Node, Footprint]:
    """The footprint of every operation of a program.

    Args:
        program: What to run, one operation at a time; the process never holds more than one operation's tensors.
        times: Where given, the operations are timed as well, or their times taken from here.

    Raises:
        ExecutionError: If a PyTorch profiler runs already.
    """
    with real_tensors(), random_state_kept():
        # This first round also warms up the kernels, whose first calls may allocate more.
        keys, calls, found = _first_round(program)
        _measure(calls, found, times)
    return {node: found[key] for node, key in keys.items()}


def footprints_by_rule(program: Program) -> dict[fx.Node, Footprint]:
    """The footprint of every operation of a program, without its workspace, by PyTorch's rules for fake tensors.

    Nothing is run or allocated. The rules say of every operation what it returns and which of it are views; what a
    kernel takes for a while they do not know.
    """
    with outside_modes(), FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        keys, _, found = _first_round(program)
    return {node: found[key] for node, key in keys.items()}


def _measure(calls: dict[str, "_Sample"], found: dict[str, Footprint], times: Measurements | None) -> None:
    """Adds what the allocator and the clock have to say."""
    marks = {key: f"{_MARK}{number}" for number, key in enumerate(calls)}

    def run_all() -> None:
        for key, call in calls.items():
            args, kwargs = call.stand_ins()
            with record_function(marks[key]):
                call.target(*args, **kwargs)

    memory = record(run_all)
    for key, footprint in found.items():
        workspace = max(0, memory.peak_within(marks[key]) - sum(footprint.sizes))
        nanoseconds = 0 if times is None else round(times.get(digest_of(key), calls[key].least_time))
        found[key] = replace(footprint, workspace=workspace, nanoseconds=nanoseconds)


def probe_calls(
    nodes: Iterable[fx.Node], channels_last: Container[fx.Node] = (), times: Measurements | None = None
) -> dict[fx.Node, Footprint]:
    """The footprints of single operations, by the layouts that capture foresees for their inputs.

    Args:
        nodes: What to run, one operation at a time.
        channels_last: Those whose pictures are laid out with channels last, whatever capture says.
        times: See ``probe``.

    Raises:
        CaptureError: If an operation does not run by itself.
        ExecutionError: If a PyTorch profiler runs already.
    """
    with real_tensors(), random_state_kept():
        keys: dict[fx.Node, str] = {}
        calls: dict[str, _Sample] = {}
        found: dict[str, Footprint] = {}
        for node in nodes:
            known = {source: layout_of(source.meta["val"]) for source in node.all_input_nodes}
            if node in channels_last:
                known = {source: _with_channels_last(layout) for source, layout in known.items()}
            keys[node] = _sample(node, known, calls, found)
        _measure(calls, found, times)
    return {node: found[key] for node, key in keys.items()}


def call_time(function: Callable[..., Any], layouts: Sequence[Any]) -> int:
    """Nanoseconds of the fastest of some calls, on stand-ins."""
    return _Sample(function, tuple(layouts), {}).least_time()


def stand_ins(layouts: Sequence[Any]) -> list[Any]:
    """Real arguments with given layouts."""
    return [_stand_in(layout) for layout in layouts]


@dataclass(frozen=True)
class _Sample:
    """An operation with layouts for tensors."""

    target: Callable[..., Any]
    args: Any
    kwargs: Any

    def stand_ins(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Real arguments; zeros are valid wherever an index is wanted, save where the user knows better."""
        args, kwargs = _deep(self.args, _stand_in), _deep(self.kwargs, _stand_in)
        fill = _FILLS.get(_name(self.target)) if is_operation(self.target) else None
        if fill is not None:
            fill(*args, **kwargs)
        return args, kwargs

    def outputs(self) -> Footprint:
        """Runs it once; the footprint lacks what the allocator has to say."""
        args, kwargs = self.stand_ins()
        given = {storage_id(t) for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        result = self.target(*args, **kwargs)
        items = result if isinstance(result, list | tuple) else (result,)
        numbers: dict[int, int] = {}
        sizes: list[int] = []
        outputs: list[int | None] = []
        for item in items:
            if not isinstance(item, torch.Tensor) or storage_id(item) in given:
                outputs.append(None)
                continue
            storage = storage_id(item)
            if storage not in numbers:
                numbers[storage] = len(sizes)
                sizes.append(item.untyped_storage().nbytes())
            outputs.append(numbers[storage])
        return Footprint(tuple(outputs), tuple(sizes), tuple(layout_of(item) for item in items))

    def least_time(self) -> int:
        """Nanoseconds of the fastest of some runs."""
        args, kwargs = self.stand_ins()
        on_gpu = any(isinstance(t, torch.Tensor) and t.is_cuda for t in tree_leaves((args, kwargs)))
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter_ns()
            self.target(*args, **kwargs)
            if on_gpu:
                torch.cuda.synchronize()
            times.append(time.perf_counter_ns() - start)
        return min(times)


def _first_round(program: Program) -> tuple[dict[fx.Node, str], dict[str, _Sample], dict[str, Footprint]]:
    """Which sample each operation is an instance of, the samples, and their outputs."""
    layouts: dict[fx.Node, Any] = {}
    keys: dict[fx.Node, str] = {}
    samples: dict[str, _Sample] = {}
    found: dict[str, Footprint] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder":
            layouts[node] = layout_of(node.meta["val"])
        elif node.op == "get_attr":
            layouts[node] = layout_of(operator.attrgetter(str(node.target))(program.joint.module))
        elif node.target is operator.getitem:
            layouts[node] = layouts[node.args[0]][node.args[1]]
        elif node.op == "call_function":
            keys[node] = key = _sample(node, layouts, samples, found)
            many = isinstance(node.meta["val"], list | tuple)
            layouts[node] = found[key].layouts if many else found[key].layouts[0]
    return keys, samples, found


def _sample(
    node: fx.Node, layouts: dict[fx.Node, Any], samples: dict[str, _Sample], found: dict[str, Footprint]
) -> str:
    """The name of the sample that an operation is an instance of; a new one is run once."""
    args, kwargs = fx.node.map_aggregate((node.args, dict(node.kwargs)), lambda a: _known(a, layouts))
    # Functions print their addresses, which differ between processes.
    key = f"{node.target if is_operation(node.target) else getattr(node.target, '__name__', node.target)}{args}{kwargs}"
    if key not in samples:
        samples[key] = _Sample(cast(Any, node.target), args, kwargs)
        try:
            found[key] = samples[key].outputs()
        except Exception as error:
            raise CaptureError(
                f"operation {node.target} ({node.name}) does not run by itself on stand-in values ({error}); give it "
                "such as it takes by hcp.integrations.torch.sample_inputs"
            ) from error
    return key


def digest_of(key: str) -> str:
    """The name under which the time of a sample is kept."""
    return hashlib.blake2s(key.encode(), digest_size=12).hexdigest()


def _known(argument: Any, layouts: dict[fx.Node, Any]) -> Any:  # noqa: ANN401 - whatever operations take
    return layouts[argument] if isinstance(argument, fx.Node) else argument


def layout_of(item: Any) -> Any:  # noqa: ANN401 - operations return numbers as well
    """What a stand-in for an argument is made from; what is no tensor is itself."""
    if not isinstance(item, torch.Tensor):
        return item
    return Layout(
        tuple(item.shape),
        tuple(item.stride()),
        item.dtype,
        item.device,
        int(item.storage_offset()),
        int(item.untyped_storage().nbytes()),
    )


def _with_channels_last(item: Any) -> Any:  # noqa: ANN401 - operations take numbers as well
    if not isinstance(item, Layout) or len(item.shape) != 4:
        return item
    like = torch.empty(item.shape, device="meta", memory_format=torch.channels_last)
    return Layout(
        item.shape, tuple(like.stride()), item.dtype, item.device, 0, storage_bytes=like.numel() * item.dtype.itemsize
    )


def _stand_in(item: Any) -> Any:  # noqa: ANN401 - whatever operations take
    if not isinstance(item, Layout):
        return item
    base = torch.empty(item.storage_bytes // item.dtype.itemsize, dtype=item.dtype, device=item.device)
    base = base.fill_(0.5) if base.is_floating_point() else base.zero_()
    return base.as_strided(item.shape, item.stride, item.offset)


def _deep(item: Any, change: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - whatever operations take
    """Applies a function to all that is in nested lists, tuples and dictionaries; layouts are not nested."""
    if isinstance(item, dict):
        return {key: _deep(value, change) for key, value in item.items()}
    if isinstance(item, list | tuple) and not isinstance(item, Layout):
        return type(item)(_deep(value, change) for value in item)
    return change(item)
