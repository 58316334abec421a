"""The ways of the GPU comparison: compiled without a plan, by PyTorch's budgets, by checkpoints, and by hcp's plans."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks.torch_peers import Wrap, by_block_compiled, inductor, planned, saved_on_host
from hcp.integrations.torch.request import Compiler


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


# How a model runs, and its budget in bytes where it has one.
Choice = Callable[[Asked], tuple[Wrap, int | None]]

# Of PyTorch's own budget, and of hcp's by compiler: shares of eager's peak. Inductor by itself is below that.
ACTIVATION_BUDGETS: Final = (0.5, 0.1)
SHARES: Final[Mapping[Compiler, tuple[float, ...]]] = {"inductor": (0.5, 0.35), "aot_eager": (0.6, 0.4)}
TINY_SHARES: Final[Mapping[Compiler, tuple[float, ...]]] = {"inductor": (0.85,), "aot_eager": (0.8,)}


def ways(tiny: bool, host: bool = False) -> dict[str, Choice]:
    """Every way by its name, those first without which a comparison says nothing; with a host, those for it."""
    if host:
        return host_ways(tiny)
    found: dict[str, Choice] = {"compile": partial(_other, inductor)}
    shares = TINY_SHARES if tiny else SHARES

    def add_plans(place: int) -> None:
        for compiler, each in shares.items():
            for share in each[place : place + 1]:
                found[f"hcp, {compiler}, {share:.0%}"] = partial(_planned, compiler, share)

    add_plans(0)
    found["compile, checkpoint a block"] = partial(_other, by_block_compiled)
    for place, budget in enumerate(ACTIVATION_BUDGETS, 1):
        found[f"compile, activation budget {budget:g}"] = partial(_other, partial(inductor, budget=budget))
        add_plans(place)
    return found


def host_ways(tiny: bool) -> dict[str, Choice]:
    """Plans with copies beside the computation and without any, and PyTorch's own move of all that is saved."""
    found: dict[str, Choice] = {}
    for share in (TINY_SHARES if tiny else SHARES)["aot_eager"]:
        found[f"hcp, host, {share:.0%}"] = partial(_planned, "aot_eager", share, host="overlapped")
        found[f"hcp, no host, {share:.0%}"] = partial(_planned, "aot_eager", share)
    return found | {"save_on_cpu": partial(_other, saved_on_host)}


def _other(wrap: Wrap, asked: Asked) -> tuple[Wrap, None]:  # noqa: ARG001 - a choice
    return wrap, None


def _planned(compiler: Compiler, share: float, asked: Asked, host: str | None = None) -> tuple[Wrap, int]:
    budget = int(share * asked.eager_bytes)
    # Plans that were kept may be of an older planner.
    options = {"solver": asked.solver, "time_limit": asked.time_limit, "cache": False, "host": host}
    return partial(planned, budget=budget, compiler=compiler, **options), budget
