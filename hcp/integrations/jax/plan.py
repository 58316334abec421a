"""The plan of one captured function, and the loop that makes its compiled program keep the budget."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import jax

from hcp.graph.ir import Graph
from hcp.integrations.jax.emit import emit
from hcp.integrations.jax.errors import UnreachableBudget
from hcp.integrations.jax.lower import Lowered
from hcp.integrations.jax.measure import measure
from hcp.integrations.planned import Planned
from hcp.integrations.planning import planned, solved
from hcp.planning.plan import Plan, judge
from hcp.planning.planner import Planner
from hcp.planning.problem import InfeasibleBudget, Monitor, Problem, ignore
from hcp.planning.solution import Solution, Status
from hcp.plans.cache import CacheOption
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.bandwidth import parse_link
from hcp.schedule.budget import parse_budget
from hcp.schedule.host import HostLink
from hcp.schedule.replay import replay

# Compiling and planning again; each attempt lowers the budget that is planned for by what was too much.
ATTEMPTS: Final = 6

_REMEMBERED: Final = 256
_TAKEN: Final[OrderedDict[tuple[Any, ...], int]] = OrderedDict()


@dataclass(frozen=True)
class JaxPlan(Planned):
    """A plan in force for one variant (shapes, types) of a function.

    Attributes:
        measured_bytes: Temporary and output memory of the compiled program on one device; None where not measured.
        keep_everything_bytes: The same of the program without any recomputation, as planned or as compiled, whichever
            is more; what percentages refer to.
    """

    measured_bytes: int | None
    keep_everything_bytes: int

    @property
    def memory_bytes(self) -> int:
        """Temporary and output memory as planned: the schedule's peak."""
        assert self.plan.peak is not None
        return self.plan.peak

    def __str__(self) -> str:
        measured = "not measured" if self.measured_bytes is None else f"measured {self.measured_bytes:,}"
        return (
            f"{self.graph.name}: {self.memory_bytes:,} bytes planned, {measured}, of {self.budget_bytes:,} "
            f"({self.memory_bytes / self.keep_everything_bytes:.1%} of keep-everything), "
            f"overhead {self.overhead:.2%}, gap {self._gap_text()}, by {self.plan.planner}"
        )


@dataclass(frozen=True)
class Request:
    """How to plan.

    Attributes:
        budget: Most bytes of temporary and output memory: an integer, a size such as ``"8GiB"``, or a percentage of
            what the captured computation takes when it keeps everything.
        solver: A name from ``hcp.planners.PLANNERS``, or a planner.
        time_limit: Seconds that the planner may take.
        seed: For planners that draw random numbers.
        measure: Whether to compile and plan again until the compiled program keeps the budget.
        cache: Where plans are looked up and kept: a folder, True for the default one, or False for memory only.
        monitor: Called with the progress of planning.
        host: Where given, values may go to the host's memory and back: a link, or its bandwidth.
    """

    budget: int | str
    solver: str | Planner = "auto"
    time_limit: float = 60.0
    seed: int = 0
    measure: bool = True
    cache: CacheOption = True
    monitor: Monitor = ignore
    host: HostLink | str | None = None

    def plan(self, graph: Graph, budget: int) -> Plan:
        """Plans within some bytes, or finds the plan in the cache.

        Raises:
            InfeasibleBudget: Where it is proved that no schedule keeps these bytes.
            KeyboardInterrupt: If the user ended the search.
        """
        link = None if self.host is None else parse_link(self.host, graph)
        problem = Problem(graph, budget, host=link)
        return planned(problem, self, lambda: solved(graph, budget, self, self.monitor, link))[0]


def whole_bytes(lowered: Lowered, request: Request, shapes: Sequence[Any]) -> int:
    """What the program takes that keeps everything, as planned or as compiled, whichever is more."""
    kept = keep_everything(lowered.graph)
    whole = replay(lowered.graph, kept).peak
    return max(whole, _taken(lowered, kept, shapes)) if request.measure else whole


def fit(lowered: Lowered, request: Request, shapes: Sequence[Any], whole: int) -> JaxPlan:
    """Plans, compiles, measures, and plans for less until the compiled program keeps the budget.

    Args:
        lowered: What is planned.
        request: How.
        shapes: Of the constants and arguments, for the compiler.
        whole: What percentages refer to.

    Raises:
        InfeasibleBudget: Where it is proved that no schedule keeps the budget.
        UnreachableBudget: Where no plan was found that does, or no compiled program.
    """
    budget = parse_budget(request.budget, lowered.graph, whole)
    target, smallest = budget, None
    first: Plan | None = None
    for _ in range(ATTEMPTS if request.measure else 1):
        try:
            plan = request.plan(lowered.graph, target)
        except InfeasibleBudget:
            if first is None:
                raise
            break
        first = first or plan
        if plan.schedule is None or plan.peak is None:
            break
        if not request.measure:
            return JaxPlan(plan, None, whole)
        taken = _taken(lowered, plan.schedule, shapes)
        if taken <= budget:
            return JaxPlan(_for(first, plan), taken, whole)
        smallest = taken if smallest is None else min(smallest, taken)
        target = min(target, plan.peak) - (taken - budget)
        if target <= 0:
            break
    raise _unreachable(lowered.graph, budget, first, smallest)


def _taken(lowered: Lowered, schedule: Schedule, shapes: Sequence[Any]) -> int:
    """What the compiled program takes; compiled once for all that ask."""
    shardings = str([(shape.shape, shape.dtype, shape.sharding) for shape in shapes])
    key = (lowered.fingerprint, jax.default_backend(), shardings, schedule.actions)
    if key not in _TAKEN:
        _TAKEN[key] = measure(emit(lowered, schedule), shapes).total
        while len(_TAKEN) > _REMEMBERED:
            _TAKEN.popitem(last=False)
    return _TAKEN[key]


def _for(first: Plan, plan: Plan) -> Plan:
    """A plan for a lowered budget as one for the budget asked for, whose bounds are the first plan's."""
    if plan is first:
        return plan
    solution = Solution(plan.schedule, Status.FEASIBLE, first.bounds, plan.planner, plan.seconds, plan.trace)
    return judge(first.problem, solution)


def _unreachable(graph: Graph, budget: int, first: Plan | None, smallest: int | None) -> UnreachableBudget:
    assert first is not None
    if smallest is None:
        return UnreachableBudget(
            f"solver {first.planner!r} found no plan for {graph.name} within {budget:,} bytes; {first.status.remedy}"
        )
    return UnreachableBudget(
        f"no plan was found for {graph.name} whose compiled program keeps {budget:,} bytes; the smallest one takes "
        f"{smallest:,} bytes: raise the budget to that, or the time limit"
    )
