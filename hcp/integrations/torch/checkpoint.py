"""The drop-in: ``checkpoint(module, budget=...)`` plans a training step at the first call, and runs the plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from torch import nn

from hcp.graph.ir import Graph
from hcp.integrations.torch.capture import Joint, Split, backend, check_version, install, trace
from hcp.integrations.torch.cost import Cost, check_cost, costs
from hcp.integrations.torch.emit import emit
from hcp.integrations.torch.errors import ExecutionError, TorchError
from hcp.integrations.torch.lower import Lowered, lower
from hcp.integrations.torch.probe import probe
from hcp.integrations.torch.program import prepare
from hcp.planners import solve
from hcp.schedule.actions import Schedule
from hcp.schedule.budget import parse_budget
from hcp.schedule.plan import Plan, judge
from hcp.schedule.replay import replay
from hcp.schedule.solution import Bound, Monitor, Planner, Problem, Solution, Status, silent

M = TypeVar("M", bound=nn.Module)

GivenPlan = Plan | Schedule | Callable[[Graph], Schedule]


@dataclass(frozen=True)
class TorchPlan:
    """A plan in force for one variant (shapes, mode) of a module.

    Attributes:
        plan: The judged plan.
    """

    plan: Plan

    @property
    def graph(self) -> Graph:
        """The captured training step."""
        return self.plan.graph

    @property
    def schedule(self) -> Schedule:
        """What is executed."""
        assert self.plan.schedule is not None
        return self.plan.schedule

    @property
    def peak_bytes(self) -> int:
        """Peak over one forward and backward, above what exists when the step starts."""
        assert self.plan.peak is not None
        return self.plan.peak

    @property
    def keep_everything_bytes(self) -> int:
        """Peak that the captured step would have without any recomputation."""
        return self.plan.base.peak

    @property
    def overhead(self) -> float:
        """Cost of recomputation over the cost of the step without any."""
        assert self.plan.overhead is not None
        return self.plan.overhead

    @property
    def gap(self) -> float | None:
        """How far the plan's cost can be above the best possible, relatively; None where nothing is known."""
        return self.plan.gap

    @property
    def gap_scope(self) -> str:
        """Among which schedules the gap holds."""
        return self.plan.gap_scope

    def __str__(self) -> str:
        gap = "unknown" if self.gap is None else f"{self.gap:.2%} ({self.gap_scope})"
        return (
            f"{self.graph.name}: peak {self.peak_bytes:,} bytes "
            f"({self.peak_bytes / self.keep_everything_bytes:.1%} of keep-everything), "
            f"overhead {self.overhead:.2%}, gap {gap}, by {self.plan.planner}"
        )


@dataclass
class _Planned:
    """What checkpoint() was asked for, and the plans made so far."""

    name: str
    make: Callable[[Graph], Plan]
    cost: Cost
    plans: list[TorchPlan] = field(default_factory=list)

    def split(self, joint: Joint) -> Split:
        lowered = _lower(joint, self.cost, self.name)
        plan = TorchPlan(self.make(lowered.graph))
        halves = emit(lowered, plan.schedule)
        self.plans.append(plan)
        return halves


_PLANNED: Final[WeakKeyDictionary[nn.Module, _Planned]] = WeakKeyDictionary()


