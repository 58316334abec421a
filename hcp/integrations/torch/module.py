"""``HCModule``: a planned module as an object of its own, with its configuration, its plan and its report at hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from hcp.graph.ir import Graph
from hcp.heuristics.interval_plan import BlockSize, Policy, build_replay_plan, make_interval_plan
from hcp.integrations.request import Fallback, GivenPlan
from hcp.integrations.torch.attach import executor_of
from hcp.integrations.torch.checkpoint import checkpoint, plan_of
from hcp.integrations.torch.cost import Cost
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.plans import TorchPlan
from hcp.integrations.torch.request import TIME_LIMIT, Compiler, Host
from hcp.integrations.torch.step_planner import TorchExecutor
from hcp.planning.planner import Planner
from hcp.plans.cache import CacheOption
from hcp.schedule.actions import Schedule
from hcp.schedule.budget import parse_budget


@dataclass(frozen=True, kw_only=True)
class HCConfig:
    """How an ``HCModule`` is planned: by a planner (the default), by blocks, or by a function of the user's.

    Attributes:
        budget: Most bytes of a forward and backward, as for ``checkpoint``; optional with blocks or a function.
        planner: A name from ``hcp.planners.PLANNERS``, or a planner.
        block_size: Instead of a planner: a height-compressed interval tree over blocks of this many operations,
            ``"sqrt"`` for the root of their number, ``"tuned"`` for what the budget needs.
        custom_planner: Instead of a planner: a function from the captured graph to a schedule.
        time_limit: Seconds for the planner.
        cost: As for ``checkpoint``.
        cache: As for ``checkpoint``.
        fallback: As for ``checkpoint``.
        seed: As for ``checkpoint``.
        quiet: As for ``checkpoint``.
        host: As for ``checkpoint``; planners alone use it.
        compiler: As for ``checkpoint``.
        mode: As for ``checkpoint``.
        options: As for ``checkpoint``.
        dynamic: As for ``checkpoint``.
        max_length: As for ``checkpoint``.

    Raises:
        TorchError: If it names two ways to plan, or none.
    """

    budget: int | str | None = None
    planner: str | Planner | None = None
    block_size: BlockSize | None = None
    custom_planner: Callable[[Graph], Schedule] | None = None
    time_limit: float = TIME_LIMIT
    cost: Cost = "roofline"
    cache: CacheOption = True
    fallback: Fallback = "error"
    seed: int = 0
    quiet: bool = False
    host: Host = None
    compiler: Compiler = "aot_eager"
    mode: str | None = None
    options: Mapping[str, Any] | None = None
    dynamic: bool | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        ways = {"planner": self.planner, "block_size": self.block_size, "custom_planner": self.custom_planner}
        named = [name for name, way in ways.items() if way is not None]
        if len(named) > 1:
            raise TorchError(f"the configuration has {' and '.join(named)}, which exclude each other; give one")
        if self.budget is None and named in ([], ["planner"]):
            raise TorchError("the configuration has no budget; give one such as '50%', or block_size")

    @property
    def given(self) -> GivenPlan | None:
        """What makes the schedule where no planner does."""
        if self.block_size is None:
            return self.custom_planner
        return BlockPlan(self.block_size, self.budget)


@dataclass(frozen=True)
class BlockPlan:
    """Makes the height-compressed schedule of a block size; see ``hcp.heuristics.interval_plan``."""

    block_size: BlockSize
    budget: int | str | None = None

    def __call__(self, graph: Graph, /) -> Schedule:
        """The schedule for a graph."""
        budget = None if self.budget is None else parse_budget(self.budget, graph)
        policy: Policy = "balanced" if budget is None else "dp"
        return build_replay_plan(make_interval_plan(graph, block_size=self.block_size, budget=budget, policy=policy))


class HCModule(nn.Module):
    """A module whose training steps run planned.

    Args:
        module: Prepared in place, as by ``checkpoint``; its parameters are named after it (``module.weight``).
        config: How to plan.
    """

    def __init__(self, module: nn.Module, config: HCConfig) -> None:
        super().__init__()
        self.config = config
        self.module = checkpoint(
            module,
            config.budget,
            solver="auto" if config.planner is None else config.planner,
            time_limit=config.time_limit,
            cost=config.cost,
            plan=config.given,
            cache=config.cache,
            seed=config.seed,
            fallback=config.fallback,
            quiet=config.quiet,
            host=config.host,
            compiler=config.compiler,
            mode=config.mode,
            options=config.options,
            dynamic=config.dynamic,
            max_length=config.max_length,
        )

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the module takes and returns
        """What the module returns."""
        return self.module(*args, **kwargs)

    @property
    def executor(self) -> TorchExecutor:
        """What captures, plans and runs the module's steps; holds the plan of every variant."""
        return executor_of(self.module)

    @property
    def plan(self) -> TorchPlan:
        """The latest plan.

        Raises:
            TorchError: If the module has not been called in training yet.
        """
        return plan_of(self.module)[-1]

    def report(self) -> str:
        """What every plan in force costs, and how far from optimal it can be.

        Raises:
            TorchError: If the module has not been called in training yet.
        """
        return "\n".join(plan.report() for plan in plan_of(self.module))

    def backward(self, loss: Tensor, gradient: Tensor | None = None, *, retain_graph: bool = False) -> None:
        """The planned backward pass: ``loss.backward()``, for a loss that comes from this module.

        Raises:
            TorchError: If the loss needs no gradient.
            ExecutionError: If weights were changed since the forward pass.
        """
        if not loss.requires_grad:
            raise TorchError(
                f"the loss needs no gradient, so {type(self.module).__name__} has no backward to run; "
                "compute it from the module's outputs, outside of torch.no_grad()"
            )
        loss.backward(gradient, retain_graph=retain_graph)  # type: ignore[no-untyped-call]
