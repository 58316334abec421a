"""What captures, plans and runs the training steps of one module: options, plans in force, and where they come from."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import torch

from hcp.feasibility import check_budget, smallest_known
from hcp.graph.ir import Graph
from hcp.integrations.planning import FRESH, planned, solved
from hcp.integrations.torch.calibration import Store, host_link
from hcp.integrations.torch.capture import Joint, Split
from hcp.integrations.torch.cost import Cost, check_cost, costs, device_of
from hcp.integrations.torch.emit import emit
from hcp.integrations.torch.errors import ExecutionError, TorchError
from hcp.integrations.torch.gradients import check_gradients
from hcp.integrations.torch.internals import tree_leaves
from hcp.integrations.torch.lower import Lowered, lower
from hcp.integrations.torch.plans import TorchPlan
from hcp.integrations.torch.prepare import prepare
from hcp.integrations.torch.probe import probe
from hcp.planning.plan import Plan, judge
from hcp.planning.planner import Planner
from hcp.planning.problem import Monitor, Problem, ignore
from hcp.planning.solution import Bound, Solution, Status
from hcp.plans.cache import CacheOption, cache_for, folder_of
from hcp.progress import live_progress
from hcp.schedule.actions import Schedule
from hcp.schedule.bandwidth import parse_link
from hcp.schedule.budget import parse_budget
from hcp.schedule.host import HostLink
from hcp.schedule.replay import replay

# A training step of a dozen transformer blocks is within a minute then, capture included.
TIME_LIMIT: Final = 45.0

GivenPlan = TorchPlan | Plan | Schedule | Callable[[Graph], Schedule]
Fallback = Literal["error", "warn"]
# None for no host, a bandwidth such as "12GiB/s", or "measured".
Host = HostLink | str | None


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a module's steps are planned; ``checkpoint`` explains each."""

    budget: int | str | None = None
    solver: str | Planner = "auto"
    time_limit: float = TIME_LIMIT
    cost: Cost = "roofline"
    plan: GivenPlan | None = None
    cache: CacheOption = True
    seed: int = 0
    fallback: Fallback = "error"
    quiet: bool = False
    monitor: Monitor = ignore
    host: Host = None

    def __post_init__(self) -> None:
        check_cost(self.cost)
        check_host(self.host)
        cache_for(self.cache)
        if self.budget is None and self.plan is None:
            raise TorchError("got neither a budget nor a plan; give a budget such as '50%' or '8GiB'")
        if self.fallback not in ("error", "warn"):
            raise TorchError(f"fallback {self.fallback!r} is not understood; give 'error' or 'warn'")


@dataclass(eq=False)
class TorchExecutor:
    """Plans each variant (shapes, mode) of a module's training step once, and emits the code that runs it.

    Attributes:
        name: Of the module's class, for people.
        options: How to plan.
        plans: The plans in force, in the order in which calls asked for them.
        called_with: Arguments of the call at hand, while there is one.
    """

    name: str
    options: Options
    plans: list[TorchPlan] = field(default_factory=list)
    called_with: object = None

    def inputs(self) -> str:
        """Shapes and types of the call at hand, for people."""
        return ", ".join(_described(item) for item in tree_leaves(self.called_with) if item is not None)

    def split(self, joint: Joint) -> Split:
        """The two halves of a captured training step, as planned.

        Raises:
            HcpError: If it cannot be planned, or no plan meets the budget.
        """
        lowered = lower_joint(joint, self.options.cost, self.name, self.options.cache)
        plan = self.plan_graph(lowered.graph, device_of(joint.primals))
        halves = emit(lowered, plan.schedule)
        self.plans.append(plan)
        return halves

    def plan_graph(self, graph: Graph, device: str) -> TorchPlan:
        """A plan for a captured step: the given one, one made before, or a new one.

        Args:
            graph: The step.
            device: Where it runs: ``"cpu"`` or ``"cuda"``.

        Raises:
            HcpError: If the plan does not fit the graph, or no plan meets the budget.
            KeyboardInterrupt: If the user stopped the planner.
        """
        options, inputs = self.options, self.inputs()
        host = link_of(options.host, graph, device, options.cache)
        if options.plan is not None:
            return TorchPlan(adopt(graph, options.plan, options.budget, host), inputs, "given")
        assert options.budget is not None
        budget = parse_budget(options.budget, graph)
        problem = Problem(graph, budget, host=host)
        plan, source = planned(problem, options, lambda: self._solve(problem, inputs))
        if source == FRESH:
            return TorchPlan(plan, inputs)
        self._say(f"took the plan for {self.name}{_on(inputs)} from {source}")
        return TorchPlan(plan, inputs, source)

    def _solve(self, problem: Problem, inputs: str) -> Plan:
        options, graph = self.options, problem.graph
        which = "" if not self.plans else f" again, as this is variant {len(self.plans) + 1} of its shapes and modes"
        self._say(
            f"planning {self.name}{_on(inputs)}{which}: {len(graph.nodes):,} operations within {options.budget}, "
            f"up to {options.time_limit:g} s"
        )
        with live_progress(options.time_limit, options.quiet or options.monitor is not ignore) as display:
            monitor = display if options.monitor is ignore else options.monitor
            plan = solved(graph, problem.budget, options, monitor, problem.host)
        if plan.schedule is None:
            raise TorchError(_no_schedule(plan, options.time_limit))
        self._say(f"{TorchPlan(plan)}, {plan.seconds:.1f} s")
        return plan

    def _say(self, line: str) -> None:
        if not self.options.quiet:
            print(f"hcp: {line}", file=sys.stderr, flush=True)


