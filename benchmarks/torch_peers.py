"""How others run a training step within less memory, and how hcp does: each way takes a fresh model."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
import torch.utils.checkpoint as torch_checkpoint
from torch import Tensor, nn

from benchmarks.torch_report import EAGER
from benchmarks.torch_works import Work
from hcp.integrations.torch import checkpoint, measure_peak

Call = Callable[..., Tensor]
# Takes a fresh model, and returns what to call in its place. Other processes get it, so it can be pickled.
Wrap = Callable[[Work, nn.Module], Call]

# Shares of what PyTorch's partitioner would save; 1 is plain Inductor.
ACTIVATION_BUDGETS: Final = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05)
# The peer whose peak and pace the issue of plans by blocks is about.
BLOCKS: Final = "inductor, checkpoint a block"
ACTIVATION: Final = "activation_memory_budget at "
PLAIN: Final = f"{ACTIVATION}1"


@dataclass(frozen=True)
class Way:
    """A way of running a step, ready to run.

    Attributes:
        work: What is trained.
        model: Whose gradients a step leaves.
        call: What is called in the model's place.
    """

    work: Work
    model: nn.Module
    call: Call

    def step(self) -> None:
        """A forward and a backward from cleared gradients."""
        self.model.zero_grad(set_to_none=True)
        with self.work.context():
            loss = self.call(*self.work.batch)
        loss.backward()  # type: ignore[no-untyped-call]

    def peak(self) -> int:
        """Most bytes that a step holds above its start."""
        self.model.zero_grad(set_to_none=True)
        return measure_peak(self.step)

    def outcome(self) -> tuple[list[Tensor], Tensor]:
        """The gradients of a step from a fixed random state, and the random state after it."""
        torch.manual_seed(7)
        self.step()
        state = torch.cuda.get_rng_state() if torch.cuda.is_available() else torch.get_rng_state()
        return [each.grad.clone() for each in self.model.parameters() if each.grad is not None], state


def way_of(work: Work, wrap: Wrap) -> Way:
    """A way that has not run yet; its first step compiles."""
    model = work.make()
    return Way(work, model, wrap(work, model))


def activation_name(budget: float) -> str:
    """What the tables call PyTorch's own budget."""
    return f"{ACTIVATION}{budget:g}"


def peers(budgets: tuple[float, ...] = ACTIVATION_BUDGETS) -> dict[str, Wrap]:
    """How others run the step.

    Args:
        budgets: For PyTorch's own ``activation_memory_budget``; shares of what its partitioner would save.
    """
    return {
        **{activation_name(budget): partial(inductor, budget=budget) for budget in budgets},
        EAGER: eager,
        "eager, checkpoint a block": by_block,
        BLOCKS: by_block_compiled,
    }


def eager(work: Work, model: nn.Module) -> Call:  # noqa: ARG001 - a wrap
    """The model as it is."""
    return model


def by_block(work: Work, model: nn.Module) -> Call:
    """The model with ``torch.utils.checkpoint`` around each of its blocks."""
    for block in work.blocks(model):
        vars(block)["forward"] = partial(_checkpointed, type(block).forward.__get__(block))
    return model


def _checkpointed(module: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401 - a wrapped call
    return torch_checkpoint.checkpoint(module, *args, use_reentrant=False)


def saved_on_host(work: Work, model: nn.Module) -> Call:  # noqa: ARG001 - a wrap
    """The model, and all that its backward pass needs in page-locked memory of the host meanwhile."""

    def run(*batch: Tensor) -> Tensor:
        with torch.autograd.graph.save_on_cpu(pin_memory=torch.cuda.is_available()):
            return model(*batch)  # type: ignore[no-any-return]

    return run


def by_block_compiled(work: Work, model: nn.Module) -> Call:
    """The same under ``torch.compile``."""
    return inductor(work, by_block(work, model))  # type: ignore[arg-type]


def inductor(work: Work, model: nn.Module, *, budget: float = 1.0, backend: str = "inductor") -> Call:  # noqa: ARG001
    """The model as Inductor compiles it, which recomputes as PyTorch's partitioner sees fit for a budget."""

    def whole(*batch: Tensor) -> Tensor:
        return model(*batch)  # type: ignore[no-any-return]

    # Dynamo keeps compiled variants by code object, and would take those of another budget: hence one code object a
    # way.
    whole.__code__ = whole.__code__.replace(co_name=f"whole_{type(model).__name__}")
    call = torch.compile(whole, backend=backend, fullgraph=True, dynamic=False)

    def run(*batch: Tensor) -> Tensor:
        # Read when the first call compiles, and part of the keys of Inductor's caches.
        with torch._functorch.config.patch(activation_memory_budget=budget):
            return call(*batch)

    return run


def planned(work: Work, model: nn.Module, *, budget: int | None, **options: Any) -> Call:  # noqa: ANN401, ARG001 - a wrap
    """The model with a plan of hcp's, as its users get it; options are those of ``checkpoint``."""
    return checkpoint(model, budget, quiet=True, **options)
