"""A step that was captured for any size, run for the sizes that calls bring: each is made concrete once, and planned.

Captured with symbols for the sizes that differ from call to call, a step need not be captured again for a new sequence
length. What AOTAutograd gets is an outline with the right inputs and outputs; what runs is made from the joint graph
with the symbols replaced, as if it had been captured with these sizes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import fx

from hcp.integrations.torch.capture import Boxed, Joint, Sized, Split, Traced, boxed
from hcp.integrations.torch.errors import CaptureError
from hcp.integrations.torch.internals import (
    FakeTensorMode,
    evaluated,
    is_symbolic,
    mark_boxed,
    outside_modes,
    symbol_of,
    symbols_in,
)
from hcp.integrations.torch.program import tensors_of

# The symbols of a step with the numbers that a call gives them.
Sizes = Mapping[Any, int]


@dataclass(frozen=True)
class _Variant:
    """The two halves for some sizes."""

    forward: Boxed
    backward: Boxed


@dataclass(eq=False)
class Family:
    """One captured step for all sizes.

    Attributes:
        joint: It, with symbolic shapes.
        split: Cuts a joint graph with known sizes into halves, as planned.
        first: Called before the first call is split, with its sizes and what makes the joint graph for given ones.
    """

    joint: Joint
    split: Callable[[Joint], Split]
    first: Callable[[Sizes, Callable[[Sizes], Joint]], None]
    _variants: list[_Variant] = field(default_factory=list)
    _numbers: dict[tuple[int, ...], int] = field(default_factory=dict)

    @property
    def sized(self) -> Sized:
        """How it runs."""
        return Sized(self._outline(), self._forward(), self._backward())

    def _outline(self) -> Split:
        """Halves with the inputs and outputs that AOTAutograd expects; between them goes the number of a variant."""
        joint = self.joint
        number = next(node for node in joint.primals if symbols_in(node.meta["val"]))
        forward, backward = fx.Graph(), fx.Graph()
        for primal in joint.primals:
            _placeholder(forward, primal)
        # AOTAutograd takes what is a symbol for a number, and hands it on before all tensors.
        saved = _stand_in(forward, _symbol_of(number.meta["val"]))
        forward.output((*(_outlined(forward, out) for out in joint.outputs), saved))
        backward.placeholder("variant").meta["val"] = saved.meta["val"]
        for tangent in joint.tangents:
            _placeholder(backward, tangent)
        backward.output(tuple(_outlined(backward, gradient) for gradient in joint.gradients))
        return Split(fx.GraphModule({}, forward), fx.GraphModule({}, backward))

    def _forward(self) -> Boxed:
        """Runs the forward half for the sizes of its arguments."""
        numbers = [(place, out.meta["val"]) for place, out in enumerate(self.joint.outputs) if _is_number(out)]

        def run(args: list[Any]) -> tuple[Any, ...]:
            variant = self._variant_of(args)
            given = [args[place] for place in self._tensors]
            # A number that the step returns, such as a counter's, need not be the one that the variant was made with.
            sizes = self._sizes(args) if numbers else {}
            args.clear()
            found = [*self._variants[variant].forward(given), variant]
            for place, value in numbers:
                found[place] = evaluated(value, sizes)
            return tuple(found)

        mark_boxed(run)
        return run

    def _backward(self) -> Boxed:
        """Runs the backward half of the variant that the forward half ran."""
        tensors = frozenset(self._tensors)
        places = range(len(self.joint.primals))

        def run(args: list[Any]) -> tuple[Any, ...]:
            variant = self._variants[args.pop(0)]
            gradients = iter(variant.backward(args))
            return tuple(next(gradients) if place in tensors else None for place in places)

        mark_boxed(run)
        return run

    def at(self, sizes: Sizes) -> Joint:
        """The joint graph for some sizes.

        Raises:
            CaptureError: If an operation does not run on tensors of these sizes.
        """
        # Who compiles or calls has modes of its own; examples of several do not mix.
        with outside_modes(), FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
            return _Concrete(self.joint, sizes).run()

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

    def _variant_of(self, args: list[Any]) -> int:
        """The number of the variant for the sizes of some arguments, which is made if it is new."""
        key = tuple(_size(args, *self._where[symbol]) for symbol in self._used)
        if key not in self._numbers:
            sizes = self._sizes(args)
            if not self._variants:
                self.first(sizes, self.at)
            halves = self.split(self.at(sizes))
            self._variants.append(_Variant(boxed(halves.forward), boxed(halves.backward)))
            self._numbers[key] = len(self._variants) - 1
        return self._numbers[key]


def _layout(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Sizes, strides and, last, the offset."""
    return *tensor.shape, *tensor.stride(), tensor.storage_offset()


