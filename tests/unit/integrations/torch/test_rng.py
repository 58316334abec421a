"""Random states: a replay draws the same numbers and leaves the generator as it was."""

import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch import rng

CPU = torch.device("cpu")


@pytest.mark.parametrize("op", [torch.rand, torch.randn])
def test_a_replay_draws_the_same_and_hides_itself(op):
    torch.manual_seed(3)
    state = rng.save_state(CPU)
    first = rng.draw(state, op, 5)
    after = rng.save_state(CPU)
    torch.rand(100)
    elsewhere = rng.save_state(CPU)
    assert torch.equal(rng.replay(state, CPU, op, 5), first)
    assert torch.equal(rng.save_state(CPU), elsewhere)
    torch.manual_seed(3)
    assert torch.equal(op(5), first)
    assert torch.equal(rng.save_state(CPU), after)


def test_a_replay_that_fails_leaves_the_generator_as_it_was():
    state = rng.save_state(CPU)
    torch.rand(3)
    before = rng.save_state(CPU)

    def fail():
        torch.rand(2)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it is our own
        rng.replay(state, CPU, fail)
    assert torch.equal(rng.save_state(CPU), before)


def test_states_of_accelerators_take_none_of_their_memory():
    assert rng.state_bytes(CPU) == rng.save_state(CPU).untyped_storage().nbytes() > 0
    assert rng.state_bytes(torch.device("cuda")) == 0 if torch.cuda.is_available() else True