def checkpoint(
    module: M,
    budget: int | str | None = None,
    *,
    solver: str | Planner = "auto",
    time_limit: float = 60.0,
    cost: Cost = "roofline",
    plan: GivenPlan | None = None,
    seed: int = 0,
    monitor: Monitor = silent,
) -> M:
    """Prepares a module so that each training step keeps within a memory budget.

    The first call with given shapes captures the step and plans it; every call then runs the plan. Gradients,
    outputs, buffers and random state are those of the unplanned step. Calls that need no gradient run as captured.

    Args:
        module: Changed in place; its type, parameters and ``state_dict`` names stay.
        budget: Most bytes a forward and backward may hold above what exists when the step starts: an integer, a size
            such as ``"8GiB"``, or a percentage such as ``"50%"`` of the captured step's keep-everything peak.
        solver: A name from ``hcp.planners.PLANNERS``, or a planner.
        time_limit: Seconds that planning may take, for each variant of the step.
        cost: ``"roofline"`` (deterministic), ``"measured"`` (each operation timed), or a function from an
            ``fx.Node`` to nanoseconds.
        plan: A plan to run instead of solving: a ``Plan`` or ``Schedule`` made for this step's graph, or a function
            that makes a schedule for a graph.
        seed: For planners that draw random numbers.
        monitor: Called with the progress of planning.

    Returns:
        The same module.

    Raises:
        TorchError: On anything but a module that is not compiled, a bad cost option, an untested PyTorch, or with
            neither budget nor plan.
    """
    check_version()
    check_cost(cost)
    if not isinstance(module, nn.Module):
        raise TorchError(f"checkpoint() got {type(module).__name__!r} object; give it a torch.nn.Module")
    if budget is None and plan is None:
        raise TorchError("checkpoint() got neither a budget nor a plan; give a budget such as '50%' or '8GiB'")

    def make(graph: Graph) -> Plan:
        if plan is not None:
            return _adopt(graph, plan, budget)
        assert budget is not None
        found = solve(graph, budget, solver, time_limit=time_limit, seed=seed, monitor=monitor)
        return _found(found, time_limit)

    planned = _Planned(type(module).__name__, make, cost)
    install(module, backend(planned.split))
    _PLANNED[module] = planned
    return module


def plan_of(module: nn.Module) -> list[TorchPlan]:
    """The plans in force for a module, in the order in which its calls asked for them.

    Raises:
        TorchError: If the module was not prepared by ``checkpoint``, or has not been called in training yet.
    """
    planned = _PLANNED.get(module)
    if planned is None:
        raise TorchError(f"{type(module).__name__} was not prepared by checkpoint(); prepare it first")
    if not planned.plans:
        raise TorchError(f"{type(module).__name__} has no plan yet; call it once in training mode first")
    return list(planned.plans)


def capture_graph(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    cost: Cost = "roofline",
) -> Graph:
    """The training step of ``module(*args, **kwargs)`` as an hcp graph; the module is neither run nor changed.

    Raises:
        TorchError: If the step cannot be captured as one graph, or nothing in it needs a gradient.
    """
    check_version()
    check_cost(cost)
    if not isinstance(module, nn.Module):
        raise TorchError(f"capture_graph() got {type(module).__name__!r} object; give it a torch.nn.Module")
    return _lower(trace(module, args, dict(kwargs or {})), cost, type(module).__name__).graph


def _lower(joint: Joint, cost: Cost, name: str) -> Lowered:
    program = prepare(joint)
    footprints = probe(program, timed=cost == "measured")
    views = {node for node, footprint in footprints.items() if not footprint.sizes} - program.effects
    charged = {node: footprint for node, footprint in footprints.items() if node not in views}
    return lower(program, footprints, costs(cost, charged), views, name)


def _found(plan: Plan, time_limit: float) -> Plan:
    """The plan, if there is one.

    Raises:
        TorchError: If the solver found no schedule in time.
    """
    if plan.schedule is None:
        raise TorchError(
            f"solver {plan.planner!r} found no plan for {plan.graph.name} within {plan.problem.budget:,} bytes "
            f"in {time_limit:g} s; {plan.status.remedy}"
        )
    return plan


def _adopt(graph: Graph, given: GivenPlan, budget: int | str | None) -> Plan:
    """A plan from elsewhere, replayed on the graph at hand.

    Raises:
        ExecutionError: If it was made for another graph or breaks the budget.
        ScheduleError: If it is illegal for the graph.
    """
    bounds: tuple[Bound, ...] = ()
    if isinstance(given, Plan):
        if given.graph.fingerprint != graph.fingerprint:
            raise ExecutionError(
                f"the plan was made for another graph than this step of {graph.name}; plan again with these shapes, "
                "this mode and this cost option"
            )
        schedule, bounds, planner = given.schedule, given.bounds, given.planner
        if schedule is None:
            raise ExecutionError(f"the plan given for {graph.name} has no schedule; {given.status.remedy}")
    else:
        schedule, planner = given if isinstance(given, Schedule) else given(graph), "given"
    peak = replay(graph, schedule).peak
    most = peak if budget is None else parse_budget(budget, graph)
    if peak > most:
        raise ExecutionError(
            f"the plan given for {graph.name} peaks at {peak:,} bytes, over the budget of {most:,}; raise the budget"
        )
    return judge(Problem(graph, most), Solution(schedule, Status.FEASIBLE, bounds, planner))