def _size(args: list[Any], place: int, part: int | None) -> int:
    given = args[place]
    return int(given if part is None else _layout(given)[part])


def _is_number(out: object) -> bool:
    return isinstance(out, fx.Node) and is_symbolic(out.meta["val"])


def _symbol_of(value: Any) -> object:  # noqa: ANN401 - a number or a tensor
    """A symbolic number: the value itself, or a size of it."""
    if is_symbolic(value):
        return value
    return next(size for size in _layout(value) if symbols_in(size))


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


@dataclass
class _Concrete:
    """Replaces the symbols of a joint graph by numbers, and finds its examples anew, on fake tensors."""

    joint: Joint
    sizes: Sizes
    graph: fx.Graph = field(default_factory=fx.Graph)
    # What stands for each node: a node, or a number that is known now.
    found: dict[fx.Node, Any] = field(default_factory=dict)

    def run(self) -> Joint:
        joint = self.joint
        for node in joint.module.graph.nodes:
            if node.op != "output":
                self.found[node] = self._visit(node)
        gradients = [g for primal, g in zip(joint.primals, joint.gradients, strict=True) if self._stays(primal)]
        (output,) = joint.module.graph.find_nodes(op="output")
        returned = self.graph.output(fx.node.map_arg((*joint.outputs, *gradients), self.found.__getitem__))
        returned.meta.update(output.meta)
        return Joint(
            self._traced(),
            fx.GraphModule(joint.module, self.graph),
            tuple(self.found[node] for node in joint.primals if self._stays(node)),
            tuple(self.found[node] for node in joint.tangents),
            tuple(None if primal is None else self.found[primal] for primal in joint.mutated),
        )

    def _stays(self, primal: fx.Node) -> bool:
        return isinstance(self.found[primal], fx.Node)

    def _visit(self, node: fx.Node) -> Any:  # noqa: ANN401 - a node or a number
        value = node.meta.get("val")
        if is_symbolic(value):
            return evaluated(value, self.sizes)
        args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), self.found.__getitem__)
        made = self.graph.create_node(node.op, node.target, args, kwargs, name=node.name)
        made.meta.update(node.meta)
        if node.op == "call_function":
            made.meta["val"] = self._result(node, args, kwargs)
        elif isinstance(value, torch.Tensor):
            made.meta["val"] = self._sized(value)
        return made

    def _result(self, node: fx.Node, args: Any, kwargs: Any) -> object:  # noqa: ANN401
        args, kwargs = fx.node.map_arg((args, kwargs), lambda source: source.meta["val"])
        target: Any = node.target
        try:
            return target(*args, **kwargs)
        except Exception as error:
            raise CaptureError(
                f"operation {node.target} ({node.name}) does not run on tensors of other sizes than it was captured "
                f"with ({error}); give checkpoint(..., dynamic=False), which captures every shape by itself"
            ) from error

    def _sized(self, like: torch.Tensor) -> torch.Tensor:
        """A tensor of the sizes that are known now; what its storage holds besides is there as well."""
        size, stride = ([evaluated(each, self.sizes) for each in layout] for layout in (like.shape, like.stride()))
        amount = evaluated(like.untyped_storage().nbytes(), self.sizes) // like.dtype.itemsize
        base = torch.empty(amount, dtype=like.dtype, device=like.device)
        return base.as_strided(size, stride, evaluated(like.storage_offset(), self.sizes))

    def _traced(self) -> Traced:
        traced = self.joint.traced
        inputs = []
        for given in traced.inputs:
            if isinstance(given, torch.Tensor):
                inputs.append(self._sized(given).requires_grad_(given.requires_grad))
            else:
                inputs.append(evaluated(given, self.sizes))
        return Traced(traced.module, tuple(inputs), traced.names)
