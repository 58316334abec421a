"""Random operations: the generator's state as a value of the plan, and its replay at a recomputation.

First executions draw from the default generator, in program order, as the unplanned program does. A recomputation
puts the recorded state back, draws the same numbers again, and restores the generator: whatever the plan, the final
state is that of the unplanned program.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


def generator_of(device: torch.device) -> torch.Generator:
    """The default generator that operations on a device draw from."""
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.cuda.default_generators[index]
    return torch.default_generator


def save_state(device: torch.device) -> torch.Tensor:
    """The generator's state; a CPU tensor whatever the device."""
    return generator_of(device).get_state()


def state_bytes(device: torch.device) -> int:
    """Bytes that a saved state takes on the device; the states of accelerators live on the host."""
    return save_state(device).untyped_storage().nbytes() if device.type == "cpu" else 0


def draw(state: torch.Tensor, op: Callable[..., Any], *args: object, **kwargs: object) -> object:  # noqa: ARG001
    """Runs a random operation for the first time; the state saved before it lives until it is done, as planned."""
    return op(*args, **kwargs)


def replay(
    state: torch.Tensor, device: torch.device, op: Callable[..., Any], *args: object, **kwargs: object
) -> object:
    """Runs a random operation from a recorded state and leaves the generator as it was found."""
    generator = generator_of(device)
    # The present state waits outside the allocator, so that it is gone from the memory count before the operation runs.
    present = generator.get_state().numpy().copy()
    generator.set_state(state)
    try:
        return op(*args, **kwargs)
    finally:
        generator.set_state(torch.from_numpy(present))


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Leaves the random number generators as they were."""
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if used else []):
        yield
