"""Gradients of slices are added up as pieces, where that takes less than with zeros around them."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.pieces import added, summed
from hcp.integrations.torch.prepare import prepare
from tests.unit.integrations.torch.captured_functions import Function, targets

aten = torch.ops.aten
PADDED = (aten.select_backward.default, aten.slice_backward.default, aten.constant_pad_nd.default)


def loop(x):
    state = x[:, 0].tanh()
    for time in range(1, x.shape[1]):
        state = (state * x[:, time]).tanh()
    return state.sum()


def test_a_loop_over_time_adds_its_gradients_up_in_one_operation():
    found = targets(loop, 4, 6, 8)
    assert found.count(summed) == 1
    assert not set(found) & {*PADDED, aten.add.Tensor}


def test_slices_of_slices_and_padding_are_pieces():
    found = targets(
        lambda x: (x[:2, 1].exp() * x[2:, 3].exp() * nn.functional.pad(x, (-2, 0))[:2, 0, :1].cos()).sum(), 4, 6, 8
    )
    assert found.count(summed) == 1
    assert not set(found) & {aten.select_backward.default, aten.add.Tensor}


def test_a_piece_is_added_to_a_whole():
    found = targets(lambda x: x.exp().sum() + x[:, 1].cos().sum(), 4, 6, 8)
    assert found.count(added) == 1
    assert not set(found) & set(PADDED)


def test_pieces_that_would_take_more_than_the_whole_do_not_wait_for_each_other():
    found = targets(lambda x: (x[:, :5].exp() * x[:, 1:].cos() * x[:, 1:].tanh()).sum(), 4, 6, 8)
    assert added in found
    assert summed not in found


def test_gradients_that_others_read_keep_their_zeros():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[:, 0].clone()

        @staticmethod
        def backward(ctx, gradient):
            whole = torch.zeros(4, 6, 8)
            whole = torch.ops.aten.select_backward(gradient, [4, 6, 8], 1, 0)
            return whole + whole.cos()

    found = targets(lambda x: Twice.apply(x).sum(), 4, 6, 8)
    assert aten.select_backward.default in found
    assert not {added, summed} & set(found)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.complex64])
def test_all_real_types_are_added_up_so_and_complex_ones_are_left(dtype):
    torch.manual_seed(0)
    x = torch.randn(4, 6, 8, dtype=torch.float64).to(dtype).requires_grad_()

    def function(x):
        loss = sum((x[:, time] * x[:, time - 1]).abs().sum() for time in range(6))
        return loss + x.abs().sum()

    module = Function(function)
    program = prepare(trace(module, (x,), {}))
    assert any(node.target in (added, summed) for node in program.operations) == (dtype != torch.complex64)
