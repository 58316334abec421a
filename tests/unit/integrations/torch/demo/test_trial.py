"""Training side by side: what is equal is said to be, and any difference is seen."""

import copy

import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch.demo.trial import Equality, Trainer, train_beside

BATCH = (torch.ones(4, 5),)


class Noisy(torch.nn.Module):
    """A loss that draws ``draws`` random numbers, of which it uses the first; its weights get ``scale`` in gradient."""

    def __init__(self, draws=4, scale=1.0, frozen=False):
        super().__init__()
        self.draws, self.scale = draws, scale
        self.linear = torch.nn.Linear(5, 1)
        self.extra = torch.nn.Parameter(torch.zeros(2), requires_grad=not frozen)

    def forward(self, x):
        noise = torch.rand(self.draws)[0]
        loss = (self.linear(x) * noise).square().mean() + self.extra.sum()
        # The value is the same whatever the scale; the gradient is not.
        return loss * self.scale + (loss * (1 - self.scale)).detach()


def trained(first, second, steps=3):
    return train_beside(Trainer(first, BATCH), Trainer(second, BATCH), steps=steps, seed=1)


def test_copies_train_alike():
    model = Noisy()
    assert trained(model, copy.deepcopy(model)) == Equality(True, True, True, True)
    assert trained(Noisy(frozen=True), Noisy(frozen=True), steps=0).everything


@pytest.mark.parametrize(
    ("changed", "steps", "expected"),
    [
        # The first number is the same however many are drawn at once; after that the streams part.
        ({"draws": 2}, 1, Equality(True, True, True, False)),
        ({"draws": 2}, 2, Equality(False, False, False, False)),
        ({"scale": -1.0}, 1, Equality(True, False, False, True)),
        ({"frozen": True}, 1, Equality(True, False, False, True)),
    ],
)
def test_every_difference_is_seen(changed, steps, expected):
    model, other = Noisy(), Noisy(**changed)
    other.load_state_dict(model.state_dict())
    found = trained(model, other, steps)
    assert found == expected
    assert not found.everything


def test_a_step_starts_from_cleared_gradients():
    trainer = Trainer(Noisy(), BATCH)
    trainer.step()
    first = trainer.model.extra.grad.clone()
    trainer.step()
    assert torch.equal(trainer.model.extra.grad, first)
