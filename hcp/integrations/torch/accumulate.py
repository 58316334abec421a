"""Sums of gradients of slices without the zeros around them.

The gradient of ``x[:, i]`` is as large as ``x``, and zero but for a slice. Where many slices are taken, as by a loop
over time, captured graphs make each of these gradients whole and add them up: three tensors of the size of ``x`` at
once, of which autograd, adding in place, needs two. Here a sum takes the pieces as they are.

A sum waits for all of its pieces, which therefore must take no more than one gradient would that is whole.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from hcp.integrations.torch.pieces import Box, added, common, dense, sliced, storage_of, summed
from hcp.integrations.torch.program import Program, is_random, tensor_bytes

aten = torch.ops.aten

# A piece, and what it covers of the sum.
Term = tuple[fx.Node, Box]


def accumulate(program: Program) -> None:
    """Has sums take pieces instead of the same with zeros around them."""
    _Sums(program).run()
    program.drop_dead(is_random)


@dataclass
class _Run:
    """Pieces that are added up, with the bytes of the storages that they keep alive."""

    terms: list[Term]
    storages: dict[int, int]

    @classmethod
    def of(cls, term: Term) -> "_Run":
        return cls([term], dict([storage_of(term[0])]))

    def fits(self, node: fx.Node, *more: "_Run") -> bool:
        """Whether these take no more than a node's result does, with others perhaps."""
        storages = dict(self.storages)
        for each in more:
            storages |= each.storages
        return sum(storages.values()) <= tensor_bytes(node)

    @property
    def single(self) -> bool:
        return len(self.terms) == 1


@dataclass
class _Sums:
    """The sums of a program.

    Attributes:
        program: It.
        runs: Of each sum of nothing but pieces that is not written yet, these.
    """

    program: Program
    runs: dict[fx.Node, _Run] = field(default_factory=dict)

    def run(self) -> None:
        for node in list(self.program.operations):
            if _adds_alike(node):
                self._take(node)
        for node in list(self.runs):
            self._write(node)

    def _take(self, node: fx.Node) -> None:
        left, right = node.all_input_nodes
        one, other = self._pieces(left), self._pieces(right)
        if one and other and other.single and one.fits(node, other):
            self.runs.pop(left, None)
            self.runs[node] = _Run([*one.terms, *other.terms], one.storages | other.storages)
        elif other and other.single and other.fits(node):
            _replace(self.program, node, added, (left, *_arguments(other)))
        elif one and one.single and one.fits(node):
            _replace(self.program, node, added, (right, *_arguments(one)))

    def _pieces(self, node: fx.Node) -> _Run | None:
        """What a term of a sum is the sum of, if of nothing but pieces, and nobody else reads it."""
        if len(node.users) > 1:
            return None
        piece = None if node in self.runs else piece_of(node)
        return self.runs.get(node) if piece is None else _Run.of(piece)

    def _write(self, node: fx.Node) -> None:
        pieces, boxes = zip(*self.runs[node].terms, strict=True)
        everywhere = common(boxes)
        places = tuple(box.place for box in boxes)
        _replace(self.program, node, summed, (list(pieces), places, None if everywhere.empty else everywhere.place))


def _adds_alike(node: fx.Node) -> bool:
    """Whether a node is the sum of two different tensors of its own shape, type and device."""
    if node.target is not aten.add.Tensor or node.kwargs or len(node.all_input_nodes) != 2:
        return False
    value = node.meta["val"]
    alike = all(
        isinstance(source, fx.Node)
        and (source.meta["val"].shape, source.meta["val"].dtype, source.meta["val"].device)
        == (value.shape, value.dtype, value.device)
        for source in node.args
    )
    return alike and bool(value.is_floating_point()) and dense(value)


def _arguments(run: _Run) -> tuple[Any, ...]:
    ((piece, box),) = run.terms
    return piece, box.place


def _replace(program: Program, node: fx.Node, function: Any, args: tuple[Any, ...]) -> None:  # noqa: ANN401
    value = node.meta["val"]
    with program.graph.inserting_before(node):
        made = program.graph.call_function(function, (*args, tuple(value.shape), tuple(value.stride())))
    made.meta.update(node.meta)
    node.replace_all_uses_with(made)
    program.graph.erase_node(node)


def piece_of(node: fx.Node) -> Term | None:
    """What a tensor is that has zeros around it, and where; None of others, and where nothing is left of it."""
    make = _PADDED.get(node.target)
    if make is None or node.kwargs:
        return None
    piece: Any = node.args[0]
    box = make(tuple(node.meta["val"].shape), *node.args[1:])
    if box is None or box.empty:
        return None
    inner = piece_of(piece) if len(piece.users) == 1 else None
    return (piece, box) if inner is None else (inner[0], inner[1].within(box))


def _slice(shape: tuple[int, ...], _size: object, *where: int) -> Box | None:
    return sliced(Box.whole(shape), *where) if _known(where) else None


def _select(shape: tuple[int, ...], _size: object, *where: int) -> Box | None:
    return Box.whole(shape).cut(*where) if _known(where) else None


def _pad(shape: tuple[int, ...], amounts: list[int], value: object = 0) -> Box | None:
    if value != 0 or not _known(amounts) or min(amounts) < 0:
        return None
    box = Box.whole(shape)
    for number in range(len(amounts) // 2):
        dim = len(shape) - 1 - number
        box = box.cut(dim, slice(amounts[2 * number], shape[dim] - amounts[2 * number + 1]))
    return box


def _known(numbers: Any) -> bool:  # noqa: ANN401 - numbers of a graph
    return all(type(number) is int for number in numbers)


_PADDED: dict[Any, Any] = {
    aten.slice_backward.default: _slice,
    aten.select_backward.default: _select,
    aten.constant_pad_nd.default: _pad,
}
