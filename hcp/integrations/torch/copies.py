"""Writes into parts of a tensor, without the copies of the whole that a functional graph makes of each.

``out[:, i] = y`` is captured as a new ``out`` for every write, and its backward as a copy of the whole gradient with
zeros written where the write was. Here reads of what a write left alone read what was there before, copies that nobody
can tell from what they copy go, and a tensor that is filled piece by piece is written in one go.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

import torch
from torch import fx

from hcp.integrations.torch.internals import storage_id
from hcp.integrations.torch.pieces import Box, box_of, dense, storage_bytes, written
from hcp.integrations.torch.program import Program, is_random, tensor_bytes, tensors_of

aten = torch.ops.aten

_WRITES: Final = (aten.select_scatter.default, aten.slice_scatter.default)
_READS: Final = (aten.select.int, aten.slice.Tensor)
_ANY_STORAGE: Final = (aten.as_strided.default, aten.as_strided_scatter.default)
_ANYTHING: Final = (aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided)
_ZEROS: Final = (aten.zeros, aten.zeros_like, aten.new_zeros, *_ANYTHING)
_ONES: Final = (aten.ones, aten.ones_like, aten.new_ones)
_GIVEN: Final = (aten.full, aten.full_like, aten.new_full)


class Write(NamedTuple):
    """A write into a part of a tensor.

    Attributes:
        node: It.
        piece: What is written.
        box: Where.
    """

    node: fx.Node
    piece: fx.Node
    box: Box


def write_at_once(program: Program) -> None:
    """Rewrites a program's partial writes, and the reads between them."""
    if any(node.target in _ANY_STORAGE for node in program.operations):
        # Looks past the tensor that it is given, at what else is in the same memory.
        return
    _drop_copies(program)
    boxes = {node: box_of(node, node.meta["val"].shape) for node in program.operations if node.target in _WRITES}
    for node in list(program.operations):
        if node.target in _READS:
            _read_behind(program, node, boxes)
    program.drop_dead(is_random)
    for value, chain in _chains(program, boxes):
        _write_at_once(program, value, chain)
    program.drop_dead(is_random)


def _drop_copies(program: Program) -> None:
    """Has readers of a copy read what was copied, where nobody can tell; writes take any layout."""
    given = {storage_id(value) for node in program.graph.find_nodes(op="placeholder") for value in tensors_of(node)}
    for node in list(program.operations):
        source: Any = node.args[1] if node.target is aten.copy.default else None
        if not isinstance(source, fx.Node) or not _alike(source, node):
            continue
        # A view would keep more than the copy alive.
        own = storage_id(source.meta["val"]) not in given and storage_bytes([source]) <= tensor_bytes(node)
        same = own and _same_strides(source, node)
        for user in list(node.users):
            is_written = user.target in _WRITES and user.args[1] is node and user.args[0] is not node
            if is_written or (same and user.op != "output"):
                user.replace_input_with(node, source)


def _alike(one: fx.Node, other: fx.Node) -> bool:
    mine, theirs = one.meta["val"], other.meta["val"]
    return bool((mine.shape, mine.dtype, mine.device) == (theirs.shape, theirs.dtype, theirs.device))


def _same_strides(one: fx.Node, other: fx.Node) -> bool:
    return bool(one.meta["val"].stride() == other.meta["val"].stride())


def _read_behind(program: Program, node: fx.Node, boxes: Mapping[fx.Node, Box | None]) -> None:
    """Has a view of a written tensor look at what was written, or at what was there before, if at that alone."""
    base: Any = node.args[0]
    looked = box_of(node, base.meta["val"].shape) if base in boxes else None
    while looked is not None and (wrote := boxes.get(base)) is not None:
        before, piece = base.args[:2]
        if looked == wrote and _stands_for(piece, node):
            node.replace_all_uses_with(piece)
            program.graph.erase_node(node)
            return
        if not looked.apart(wrote) or not _same_strides(before, base):
            return
        node.replace_input_with(base, before)
        base = before


def _stands_for(piece: fx.Node, node: fx.Node) -> bool:
    """Whether readers of a view can read what was written there; what takes a view of any layout takes a dense one."""
    fits = _same_strides(piece, node) or piece.meta["val"].is_contiguous()
    return _alike(piece, node) and fits and not any(user.op == "output" for user in node.users)


def _chains(program: Program, boxes: Mapping[fx.Node, Box | None]) -> Iterator[tuple[float, list[Write]]]:
    """The writes into each tensor of one value, with the value, for as long as nobody else reads in between."""
    chains: dict[fx.Node, tuple[float, list[Write]]] = {}
    for node in program.operations:
        if node.target not in _WRITES:
            continue
        base, box, piece = cast(fx.Node, node.args[0]), boxes[node], node.args[1]
        if box is None or box.empty or not isinstance(piece, fx.Node) or not dense(node.meta["val"]):
            continue
        value = _value_of(base)
        if base in chains and len(base.users) == 1:
            chains[node] = chains.pop(base)
        elif value is not None:
            chains[node] = value, []
        else:
            continue
        chains[node][1].append(Write(node, piece, box))
    yield from chains.values()


def _write_at_once(program: Program, value: float, chain: list[Write]) -> None:
    """Makes one operation of as many writes, from the first on, as have pieces that take no more than the whole."""
    most = tensor_bytes(chain[0].node)
    fits = bisect_right(range(1, len(chain) + 1), most, key=lambda n: storage_bytes(w.piece for w in chain[:n]))
    if not fits:
        return
    last, like = chain[fits - 1].node, chain[fits - 1].node.meta["val"]
    pieces, places = [write.piece for write in chain[:fits]], tuple(write.box.place for write in chain[:fits])
    layout = tuple(like.shape), tuple(like.stride()), like.dtype, like.device
    with program.graph.inserting_before(last):
        made = program.graph.call_function(written, (value, pieces, places, layout))
    made.meta.update(last.meta)
    last.replace_all_uses_with(made)
    program.graph.erase_node(last)


def _value_of(node: fx.Node) -> float | None:
    """What all of a tensor is, where that is in the graph; any number where it is left open."""
    packet = getattr(node.target, "overloadpacket", None)
    if packet in _ZEROS:
        return 0
    if packet in _ONES:
        return 1
    value = node.args[-1] if packet in _GIVEN and node.args else None
    return value if isinstance(value, int | float) else None
