"""PyTorch's own ways to train within less memory, as ``grade`` takes them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch.utils.checkpoint as torch_checkpoint
from torch import nn

from hcp.integrations.torch.capture import forward_of
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.function import FunctionStep
from hcp.integrations.torch.peers.executed import Executed, schedule_of
from hcp.integrations.torch.peers.step import Step
from hcp.schedule.actions import Schedule

Blocks = type[nn.Module] | tuple[type[nn.Module], ...] | Callable[[nn.Module], bool] | Iterable[str]


@dataclass(frozen=True)
class ActivationBudget:
    """PyTorch's ``activation_memory_budget``: what its min-cut partitioner makes of the captured step.

    That is the program of ``torch.compile(module, backend="aot_eager")`` under this setting. Inductor decomposes
    operations before the same partitioner cuts.

    Attributes:
        share: The setting: 1 is the partitioner's default, 0 saves inputs alone.
    """

    share: float

    def __post_init__(self) -> None:
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0 <= self.share <= 1:
            raise TorchError(f"ActivationBudget got {self.share!r}; give a number from 0 to 1, such as 0.5")

    def executed(self, step: Step) -> Executed:
        """What it runs of a step."""
        return step.partitioned(self.share)


@dataclass(frozen=True)
class BlockCheckpoint:
    """``torch.utils.checkpoint`` around some modules, without reentrance; the module is run once to see what it does.

    Attributes:
        blocks: Which modules: a class, or several; a function that says it of a module; or paths in the module, such as
            ``["blocks.0", "blocks.1"]``.
        policy: For selective checkpointing: what ``create_selective_checkpoint_contexts`` takes, a policy function or a
            list of operations to save; None recomputes whole blocks.
        early_stop: Whether a recomputation ends with the last tensor that is needed, as PyTorch does by default.
    """

    blocks: Blocks
    policy: Callable[..., Any] | Sequence[Any] | None = None
    early_stop: bool = True

    def executed(self, step: Step) -> Executed:
        """What it runs of a step.

        Raises:
            TorchError: If there are no such blocks, or see ``Step.recorded``.
        """
        forward = forward_of(step.module)

        def call(*args: object, **kwargs: object) -> object:
            with self._wrapped(self._chosen(step.module)), torch_checkpoint.set_checkpoint_early_stop(self.early_stop):
                return forward(*args, **kwargs)

        return step.recorded(call)

    def _chosen(self, module: nn.Module) -> list[nn.Module]:
        named = _named(module)
        if isinstance(self.blocks, type | tuple):
            classes = self.blocks
            chosen = [each for each in named.values() if isinstance(each, classes)]
        elif callable(self.blocks):
            says = self.blocks
            chosen = [each for each in named.values() if says(each)]
        else:
            paths = [self.blocks] if isinstance(self.blocks, str) else list(self.blocks)
            unknown = next((path for path in paths if path not in named), None)
            if unknown is not None:
                raise TorchError(f"{type(module).__name__} has no module {unknown!r}; give paths as in named_modules()")
            chosen = [named[path] for path in paths]
        if not chosen:
            raise TorchError(
                f"{type(module).__name__} has no such blocks; give a class, a function or paths that say which of its "
                "modules to checkpoint"
            )
        return chosen

    @contextmanager
    def _wrapped(self, blocks: Iterable[nn.Module]) -> Iterator[None]:
        """While entered, each block's forward is checkpointed."""
        contexts: dict[str, Any] = {}
        if self.policy is not None:
            contexts = {
                "context_fn": partial(torch_checkpoint.create_selective_checkpoint_contexts, self.policy),
            }
        before = [(block, vars(block).get("forward")) for block in blocks]
        try:
            for block, own in before:
                inner = own or forward_of(block)
                vars(block)["forward"] = partial(torch_checkpoint.checkpoint, inner, use_reentrant=False, **contexts)
            yield
        finally:
            for block, own in before:
                if own is None:
                    del vars(block)["forward"]
                else:
                    vars(block)["forward"] = own


# A schedule, or the names of the nodes that are executed; or what is called in the module's place, and watched.
Way = ActivationBudget | BlockCheckpoint | Schedule | Sequence[str] | Callable[..., Any]


def schedule_by(way: Way, step: Step) -> Schedule:
    """The schedule that a way makes of a step.

    Raises:
        HcpError: If it makes none.
    """
    if isinstance(way, Schedule):
        return way
    if isinstance(way, ActivationBudget | BlockCheckpoint):
        return schedule_of(step.graph, way.executed(step))
    if callable(way):
        return schedule_of(step.graph, step.recorded(way))
    if isinstance(way, str) or not isinstance(way, Sequence):
        raise TorchError(
            f"it is {way!r}; give ActivationBudget, BlockCheckpoint, a Schedule, names of nodes, or what is called in "
            "the module's place"
        )
    return Schedule.from_computes(step.graph, way)


def _named(module: nn.Module) -> Mapping[str, nn.Module]:
    """The modules inside by their paths; those of a function by their paths in the modules that it calls."""
    if not isinstance(module, FunctionStep):
        return {name: each for name, each in module.named_modules() if name}
    return {name: each for child in module.children() for name, each in child.named_modules() if name}
