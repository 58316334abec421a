"""Pieces of tensors: what they cover, and what is put together from them, against the operations of PyTorch."""

import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.integrations.torch.pieces import Box, added, common, summed, written
from tests.effort import examples

aten = torch.ops.aten
SHAPE = (3, 5, 4)
STRIDE = (20, 4, 1)


@st.composite
def boxes(draw, shape=SHAPE):
    """Parts of a tensor, cut once or twice; never empty."""
    box = Box.whole(shape)
    for _ in range(draw(st.integers(1, 2))):
        dim = draw(st.integers(0, len(shape) - len(box.dropped) - 1))
        left = [dim for dim in range(len(shape)) if dim not in box.dropped]
        size = len(box.ranges[left[dim]])
        start = draw(st.integers(0, size - 1))
        if draw(st.booleans()):
            box = box.cut(dim, start)
        else:
            box = box.cut(dim, slice(start, draw(st.integers(start + 1, size)), draw(st.integers(1, 3))))
    return box


def looked_at(whole, box):
    return whole[tuple(index if isinstance(index, int) else slice(*index) for index in box.place)]


def padded(piece, box):
    whole = torch.zeros(SHAPE)
    looked_at(whole, box).copy_(piece)
    return whole


def pieces(draw, found):
    """A piece for each box, with zeros of both signs, and numbers that round when added."""
    numbers = st.sampled_from([-0.0, 0.0, 0.1, -0.1, 1e-9, 3e7])
    made = [torch.empty([len(r) for dim, r in enumerate(box.ranges) if dim not in box.dropped]) for box in found]
    for piece in made:
        flat = piece.view(-1)
        flat.copy_(torch.tensor(draw(st.lists(numbers, min_size=len(flat), max_size=len(flat)))))
    return made


def assert_same_bits(found, wanted):
    assert torch.equal(found.view(torch.int32), wanted.view(torch.int32))


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_sums_of_pieces_are_those_with_zeros_around_them_to_the_bit(data):
    found = data.draw(st.lists(boxes(), min_size=2, max_size=4))
    made = pieces(data.draw, found)
    wanted = padded(made[0], found[0])
    for piece, box in zip(made[1:], found[1:], strict=True):
        wanted = wanted + padded(piece, box)
    everywhere = common(found)
    place = None if everywhere.empty else everywhere.place
    assert_same_bits(summed(made, [box.place for box in found], place, SHAPE, STRIDE), wanted)


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_a_piece_is_added_as_with_zeros_around_it_to_the_bit(data):
    box = data.draw(boxes())
    whole, piece = pieces(data.draw, [Box.whole(SHAPE), box])
    assert_same_bits(added(whole, piece, box.place, SHAPE, STRIDE), whole + padded(piece, box))


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_common_ground_is_what_both_cover(data):
    one, other = data.draw(boxes()), data.draw(boxes())
    counts = torch.zeros(SHAPE)
    for box in (one, other):
        looked_at(counts, box).add_(1)
    both = one.common(other)
    assert both.empty == (counts.max() < 2)
    looked_at(counts, both).sub_(1)
    assert counts.max() == 1


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_a_box_within_a_box_is_a_part_of_a_part(data):
    outer = data.draw(boxes().filter(lambda box: len(box.dropped) < 2))
    whole = torch.arange(60.0).view(SHAPE)
    part = looked_at(whole, outer)
    inner = data.draw(boxes(tuple(part.shape)))
    assert torch.equal(looked_at(whole, inner.within(outer)), looked_at(part, inner))


def test_pieces_are_written_in_their_order():
    whole = Box.whole((2, 4))
    first, second = whole.cut(0, 1), whole.cut(1, slice(1, 3))
    made = [torch.full((4,), 5.0), torch.full((2, 2), 6.0)]
    layout = ((2, 4), (4, 1), torch.float32, torch.device("cpu"))
    found = written(1, made, [first.place, second.place], layout)
    assert found.tolist() == [[1, 6, 6, 1], [5, 6, 6, 5]]
