"""Training two ways side by side: are the bits equal, and which is faster?"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from hcp.integrations.torch.measure import Memory, record


@dataclass(frozen=True)
class Trainer:
    """A model and the batch that it is trained on again and again; the model returns the loss.

    Attributes:
        model: Planned or not.
        batch: What the model is called with.
    """

    model: nn.Module
    batch: tuple[Tensor, ...]

    def step(self) -> Tensor:
        """One forward and backward from cleared gradients; returns the loss."""
        self.model.zero_grad(set_to_none=True)
        loss: Tensor = self.model(*self.batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    def memory(self) -> Memory:
        """Allocations during one step, above what is held when it starts."""
        self.model.zero_grad(set_to_none=True)
        return record(self.step)


@dataclass(frozen=True)
class Equality:
    """What two ways of training agree on, to the bit, over some optimiser steps."""

    losses: bool
    gradients: bool
    parameters: bool
    random_state: bool

    @property
    def everything(self) -> bool:
        """Whether nothing differs."""
        return self.losses and self.gradients and self.parameters and self.random_state


def train_beside(first: Trainer, second: Trainer, *, steps: int, seed: int) -> Equality:
    """Trains both by AdamW from the same random state, and compares at every step."""
    optimizers = [torch.optim.AdamW(trainer.model.parameters(), lr=1e-3) for trainer in (first, second)]
    torch.manual_seed(seed)
    states = [torch.get_rng_state()] * 2
    losses = gradients = parameters = True
    for _ in range(steps):
        found = []
        for i, (trainer, optimizer) in enumerate(zip((first, second), optimizers, strict=True)):
            torch.set_rng_state(states[i])
            found.append(trainer.step().detach())
            states[i] = torch.get_rng_state()
            optimizer.step()
        losses &= torch.equal(*found)
        pairs = list(zip(first.model.parameters(), second.model.parameters(), strict=True))
        gradients &= all(_same(a.grad, b.grad) for a, b in pairs)
        parameters &= all(torch.equal(a, b) for a, b in pairs)
    return Equality(losses, gradients, parameters, torch.equal(*states))


def step_times(steps: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Median seconds of each step; the steps take turns, so that a busy machine slows all alike."""
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return {name: median(found) for name, found in times.items()}


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b if a is None or b is None else torch.equal(a, b)
