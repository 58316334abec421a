"""``height_compressed_grad``: gradients by the framework-free executor, node by node, with its report at hand."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any

import jax

from hcp.integrations.jax.capture import Arguments, Captured, capture
from hcp.integrations.jax.eager import JaxCallbacks, JaxCodec
from hcp.integrations.jax.errors import ExecutionError
from hcp.integrations.jax.internals import is_traced
from hcp.integrations.jax.lower import Lowered, lower
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.jax.version import check_version
from hcp.integrations.planning import plan_step
from hcp.planners import planner_named
from hcp.planning.planner import AnyPlanner
from hcp.runtime import CheckpointStorage, Execution, HeightCompressedExecutor
from hcp.runtime.storage import TierName
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay


def height_compressed_grad(
    f: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    block_size: int | None = None,
    planner: str | AnyPlanner | None = None,
    budget: int | str | None = None,
    storage: CheckpointStorage | None = None,
    tier: TierName = "device",
) -> "HeightCompressedGrad":
    """``jax.grad(f, argnums, has_aux)`` that runs its plan node by node, outside of any jit.

    Slower than ``grad``, whose plans are one compiled program; but it holds what the plan says on every platform, its
    checkpoints can go to the host or a disk, and each run leaves a profile behind.

    Args:
        f: Returns a scalar.
        argnums: Which positional arguments to differentiate with respect to.
        has_aux: Whether ``f`` returns a pair of a scalar and a pytree of arrays.
        block_size: Keep what crosses blocks of this many forward nodes; by default the square root of their number.
        planner: Instead of blocks: a name from ``hcp.planners.PLANNERS``, or a planner.
        budget: For the planner: bytes, a size such as ``"8GiB"``, or a percentage of keep-everything.
        storage: Keeps checkpoints that go elsewhere.
        tier: Where checkpoints go: ``"device"``, ``"host"`` or ``"disk"``.

    Returns:
        A function with ``last_executor``, ``last_execution`` and ``report()``.

    Raises:
        ExecutionError: With both a block size and a planner, or a planner without a budget.
    """
    if block_size is not None and planner is not None:
        raise ExecutionError("height_compressed_grad() got a block size and a planner; give one of them")
    if (planner is None) != (budget is None):
        raise ExecutionError("height_compressed_grad() takes a planner and a budget together; give both, or neither")
    request = None
    if planner is not None:
        chosen = planner_named(planner) if isinstance(planner, str) else planner
        request = JaxRequest(budget=budget, solver=chosen, cache=False, quiet=True)
    if storage is None:
        storage = CheckpointStorage(codec=JaxCodec())
    made = HeightCompressedGrad(f, (argnums, has_aux), block_size, request, storage, tier)
    update_wrapper(made, f, updated=())
    return made


@dataclass(eq=False)
class HeightCompressedGrad:
    """What ``height_compressed_grad`` returns.

    Attributes:
        last_executor: The executor of the last call, with the plan in force; None before the first.
        last_execution: What the last call did.
    """

    function: Callable[..., Any]
    how: tuple[int | Sequence[int], bool]
    block_size: int | None
    request: JaxRequest | None
    storage: CheckpointStorage
    tier: TierName
    last_executor: HeightCompressedExecutor | None = None
    last_execution: Execution | None = field(default=None, repr=False)
    _prepared: dict[Any, tuple[Captured, Lowered, dict[str, Any]]] = field(default_factory=dict, repr=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """The gradients.

        Raises:
            ExecutionError: Within a trace, such as a jit's.
            JaxVersionError: If JAX is of a version that was not tested.
            InfeasibleBudget: If it is proved that no schedule keeps the planner's budget.
            KeyboardInterrupt: If the user ended planning.
        """
        argnums, has_aux = self.how
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        arguments = Arguments.split(args, kwargs, [n % max(1, len(args)) for n in numbers])
        name = str(getattr(self.function, "__name__", type(self.function).__name__))
        if any(map(is_traced, arguments.arrays)):
            raise ExecutionError(
                f"{name} is run node by node, which cannot be part of a jit or vmap; "
                "use hcp.integrations.jax.grad there"
            )
        if arguments.key not in self._prepared:
            check_version()
            captured = capture(jax.grad(self.function, argnums, has_aux), arguments, name)
            self._prepared[arguments.key] = captured, lower(captured.program, name=name), {}
        captured, lowered, compiled = self._prepared[arguments.key]
        executor = HeightCompressedExecutor(self.storage, self.tier)
        graph = lowered.graph
        if self.request is None:
            block_size = self.block_size or max(1, math.isqrt(replay(graph, keep_everything(graph)).peak_step + 1))
            executor.configure(graph, block_size=block_size)
        else:
            executor.configure(plan=plan_step(graph, self.request).plan)
        callbacks = JaxCallbacks(lowered, (*captured.program.constants, *arguments.arrays), compiled)
        self.last_executor, self.last_execution = executor, executor.run(callbacks)
        return captured.rebuilt(callbacks.results(self.last_execution.results))

    def report(self) -> str:
        """What the last call's plan costs and what the run did.

        Raises:
            ExecutionError: Before the first call.
        """
        if self.last_executor is None or self.last_execution is None or self.last_execution.profile is None:
            raise ExecutionError("there is nothing to report yet; call the function first")
        plan, profile = self.last_executor.configuration, self.last_execution.profile
        kept = replay(plan.graph, keep_everything(plan.graph))
        again = sum(profile.recomputed.values())
        milliseconds = sum(profile.durations.values()) / 1e6
        return (
            f"{plan.graph.name}: {len(plan.graph.nodes)} nodes, {again} of them run again; "
            f"peak {profile.peak_bytes:,} bytes ({profile.peak_bytes / kept.peak:.1%} of keep-everything), "
            f"{len(plan.checkpoints)} checkpoints, {profile.peak_stored_bytes:,} bytes stored elsewhere; "
            f"cost {plan.usage.cost / kept.cost - 1:+.2%}; "
            f"{milliseconds:.1f} ms, {profile.recomputed_ns / 1e6:.1f} ms of it for recomputation"
        )
