"""Where a piece lies in a larger tensor, and the operations that put pieces together in one go."""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import fx

from hcp.integrations.torch.internals import storage_id

aten = torch.ops.aten

# By dimension of the whole: an index, or start, stop and step.
Place = tuple[int | tuple[int, int, int], ...]
# Size, strides, type and device of a tensor.
Layout = tuple[tuple[int, ...], tuple[int, ...], torch.dtype, torch.device]


class Box(NamedTuple):
    """What a piece covers of a whole.

    Attributes:
        ranges: The indices covered, by dimension of the whole.
        dropped: The dimensions that the piece lacks, of whose indices it covers one.
    """

    ranges: tuple[range, ...]
    dropped: frozenset[int] = frozenset()

    @classmethod
    def whole(cls, shape: Iterable[int]) -> "Box":
        """All of a tensor."""
        return cls(tuple(range(int(size)) for size in shape))

    @property
    def place(self) -> Place:
        """The same as arguments of an operation."""
        return tuple(
            covered.start if dim in self.dropped else (covered.start, covered.stop, covered.step)
            for dim, covered in enumerate(self.ranges)
        )

    @property
    def empty(self) -> bool:
        """Whether it covers nothing."""
        return not all(map(len, self.ranges))

    def cut(self, dim: int, index: slice | int) -> "Box":
        """A part of it along one dimension of the piece; an index drops the dimension."""
        left = [dim for dim in range(len(self.ranges)) if dim not in self.dropped]
        which = left[dim]
        ranges = list(self.ranges)
        if isinstance(index, slice):
            ranges[which] = ranges[which][index]
            return Box(tuple(ranges), self.dropped)
        chosen = ranges[which][index]
        ranges[which] = range(chosen, chosen + 1)
        return Box(tuple(ranges), self.dropped | {which})

    def within(self, outer: "Box") -> "Box":
        """The same of a whole of which what is now the whole is a piece."""
        kept = [dim for dim in range(len(outer.ranges)) if dim not in outer.dropped]
        ranges = list(outer.ranges)
        for dim, covered in zip(kept, self.ranges, strict=True):
            ranges[dim] = ranges[dim][slice(covered.start, covered.stop, covered.step)]
        return Box(tuple(ranges), outer.dropped | {kept[dim] for dim in self.dropped})

    def common(self, other: "Box") -> "Box":
        """What both cover, whole dimensions; perhaps nothing."""
        return Box(tuple(map(_both, self.ranges, other.ranges)))

    def apart(self, other: "Box") -> bool:
        """Whether nothing is covered by both."""
        return not all(map(_both, self.ranges, other.ranges))


def _both(one: range, other: range) -> range:
    """The indices in both: again at equal distances."""
    if one == other:
        return one
    fewer, more = sorted((one, other), key=len)
    found = [index for index in fewer if index in more]
    if not found:
        return range(0)
    step = found[1] - found[0] if len(found) > 1 else 1
    return range(found[0], found[-1] + 1, step)


def common(boxes: Sequence[Box]) -> Box:
    """What all boxes cover; perhaps nothing."""
    return reduce(Box.common, boxes)


def box_of(node: fx.Node, shape: Sequence[int]) -> Box | None:
    """What a selection or a slice of a tensor of some shape looks at, or what their like writes; None for others."""
    first = 2 if node.target in (aten.select_scatter.default, aten.slice_scatter.default) else 1
    whole, given = Box.whole(shape), node.args[first:]
    if node.kwargs or not all(value is None or type(value) is int for value in given):
        return None
    if node.target in (aten.select.int, aten.select_scatter.default):
        return whole.cut(int(given[0]), int(given[1]))  # type: ignore[arg-type]
    if node.target in (aten.slice.Tensor, aten.slice_scatter.default):
        return sliced(whole, *given)
    return None


def sliced(box: Box, dim: Any = 0, start: Any = None, stop: Any = None, step: Any = 1) -> Box:  # noqa: ANN401
    """The part of a box that ``aten.slice`` with the same arguments looks at."""
    return box.cut(dim, slice(start, stop, step))


def storage_bytes(nodes: Iterable[fx.Node]) -> int:
    """Bytes of the storages that some nodes keep alive."""
    return sum(dict(map(storage_of, nodes)).values())


def storage_of(node: fx.Node) -> tuple[int, int]:
    """Which storage a node keeps alive, and its bytes; none of an input's, which lives anyway."""
    value = node.meta["val"]
    return storage_id(value), 0 if node.op == "placeholder" else int(value.untyped_storage().nbytes())


def dense(value: torch.Tensor) -> bool:
    """Whether a tensor's strides are those of a tensor of its own."""
    return bool(aten.is_non_overlapping_and_dense(value))


def _at(whole: torch.Tensor, place: Place) -> torch.Tensor:
    return whole[tuple(index if isinstance(index, int) else slice(*index) for index in place)]


def _empty(like: torch.Tensor, size: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    return torch.empty_strided(size, stride, dtype=like.dtype, device=like.device)


def summed(
    pieces: Sequence[torch.Tensor],
    places: Sequence[Place],
    everywhere: Place | None,
    size: tuple[int, ...],
    stride: tuple[int, ...],
) -> torch.Tensor:
    """The sum, from left to right, of pieces that are zero elsewhere, to the bit.

    Args:
        pieces: What is added.
        places: Where each lies.
        everywhere: What all of them cover: there alone no zero is added, which would turn -0.0 into 0.0.
        size: Of the sum.
        stride: Of the sum.
    """
    total = _empty(pieces[0], size, stride).zero_()
    if everywhere is not None:
        _at(total, everywhere).fill_(-0.0)
    for piece, place in zip(pieces, places, strict=True):
        _at(total, place).add_(piece)
    return total


def added(
    whole: torch.Tensor, piece: torch.Tensor, place: Place, size: tuple[int, ...], stride: tuple[int, ...]
) -> torch.Tensor:
    """The sum of a tensor and a piece that is zero elsewhere, to the bit."""
    total = _empty(whole, size, stride)
    # A zero is added elsewhere, which turns -0.0 into 0.0.
    torch.add(whole, 0.0, out=total)
    torch.add(_at(whole, place), piece, out=_at(total, place))
    return total


def written(value: float, pieces: Sequence[torch.Tensor], places: Sequence[Place], layout: Layout) -> torch.Tensor:
    """A tensor of one value into which pieces were written, one after the other."""
    size, stride, dtype, device = layout
    whole = torch.empty_strided(size, stride, dtype=dtype, device=device).fill_(value)
    for piece, place in zip(pieces, places, strict=True):
        _at(whole, place).copy_(piece)
    return whole
