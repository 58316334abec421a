"""Writes into parts of tensors are made at once, and reads between them find what was there."""

import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.pieces import written
from hcp.integrations.torch.prepare import prepare
from tests.unit.integrations.torch.captured_functions import Function, targets

aten = torch.ops.aten
SCATTERS = {aten.select_scatter.default, aten.slice_scatter.default}


def filled(make):
    def function(x):
        out = make(x)
        for time in range(x.shape[1]):
            out[:, time] = x[:, time].tanh() * (out[:, 0] + 1).detach()
        return out.square().sum()

    return function


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (torch.zeros_like, 0),
        (torch.ones_like, 1),
        (torch.empty_like, 0),
        (lambda x: x.new_full((4, 6, 8), 0.5), 0.5),
        (lambda x: torch.zeros(4, 6, 8), 0),
    ],
)
def test_a_tensor_filled_in_a_loop_is_written_in_one_operation(make, value):
    program = prepare(trace(Function(filled(make)), (torch.randn(4, 6, 8, requires_grad=True),), {}))
    (node,) = [node for node in program.operations if node.target is written]
    assert node.args[0] == value
    assert len(node.args[1]) == 6
    assert not SCATTERS & {node.target for node in program.operations}


def test_what_others_read_before_the_last_write_stays_apart():
    def function(x):
        out = torch.zeros_like(x)
        out[:, 0] = x[:, 0].tanh()
        first = out.exp()
        out[:, 1] = x[:, 1].tanh()
        return (first * out).sum()

    found = targets(function, 4, 6, 8)
    # The first write serves a reader of its own, and the second is a copy.
    assert found.count(written) == 1
    assert SCATTERS & set(found)


def test_pieces_that_would_take_more_than_the_whole_are_written_one_by_one():
    def function(x):
        y = x.tanh()
        out = torch.zeros(2, 6)
        out[0] = y[0, 0, :6]
        return out.square().sum() * y.sum()

    found = targets(function, 4, 6, 8)
    assert written not in found
    assert SCATTERS & set(found)


def test_reads_that_a_write_touches_in_part_stay():
    def function(x):
        out = x.tanh()
        out = out + 0
        out[:, :3] = x[:, :3].cos()
        return out[:, 2:5].square().sum()

    assert SCATTERS & set(targets(function, 4, 6, 8))


def test_as_many_writes_as_fit_are_made_at_once():
    def function(x):
        y = x.tanh()
        out = torch.zeros(2, 6)
        out[1, :2] = y[0, 0, :2].exp()
        out[0] = y[0, 0, :6]
        return out.square().sum() * y.sum()

    found = targets(function, 4, 6, 8)
    assert found.count(written) == 1
    assert SCATTERS & set(found)


def test_nothing_is_moved_under_a_view_of_any_memory():
    def function(x):
        out = torch.zeros(4, 6)
        out[:, 0] = x[:, 0, 0].tanh()
        out[:, 1] = x[:, 1, 0].tanh()
        return out[:, 0].as_strided((2, 2), (6, 1)).square().sum()

    found = targets(function, 4, 6, 8)
    assert aten.as_strided.default in found
    assert written not in found
