"""The ways of the GPU comparison: compiled without a plan, by PyTorch's budgets, by checkpoints, and by hcp's plans."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import torch
import torch.utils.checkpoint
from torch import Tensor, nn

from benchmarks.gpu_work import Work
from hcp.integrations.torch import checkpoint

Call = Callable[..., Tensor]


@dataclass(frozen=True)
class Asked:
    """What is asked of a plan.

    Attributes:
        eager_bytes: The peak of the step without any compiler, which budgets are shares of.
        time_limit: Seconds for it.
        solver: Which planner makes it.
    """

    eager_bytes: int
    time_limit: float
    solver: str


@dataclass(frozen=True)
class Wrapped:
    """What is called in place of the model, and the budget in bytes where it has one."""

    call: Call
    budget_bytes: int | None = None


# Takes a fresh model.
Way = Callable[[Work, nn.Module, Asked], Wrapped]

# Of PyTorch's own budget, and of hcp's by compiler: shares of eager's peak. Inductor by itself is below that.
ACTIVATION_BUDGETS: Final = (0.5, 0.1)
SHARES: Final[Mapping[Literal["aot_eager", "inductor"], tuple[float, ...]]] = {
    "inductor": (0.5, 0.35),
    "aot_eager": (0.6, 0.4),
}
TINY_SHARES: Final[Mapping[Literal["aot_eager", "inductor"], tuple[float, ...]]] = {
    "inductor": (0.85,),
    "aot_eager": (0.8,),
}


def ways(tiny: bool) -> dict[str, Way]:
    """Every way by its name, those first without which a comparison says nothing."""
    found: dict[str, Way] = {"compile": _compiled}
    shares = TINY_SHARES if tiny else SHARES

    def add_plans(place: int) -> None:
        for compiler, each in shares.items():
            for share in each[place : place + 1]:
                found[f"hcp, {compiler}, {share:.0%}"] = partial(_planned, compiler, share)

    add_plans(0)
    found["compile, checkpoint a block"] = _by_block
    for place, budget in enumerate(ACTIVATION_BUDGETS, 1):
        found[f"compile, activation budget {budget:g}"] = partial(_compiled, activation_budget=budget)
        add_plans(place)
    return found


def _compiled(work: Work, model: nn.Module, asked: Asked, activation_budget: float = 1.0) -> Wrapped:  # noqa: ARG001 - a way
    torch._functorch.config.activation_memory_budget = activation_budget
    return Wrapped(torch.compile(model, fullgraph=True, dynamic=False))


def _by_block(work: Work, model: nn.Module, asked: Asked) -> Wrapped:
    blocks = set(map(id, work.blocks(model)))
    for name, module in list(model.named_modules()):
        if id(module) in blocks:
            model.set_submodule(name, _Checkpointed(module))
    return _compiled(work, model, asked)


class _Checkpointed(nn.Module):
    """A block whose activations are computed again for its backward."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, *inputs: Any) -> Tensor:  # noqa: ANN401 - whatever the block takes
        out: Tensor = torch.utils.checkpoint.checkpoint(self.block, *inputs, use_reentrant=False)
        return out


def _planned(
    compiler: Literal["aot_eager", "inductor"],
    share: float,
    work: Work,  # noqa: ARG001 - a way
    model: nn.Module,
    asked: Asked,
) -> Wrapped:
    budget = int(share * asked.eager_bytes)
    # Plans that were kept may be of an older planner.
    options = {"solver": asked.solver, "time_limit": asked.time_limit, "cache": False}
    return Wrapped(checkpoint(model, budget, compiler=compiler, **options), budget)  # type: ignore[arg-type]