def lower_joint(joint: Joint, cost: Cost, name: str, cache: CacheOption) -> Lowered:
    """The graph of a captured step, with measured footprints; measured costs are kept in the cache.

    Raises:
        CaptureError: If the step lacks gradients, or holds an operation that cannot be planned.
    """
    check_gradients(joint)
    program = prepare(joint)
    times = Store.of(device_of(joint.primals), "times", folder_of(cache)) if cost == "measured" else None
    footprints = probe(program, times)
    if times is not None:
        times.save()
    views = {node for node, footprint in footprints.items() if not footprint.sizes} - program.effects
    charged = {node: footprint for node, footprint in footprints.items() if node not in views}
    return lower(program, footprints, costs(cost, charged, cache), views, name)


def check_host(host: object) -> None:
    """Refuses anything but a host link, a bandwidth, ``"measured"`` or None; bandwidths are read with the graph.

    Raises:
        TorchError: Lists the choices.
    """
    if host is not None and not isinstance(host, HostLink | str):
        raise TorchError(
            f"host {host!r} is not understood; give a bandwidth such as '12GiB/s', 'measured', or a HostLink"
        )


def link_of(host: Host, graph: Graph, device: str, cache: CacheOption) -> HostLink | None:
    """The link that the option stands for.

    Raises:
        HcpError: If it is a text that is no bandwidth.
    """
    if host == "measured":
        return host_link(device, cache)
    return None if host is None else parse_link(host, graph)


def adopt(graph: Graph, given: GivenPlan, budget: int | str | None, host: HostLink | None = None) -> Plan:
    """A plan from elsewhere, replayed on the graph at hand; a ``Plan`` brings its own host link.

    Raises:
        ExecutionError: If it was made for another graph or breaks the budget.
        InfeasibleBudget: If every schedule breaks the budget.
        ScheduleError: If it is illegal for the graph.
    """
    bounds: tuple[Bound, ...] = ()
    given = given.plan if isinstance(given, TorchPlan) else given
    if isinstance(given, Plan):
        if given.graph.fingerprint != graph.fingerprint:
            raise ExecutionError(
                f"the plan was made for another graph than this step of {graph.name}; plan again with these shapes, "
                "this mode and this cost option"
            )
        schedule, bounds, planner, host = given.schedule, given.bounds, given.planner, given.problem.host
        if schedule is None:
            raise ExecutionError(f"the plan given for {graph.name} has no schedule; {given.status.remedy}")
    else:
        schedule, planner = given if isinstance(given, Schedule) else given(graph), "given"
    peak = replay(graph, schedule, host).peak
    problem = Problem(graph, peak if budget is None else parse_budget(budget, graph), host=host)
    check_budget(problem)
    if peak > problem.budget:
        raise ExecutionError(
            f"the plan given for {graph.name} peaks at {peak:,} bytes, over the budget of {problem.budget:,}; "
            "raise the budget"
        )
    return judge(problem, Solution(schedule, Status.FEASIBLE, bounds, planner))


def _no_schedule(plan: Plan, time_limit: float) -> str:
    return (
        f"solver {plan.planner!r} found no plan for {plan.graph.name} within {plan.problem.budget:,} bytes in "
        f"{time_limit:g} s; the smallest budget known to work is {smallest_known(plan.graph):,} bytes; "
        f"{plan.status.remedy}"
    )


def _on(inputs: str) -> str:
    return f" on {inputs}" if inputs else ""


def _described(item: object) -> str:
    if not isinstance(item, torch.Tensor):
        return repr(item)
    return f"{str(item.dtype).removeprefix('torch.')}{list(item.shape)}"
