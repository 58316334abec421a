"""What happens between a forward and its backward, from allocations, and as a step is watched."""

from fractions import Fraction

import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch import boundary as module
from hcp.integrations.torch.boundary import Boundary, Keeper, abandon, boundary_of, watch, watched

GONE = [(0, 100)]


@pytest.mark.parametrize(
    ("changes", "gone", "tangents", "found"),
    [
        # The outputs are held: a temporary, the tangent, and a loss that stays.
        ([100, 4, 100, -100], [], 100, Boundary(after=100, kept=4)),
        ([100, 8, 100, -100], [], 80, Boundary(after=100, kept=28)),
        ([], [], 0, Boundary()),
        # They go before anything else is taken.
        ([-100, 50], GONE, 50, Boundary(dropped=frozenset({0}))),
        # A cross-entropy: its logarithms, the loss, the outputs go, two gradients, and the logarithms go.
        ([100, 4, -100, 4, 100, 100, -100, -100], GONE, 100, Boundary(frozenset({0}), 104, 0, 96, 8)),
        # Two outputs count to the one that goes last.
        ([10, -100, 30, -60, 20], [(0, 100), (2, 60)], 20, Boundary(frozenset({0, 2}), 40, 0, 0, 40)),
        # More before they go than after.
        ([70, -70, -100, 10], GONE, 10, Boundary(frozenset({0}), 0, 70, 0, 0)),
    ],
)
def test_allocations_come_to(changes, gone, tangents, found):
    assert boundary_of(changes, gone, tangents) == found


def test_for_other_sizes_it_is_scaled_upwards():
    seen = Boundary(frozenset({0}), held=10, before=5, after=7, kept=8, passed=True)
    assert seen.scaled(Fraction(1, 3)) == Boundary(frozenset({0}), 4, 2, 3, 8, passed=True)
    assert seen.scaled(Fraction(3, 2)) == Boundary(frozenset({0}), 15, 8, 11, 12, passed=True)


class Double(torch.autograd.Function):
    """Tells the watch what a planned step tells it."""

    @staticmethod
    def forward(ctx, x):
        out = 2 * x
        watched().returned([out])
        return out

    @staticmethod
    def backward(ctx, gradient):
        watched().arrived()
        watched().ended(passed=False)
        return 2 * gradient


def test_a_step_is_watched():
    found = []
    x = torch.ones(1000, requires_grad=True)
    assert watch(found.append, 4000) is watched() is not None
    out = Double.apply(x)
    out.exp().sum().backward()
    assert watched() is None
    # What the exponential gives is kept for its backward, and gone before ours begins.
    assert found == [Boundary(after=4000, kept=8)] or found == [Boundary(after=4000, kept=4)]
    with torch.profiler.profile():
        assert watch(found.append, 0) is None


def test_a_watch_is_abandoned_where_no_backward_comes():
    found = []
    x = torch.ones(10, requires_grad=True)
    made = watch(found.append, 40)
    Double.apply(x)
    abandon()
    assert watched() is None
    made = watch(found.append, 40)
    out = Double.apply(x)
    out.grad_fn.register_prehook(Keeper(made))
    del out
    assert watched() is None
    assert module._WATCHES == []
    assert found == []
    with torch.profiler.profile():
        pass
