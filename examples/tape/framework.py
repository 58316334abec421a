"""A small framework that knows nothing of hcp: NumPy kernels, a tape of what is done, and its reverse.

A tape is written with shapes alone, and run afterwards: forward and backward are one list of instructions. Every array
is made by ``empty``, which counts the bytes that are held, so that memory can be measured and not only planned.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Shape = tuple[int, ...]

ITEM: Final = 4


class Meter:
    """Bytes of the arrays that are alive, and the most that ever were."""

    def __init__(self) -> None:
        self.held = self.peak = 0

    def take(self, array: Array) -> Array:
        """Counts an array until nobody holds it any more."""
        self._change(array.nbytes)
        weakref.finalize(array, self._change, -array.nbytes)
        return array

    def measure(self, run: Callable[[], Any]) -> tuple[Any, int]:
        """What a function returns, and the most that it held above what was held before."""
        before = self.peak = self.held
        return run(), self.peak - before

    def _change(self, amount: int) -> None:
        self.held += amount
        self.peak = max(self.peak, self.held)


METER: Final = Meter()


def empty(shape: Shape) -> Array:
    """A new array, counted."""
    return METER.take(np.empty(shape, np.float32))


@dataclass(frozen=True)
class Instruction:
    """One kernel of a program: its name, what it reads, and what it makes."""

    op: str
    inputs: tuple[str, ...]
    output: str


@dataclass
class Tape:
    """A program in the making: instructions in order, and the shapes of all names."""

    instructions: list[Instruction] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def source(self, name: str, shape: Shape) -> str:
        """A parameter or a part of the batch."""
        self.shapes[name] = shape
        return name

    def apply(self, op: str, *inputs: str) -> str:
        """Notes an operation and names its result."""
        output = f"v{len(self.instructions)}"
        self.instructions.append(Instruction(op, inputs, output))
        self.shapes[output] = SHAPES[op](*(self.shapes[name] for name in inputs))
        return output

    def gradients(self, loss: str, wanted: Sequence[str]) -> dict[str, str]:
        """Goes back through what was noted; the names of the gradients of some sources."""
        found: dict[str, str] = {}
        for each in reversed(tuple(self.instructions)):
            if each.output == loss or each.output in found:
                for name, gradient in REVERSE[each.op](self, each, found.get(each.output, "")):
                    found[name] = self.apply("add", found[name], gradient) if name in found else gradient
        return {name: found[name] for name in wanted}


def _product(x: Array, w: Array) -> Array:
    return np.matmul(x, w, out=empty((x.shape[0], w.shape[1])))


def _product_left(g: Array, w: Array) -> Array:
    return np.matmul(g, w.T, out=empty((g.shape[0], w.shape[0])))


def _product_right(x: Array, g: Array) -> Array:
    return np.matmul(x.T, g, out=empty((x.shape[1], g.shape[1])))


def _tanh(x: Array) -> Array:
    return np.tanh(x, out=empty(x.shape))


def _tanh_back(y: Array, g: Array) -> Array:
    out = np.multiply(y, y, out=empty(y.shape))
    np.subtract(np.float32(1), out, out=out)
    return np.multiply(g, out, out=out)


def _add(x: Array, y: Array) -> Array:
    return np.add(x, y, out=empty(x.shape))


def _loss(y: Array, target: Array) -> Array:
    out, squares = empty((1,)), np.subtract(y, target, out=empty(y.shape))
    np.multiply(squares, squares, out=squares)
    out[0] = squares.mean()
    return out


def _loss_back(y: Array, target: Array) -> Array:
    out = np.subtract(y, target, out=empty(y.shape))
    return np.multiply(out, np.float32(2 / y.size), out=out)


KERNELS: Final[Mapping[str, Callable[..., Array]]] = {
    "product": _product,
    "product_left": _product_left,
    "product_right": _product_right,
    "tanh": _tanh,
    "tanh_back": _tanh_back,
    "add": _add,
    "loss": _loss,
    "loss_back": _loss_back,
}

SHAPES: Final[Mapping[str, Callable[..., Shape]]] = {
    "product": lambda x, w: (x[0], w[1]),
    "product_left": lambda g, w: (g[0], w[0]),
    "product_right": lambda x, g: (x[1], g[1]),
    "tanh": lambda x: x,
    "tanh_back": lambda y, _: y,
    "add": lambda x, _: x,
    "loss": lambda *_: (1,),
    "loss_back": lambda y, _: y,
}

# What an operation adds to the gradients of what it reads.
REVERSE: Final[Mapping[str, Callable[[Tape, Instruction, str], list[tuple[str, str]]]]] = {
    "product": lambda tape, own, g: [
        (own.inputs[0], tape.apply("product_left", g, own.inputs[1])),
        (own.inputs[1], tape.apply("product_right", own.inputs[0], g)),
    ],
    "tanh": lambda tape, own, g: [(own.inputs[0], tape.apply("tanh_back", own.output, g))],
    "add": lambda _, own, g: [(name, g) for name in own.inputs],
    "loss": lambda tape, own, _: [(own.inputs[0], tape.apply("loss_back", *own.inputs))],
}


def flops(tape: Tape, each: Instruction) -> int:
    """Arithmetic operations of an instruction."""
    made = prod(tape.shapes[each.output])
    return (
        2 * made * tape.shapes[each.inputs[0]][0 if each.op == "product_right" else 1] if "product" in each.op else made
    )


def temporary_bytes(tape: Tape, each: Instruction) -> int:
    """Bytes that a kernel holds while it runs, beside what it reads and makes."""
    return ITEM * prod(tape.shapes[each.inputs[0]]) if each.op == "loss" else 0


def run(tape: Tape, sources: Mapping[str, Array], returned: Sequence[str]) -> dict[str, Array]:
    """Runs a program as it was noted, and keeps everything until it is over."""
    held = dict(sources)
    for each in tape.instructions:
        held[each.output] = KERNELS[each.op](*(held[name] for name in each.inputs))
    return {name: held[name] for name in returned}
