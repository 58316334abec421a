"""Kernels: each operation has its place, their order can be executed, and what is nearly free is repeated."""

from operator import getitem

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch.inductor.internals import fuses, is_view
from hcp.integrations.torch.inductor.kernels import kernels_of
from hcp.integrations.torch.inductor.program import draws, program_of
from tests.unit.integrations.torch.inductor.steps import STEPS, step_named, step_of

aten = torch.ops.aten


@pytest.fixture(scope="module", params=STEPS)
def made(request):
    program = program_of(step_named(request.param).joint)
    return program, kernels_of(program)


def boundary_of(kernels):
    (place,) = (i for i, kernel in enumerate(kernels.kernels) if not kernel.operations)
    return place


def test_every_operation_is_in_one_kernel_or_seen_through(made):
    program, kernels = made
    inside = [node for kernel in kernels.kernels for node in kernel.operations]
    assert len(inside) == len(set(inside))
    assert set(inside).isdisjoint(kernels.sources)
    rest = set(program.operations) - set(inside) - set(kernels.sources)
    # Items of what returns several come with it.
    assert {node.target for node in rest} <= {getitem}
    assert len(kernels.kernels) < len(list(program.operations)) / 2


def test_kernels_can_run_in_their_order(made):
    program, kernels = made
    there = set(program.joint.primals)
    for kernel in kernels.kernels:
        assert {node for node in kernel.reads if node.op in ("call_function", "placeholder")} <= there
        assert there.isdisjoint(kernel.outputs)
        there.update(kernel.outputs)
    returned = [node for node in program.joint.returned if isinstance(node, torch.fx.Node)]
    assert {base for node in returned for base in kernels.sources.get(node, (node,))} <= there


def test_who_waits_comes_after(made):
    program, kernels = made
    place = {node: i for i, kernel in enumerate(kernels.kernels) for node in kernel.operations}
    assert all(place[earlier] <= place[node] for node, befores in program.after.items() for earlier in befores)


def test_effects_and_draws_of_the_forward_come_before_the_backward(made):
    program, kernels = made
    boundary = boundary_of(kernels)
    assert kernels.kernels[boundary].outputs == program.joint.tangents
    done = {node for kernel in kernels.kernels[:boundary] for node in kernel.operations}
    assert kernels.before
    assert done >= set(kernels.before)
    assert done >= program.effects
    assert done >= {node for node in program.operations if draws(node)}
    backward = program.depends_on_tangents()
    assert done.isdisjoint(backward)


def test_a_kernel_calls_one_library_at_most(made):
    for kernel in made[1].kernels:
        assert sum(not fuses(node) for node in kernel.operations) <= 1


def test_what_must_not_run_again_is_alone(made):
    program, kernels = made
    assert program.effects
    for kernel in kernels.kernels:
        if not program.once.isdisjoint(kernel.operations):
            assert len(kernel.operations) == 1


class Chain(nn.Module):
    """Between two products, a normalisation: a chain, and statistics that both passes read."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 8)

    def forward(self, x):
        return self.second(self.norm(self.first(x))).sum()


def test_chains_are_fused_and_what_is_nearly_free_is_repeated():
    program = program_of(step_of(Chain(), torch.randn(4, 8)).joint)
    kernels = kernels_of(program)
    boundary = boundary_of(kernels)
    forward = [[node.target for node in kernel.operations] for kernel in kernels.kernels[:boundary]]
    assert [aten.sub.Tensor, aten.mul.Tensor, aten.mul.Tensor, aten.add.Tensor] in forward
    assert forward.count([aten.addmm.default]) == 2
    # Both passes have the deviation from the variance, each in its own kernel.
    repeated = {node.target: bases for node, bases in kernels.sources.items() if not is_view(node)}
    assert set(repeated) == {aten.add.Tensor, aten.rsqrt.default}
    assert repeated[aten.rsqrt.default] == repeated[aten.add.Tensor]
    (variance,) = repeated[aten.rsqrt.default]
    assert variance.args[0].target is aten.var_mean.correction
    assert sum(variance in kernel.reads for kernel in kernels.kernels) == 2


class Draws(nn.Module):
    """A product of a weight with random numbers, so that a kernel reads nothing."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8, 8))

    def forward(self, x):
        return (torch.rand_like(x) @ self.weight).square().mean()


def test_a_kernel_that_reads_nothing_does_not_wait_for_the_end():
    kernels = kernels_of(program_of(step_of(Draws(), torch.randn(4, 8)).joint))
    (seeds,) = (kernel for kernel in kernels.kernels if any(draws(node) for node in kernel.operations))
    assert seeds.reads == ()
