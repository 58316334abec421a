"""What may run again, and what has to keep its order."""

from itertools import pairwise

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch.inductor.internals import SEEDS
from hcp.integrations.torch.inductor.program import draws, program_of
from hcp.integrations.torch.program import writes_input
from tests.unit.integrations.torch.inductor.steps import Net, step_of

X = torch.randn(16, 8)


@pytest.fixture(scope="module")
def program():
    return program_of(step_of(Net(), X).joint)


def test_seeds_are_drawn_once_and_numbers_as_often_as_needed(program):
    seeds = [node for node in program.operations if node.target is SEEDS]
    assert seeds
    assert program.once.issuperset(seeds)
    numbers = [node for node in program.operations if node.target is torch.ops.prims.inductor_random.default]
    assert numbers
    assert program.once.isdisjoint(numbers)
    assert not any(map(draws, numbers))


def test_writes_happen_once_after_all_who_read_what_was_there(program):
    (write,) = program.effects
    assert writes_input(write)
    assert write in program.once
    buffer = write.args[0]
    readers = [user for user in buffer.users if user is not write and user.op != "output"]
    assert readers
    assert set(program.after[write]) >= set(readers)
    # Who reads the buffer in the backward as well reads a copy.
    assert program.depends_on_tangents().isdisjoint(readers)


def test_what_nobody_reads_is_gone(program):
    assert all(node.users or draws(node) or writes_input(node) for node in program.operations)


class Twice(nn.Module):
    """Two draws without a common seed, and a step without any."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))

    def forward(self, x):
        shuffled = torch.bernoulli(torch.full_like(x, 0.5)) + torch.randperm(8)
        return (x * self.weight * shuffled).sum()


def test_draws_keep_their_order():
    program = program_of(step_of(Twice(), X).joint)
    drawn = [node for node in program.operations if draws(node)]
    assert len(drawn) > 1
    assert program.once.issuperset(drawn)
    for earlier, later in pairwise(drawn):
        assert program.after[later] == [earlier]
