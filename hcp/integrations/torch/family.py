"""A captured step, run for the sizes that calls bring: each is made concrete once, planned, and watched if it is new.

Captured with symbols for the sizes that differ from call to call, a step need not be captured again for a new sequence
length. What AOTAutograd gets is an outline with the right inputs and outputs; what runs is made from the joint graph
with the symbols replaced, as if it had been captured with these sizes. Once it was seen what the program does between
forward and backward, the step may be planned again with it: the code that runs can change from one step to the next.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Final, Protocol

import torch
from torch import fx

from hcp.integrations.torch.boundary import Boundary, Watch, watch, watched
from hcp.integrations.torch.capture import Boxed, Joint, Sized, Split, boxed
from hcp.integrations.torch.concrete import Sizes, concrete
from hcp.integrations.torch.internals import (
    evaluated,
    is_symbolic,
    mark_boxed,
    storage_gone,
    symbol_of,
    symbols_in,
)
from hcp.integrations.torch.program import tensors_of

# Of how many sizes the code is kept; that of others is made again.
REMEMBERED: Final = 256


class Step(Protocol):
    """A planned step with known sizes."""

    @property
    def halves(self) -> Split:
        """What runs."""

    @property
    def tangent_bytes(self) -> int | None:
        """Bytes of the gradients that the backward is given; None where the step need not be watched."""

    @property
    def between(self) -> Boundary:
        """What is planned with."""

    @property
    def told(self) -> Boundary:
        """What was seen of a step with other sizes, as it is expected with these."""

    def tell(self, boundary: Boundary) -> None:
        """Notes what was seen, for steps with other sizes."""

    def renew(self, seen: Boundary | None) -> Split | None:
        """What runs from now on, given what was newly seen between the halves; None for the same as before.

        It is asked at every call but the first.
        """


@dataclass(frozen=True)
class _Code:
    """What runs a step.

    Attributes:
        forward: The forward half.
        backward: The backward half.
        mark: Its number, as the forward half hands it on to the backward half.
    """

    forward: Boxed
    backward: Boxed
    mark: torch.Tensor


@dataclass
class _Variant:
    """The step for some sizes.

    Attributes:
        code: The number of the code that runs it.
        between: What is planned with.
        step: It, as planned, as long as it may be planned again: it holds the whole graph.
        seen: What was seen between forward and backward, until the step has heard of it.
    """

    code: int
    between: Boundary
    step: Step | None
    seen: Boundary | None = None


_NOBODY: Final[tuple[None, list[Callable[[], bool]]]] = (None, [])


@dataclass(eq=False)
class Family:
    """One captured step for all sizes.

    Attributes:
        joint: It, perhaps with symbolic shapes.
        plan: Plans a joint graph with known sizes.
        first: Called before the first call is planned, with its sizes and what makes the joint graph for given ones.
        hold: Called with what to plan with from now on, where the program holds what it let go of before.
    """

    joint: Joint
    plan: Callable[[Joint], Step]
    first: Callable[[Sizes, Callable[[Sizes], Joint]], None]
    hold: Callable[[Boundary], None]
    _codes: OrderedDict[int, _Code] = field(default_factory=OrderedDict)
    _variants: OrderedDict[tuple[int, ...], _Variant] = field(default_factory=OrderedDict)
    _made: int = 0
    # The step that ran last, if it was planned for outputs or tangents that are let go, and whether its outputs are.
    _awaited: tuple[_Variant | None, list[Callable[[], bool]]] = _NOBODY

    def __post_init__(self) -> None:
        # The inputs of the first call must not stay for as long as the step does.
        with self.joint.fake_mode:
            inputs = tuple(map(_shape_alone, self.joint.traced.inputs))
        self.joint = replace(self.joint, traced=replace(self.joint.traced, inputs=inputs))

    @property
    def sized(self) -> Sized:
        """How it runs."""
        return Sized(self._outline(), self._forward(), self._backward())

    def _outline(self) -> Split:
        """Halves with the inputs and outputs that AOTAutograd expects; between them goes the mark of what runs.

        What else the forward half saves is more or less, as planned: AOTAutograd takes all that it returns.
        """
        joint = self.joint
        with joint.fake_mode:
            mark = torch.empty((), dtype=torch.int64)
        forward, backward = fx.Graph(), fx.Graph()
        for primal in joint.primals:
            _placeholder(forward, primal)
        forward.output((*(_outlined(forward, out) for out in joint.outputs), _stand_in(forward, mark)))
        backward.placeholder("mark").meta["val"] = mark
        for tangent in joint.tangents:
            _placeholder(backward, tangent)
        backward.output(tuple(_outlined(backward, gradient) for gradient in joint.gradients))
        return Split(fx.GraphModule({}, forward), fx.GraphModule({}, backward))

    def _forward(self) -> Boxed:
        """Runs the forward half for the sizes of its arguments."""
        outputs, tensors = self.joint.outputs, self._tensors
        numbers = [(place, out.meta["val"]) for place, out in enumerate(outputs) if _is_number(out)]

        def run(args: list[Any]) -> tuple[Any, ...]:
            variant = self._variant_of(args)
            code = self._codes[variant.code]
            given = [args[place] for place in tensors]
            # A number that the step returns, such as a counter's, need not be the one that the variant was made with.
            sizes = self._sizes(args) if numbers else {}
            args.clear()
            watching = self._watch(variant)
            found = [*code.forward(given), code.mark]
            for place, value in numbers:
                found[place] = evaluated(value, sizes)
            if watching is not None:
                watching.returned(found[: len(outputs)])
            between = variant.between
            if between.dropped or between.passed:
                self._awaited = variant, [storage_gone(found[place]) for place in between.dropped]
            return tuple(found)

        mark_boxed(run)
        return run

    def _backward(self) -> Boxed:
        """Runs the backward half that belongs to what the forward half ran."""
        tensors = frozenset(self._tensors)
        places = range(len(self.joint.primals))
        mark = -1 - len(self.joint.tangents)

        def run(args: list[Any]) -> tuple[Any, ...]:
            code = self._codes[int(args.pop(mark))]
            watching = watched()
            if watching is not None:
                watching.arrived()
            (variant, outputs), self._awaited = self._awaited, _NOBODY
            dropped = all(gone() for gone in outputs)
            asked = watching is not None or variant is not None
            tangents = [storage_gone(each) for each in args[mark + 1 :]] if asked else []
            gradients = iter(code.backward(args))
            passed = all(gone() for gone in tangents)
            if watching is not None:
                watching.ended(passed=passed)
            if variant is not None and not (dropped and (passed or not variant.between.passed)):
                self._hold(variant)
            return tuple(next(gradients) if place in tensors else None for place in places)

        mark_boxed(run)
        return run

    def at(self, sizes: Sizes) -> Joint:
        """The joint graph for some sizes; see ``concrete``."""
        return concrete(self.joint, sizes)

    @cached_property
    def _tensors(self) -> tuple[int, ...]:
        """The places of the inputs that are tensors."""
        return tuple(i for i, node in enumerate(self.joint.primals) if not is_symbolic(node.meta["val"]))

    @cached_property
    def _where(self) -> dict[Any, tuple[int, int | None]]:
        """Where the number for each symbol is found: the place of an input, and of its layout if it is a tensor."""
        found: dict[Any, tuple[int, int | None]] = {}
        for place, node in enumerate(self.joint.primals):
            value = node.meta["val"]
            parts = enumerate(_layout(value)) if isinstance(value, torch.Tensor) else [(None, value)]
            for part, size in parts:
                symbol = symbol_of(size)
                if symbol is not None:
                    found.setdefault(symbol, (place, part))
        return found

    @cached_property
    def _used(self) -> tuple[Any, ...]:
        """The symbols that something depends on: no counter that nobody reads, no place of a view in its storage."""
        used = frozenset[Any]()
        for node in self.joint.module.graph.nodes:
            value = node.meta.get("val")
            if not is_symbolic(value):
                sizes = (size for tensor in tensors_of(node) for size in _layout(tensor)[:-1])
                used = used.union(*map(symbols_in, sizes))
            elif any(user.op != "output" and not is_symbolic(user.meta.get("val")) for user in node.users):
                used |= symbols_in(value)
        return tuple(symbol for symbol in self._where if symbol in used)

    def _sizes(self, args: list[Any]) -> Sizes:
        return {symbol: _size(args, *place) for symbol, place in self._where.items()}

    def _variant_of(self, args: list[Any]) -> _Variant:
        """The step for the sizes of some arguments, which is planned if it is new, or if it was watched since."""
        key = tuple(_size(args, *self._where[symbol]) for symbol in self._used)
        found = self._variants.get(key)
        if found is None:
            sizes = self._sizes(args)
            if not self._variants:
                self.first(sizes, self.at)
            step = self.plan(self.at(sizes))
            waits = step if step.tangent_bytes is not None else None
            found = self._variants[key] = _Variant(self._coded(step.halves), step.between, waits)
            while len(self._variants) > REMEMBERED:
                self._variants.popitem(last=False)
        elif found.step is not None:
            halves = found.step.renew(found.seen)
            if halves is not None:
                found.code, found.between = self._coded(halves), found.step.between
            found.seen = None
        self._variants.move_to_end(key)
        return found

    def _hold(self, variant: _Variant) -> None:
        """Plans for a program that holds what it let go of when it was watched: all sizes."""
        boundary = variant.between.holding
        self.hold(boundary)
        for key, each in tuple(self._variants.items()):
            if each.step is not None:
                each.seen = boundary
            elif each.between.dropped or each.between.passed:
                del self._variants[key]

    def _coded(self, halves: Split) -> int:
        """The number of the code for two halves."""
        number, self._made = self._made, self._made + 1
        self._codes[number] = _Code(boxed(halves.forward), boxed(halves.backward), torch.tensor(number))
        while len(self._codes) > 2 * REMEMBERED:
            self._codes.popitem(last=False)
        return number

    def _watch(self, variant: _Variant) -> Watch | None:
        """Watches the step if that is of use."""
        tangents = None if variant.step is None or variant.seen is not None else variant.step.tangent_bytes
        return None if tangents is None else watch(partial(self._see, variant), tangents)

    def _see(self, variant: _Variant, boundary: Boundary) -> None:
        """Takes up what was seen, for all sizes: where each call brings another, the next must not wait for its own."""
        assert variant.step is not None
        variant.seen = boundary
        variant.step.tell(boundary)
        for each in self._variants.values():
            if each is not variant and each.step is not None:
                each.seen = each.step.told


def _shape_alone(given: object) -> object:
    if not isinstance(given, torch.Tensor):
        return given
    like = torch.empty_strided(given.shape, given.stride(), dtype=given.dtype, device=given.device)
    return like.requires_grad_(given.requires_grad)


def _layout(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Sizes, strides and, last, the offset."""
    return *tensor.shape, *tensor.stride(), tensor.storage_offset()


def _size(args: list[Any], place: int, part: int | None) -> int:
    given = args[place]
    return int(given if part is None else _layout(given)[part])


def _is_number(out: object) -> bool:
    return isinstance(out, fx.Node) and is_symbolic(out.meta["val"])


def _placeholder(graph: fx.Graph, like: fx.Node) -> fx.Node:
    made = graph.placeholder(like.name)
    made.meta.update(like.meta)
    return made


def _outlined(graph: fx.Graph, out: Any) -> Any:  # noqa: ANN401 - what a graph returns
    return _stand_in(graph, out.meta["val"]) if isinstance(out, fx.Node) else out


def _stand_in(graph: fx.Graph, value: object) -> fx.Node:
    made = graph.call_function(_never_run)
    made.meta["val"] = value
    return made


def _never_run() -> None:
    raise AssertionError("the outline of a step is not run")
