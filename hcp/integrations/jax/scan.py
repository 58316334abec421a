"""``scan`` whose way back holds no more carries than a budget allows, and computes the others again.

JAX's own scan stacks what every step leaves behind. Here a few carries are held, which ones and when is planned (by
default with the fewest steps that the budget allows), and loops over a table of steps carry the plan out, so that the
compiled program does not grow with the length.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import tree_util

from hcp.graph.ir import Graph
from hcp.integrations.jax.chain import StepSizes, Table, chain_graph, table
from hcp.integrations.jax.chain_plan import ScanChain
from hcp.integrations.jax.cost import group_cost
from hcp.integrations.jax.internals import is_variable, run_jaxpr
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.machine import Machine
from hcp.integrations.jax.measure import measure
from hcp.integrations.jax.placement import place
from hcp.integrations.jax.platform import shape
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.jax.step import Step, capture_step
from hcp.integrations.jax.transform import PlannedGradient
from hcp.integrations.planning import plan_step
from hcp.planning.plan import Plan
from hcp.planning.planner import Planner


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,  # noqa: ANN401
    xs: Any = None,  # noqa: ANN401
    length: int | None = None,
    reverse: bool = False,
    *,
    budget: int | str,
    step_budget: int | str | None = None,
    solver: str | Planner | None = None,
    time_limit: float = 60.0,
    seed: int = 0,
) -> tuple[Any, Any]:
    """``jax.lax.scan`` that can be differentiated, in reverse mode and once, within a memory budget.

    Results and gradients are those of ``jax.lax.scan``. Each step runs once on the way out and once inside of its
    transpose; what the plan does not hold is computed again on top of that.

    Args:
        f: ``f(carry, x) -> (carry, y)``; may close over arrays, and has no side effects.
        init: The first carry, a pytree of arrays.
        xs: Pytree of arrays whose first axis is scanned, or None.
        length: Number of steps, where ``xs`` does not say it.
        reverse: Go through ``xs`` from the end.
        budget: Most bytes of carries, their cotangents and the workspace of a step: an integer, a size such as
            ``"8GiB"``, or a percentage of what holding every carry takes. ``xs``, stacked results and the gradients of
            what ``f`` closes over come on top.
        step_budget: Where given, the transpose of a step is planned within this many bytes as well, or this percentage
            of what keeping everything in it takes.
        solver: Plans the chain of carries: by default the exact recursion for equal steps, else a name from
            ``hcp.planners.PLANNERS`` or a planner.
        time_limit: Seconds that the planner may take.
        seed: For planners that draw random numbers.

    Raises:
        CaptureError: If ``f`` changes the carry's structure or types, or has effects, which cannot be replayed.
        JaxVersionError: If JAX is of a version that was not tested.
        InfeasibleBudget: If the carries of one step do not fit, or no plan was found that keeps the budget.
        KeyboardInterrupt: If the user ended planning.
    """
    step = capture_step(f, init, xs, length)
    if not step.length:
        return tree_util.tree_map(jnp.asarray, init), step.empty_stacks()
    if step_budget is not None:
        request = JaxRequest(budget=step_budget, time_limit=time_limit, seed=seed, quiet=True)
        step = step.with_planned_back(PlannedGradient(f, step.back, (), request))
    plan = _plan(step, budget, solver or ScanChain(), time_limit, seed)
    assert plan.schedule is not None
    machine = Machine(step.body, step.back, step.length, reverse, table(step.length, plan.schedule))
    carry, stacks = _differentiable(machine, step)(step.constants, step.init, step.xs)
    return step.carry(carry), step.stacks(stacks)


def scan_plan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,  # noqa: ANN401
    xs: Any = None,  # noqa: ANN401
    length: int | None = None,
    *,
    budget: int | str,
    solver: str | Planner | None = None,
    time_limit: float = 60.0,
    seed: int = 0,
) -> "ScanPlan":
    """The plan that ``scan`` would run; nothing is executed. Arguments are those of ``scan``."""
    step = capture_step(f, init, xs, length)
    plan = _plan(step, budget, solver or ScanChain(), time_limit, seed)
    assert plan.schedule is not None
    return ScanPlan(plan, table(step.length, plan.schedule))


@dataclass(frozen=True)
class ScanPlan:
    """How a scan goes back.

    Attributes:
        plan: The judged plan of the chain of carries.
        table: The steps to run.
    """

    plan: Plan
    table: Table

    @property
    def forward_steps(self) -> int:
        """Forward steps in all, those inside of backward steps not counted."""
        return self.table.forward_steps

    @property
    def held_carries(self) -> int:
        """Most carries held at once, the input and the output of a running step included."""
        return self.table.slots


def _plan(step: Step, budget: int | str, solver: str | Planner, time_limit: float, seed: int) -> Plan:
    # Within a jit's trace, where nobody waits: the chain's own planner takes hardly any time.
    request = JaxRequest(budget=budget, solver=solver, time_limit=time_limit, seed=seed, quiet=True)
    return plan_step(_graph(step), request).plan


def _graph(step: Step) -> Graph:
    arguments = (step.constants, step.init, step.first_x())
    cotangents = (step.carry_cotangent(), step.stack_cotangent())
    forward_cost, forward_workspace = _charged(step.body, *arguments)
    backward_cost, backward_workspace = _charged(step.back, *arguments, *cotangents)
    sizes = StepSizes(
        _bytes(step.init),
        _bytes(cotangents[0]),
        forward_cost,
        backward_cost,
        max(0, forward_workspace),
        max(0, backward_workspace),
    )
    return chain_graph(step.length, sizes, f"the scan over {step.name}")


def _charged(function: Callable[..., Any], *arguments: Any) -> tuple[int, int]:  # noqa: ANN401
    """Nanoseconds and workspace of a step."""
    closed = jax.make_jaxpr(function)(*arguments)
    program = flatten(closed)
    results = filter(is_variable, program.outvars)
    cost = group_cost(program.equations, program.sources, results, jax.default_backend())
    placement = place(program, (*program.constants, *tree_util.tree_leaves(arguments)))
    if not placement.measurable:
        return cost, 0

    def flat(*arrays: Any) -> Any:  # noqa: ANN401
        return run_jaxpr(closed.jaxpr, arrays[: len(closed.consts)], *arrays[len(closed.consts) :])

    consts = [jax.typeof(value) for value in closed.consts]
    shapes = [shape(aval.shape, aval.dtype) for aval in (*consts, *closed.in_avals)]
    taken = measure(flat, shapes)
    return cost, taken.temporary


def _bytes(tree: Any) -> int:  # noqa: ANN401
    return sum(int(leaf.size) * leaf.dtype.itemsize for leaf in tree_util.tree_leaves(tree))


def _differentiable(machine: Machine, step: Step) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """The scan as a function of constants, first carry and ``xs``, with the planned way back."""

    @jax.custom_vjp
    def run(constants: Any, init: Any, xs: Any) -> tuple[Any, Any]:  # noqa: ANN401
        return jax.lax.scan(
            lambda carry, x: machine.body(constants, carry, x), init, xs, machine.length, machine.reverse
        )

    def forward(constants: Any, init: Any, xs: Any) -> tuple[tuple[Any, Any], Any]:  # noqa: ANN401
        carry, stacks, slots = machine.forward(constants, init, xs)
        return (carry, stacks), (constants, xs, slots)

    def backward(residuals: Any, cotangents: tuple[Any, Any]) -> tuple[Any, Any, Any]:  # noqa: ANN401
        constants, xs, slots = residuals
        found = machine.backward(constants, xs, slots, step.smooth_cotangents(*cotangents))
        return step.all_cotangents(*found)

    run.defvjp(forward, backward)
    return run
