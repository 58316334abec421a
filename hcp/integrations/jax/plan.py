"""The plan of one captured function, and the loop that makes its compiled program keep the budget."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import jax

from hcp.integrations.jax.emit import emit
from hcp.integrations.jax.errors import ExecutionError, UnreachableBudget
from hcp.integrations.jax.lower import Lowered
from hcp.integrations.jax.measure import measure
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.planned import Planned
from hcp.integrations.planning import adopt, find_plan, judged
from hcp.planning.plan import Plan
from hcp.planning.problem import InfeasibleBudget
from hcp.schedule.actions import Schedule, keep_everything
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
            f"({self.memory_bytes / self.keep_everything_bytes:.1%} of keep-everything), {self._merits()}"
        )


def whole_bytes(lowered: Lowered, request: JaxRequest, shapes: Sequence[Any]) -> int:
    """What the program takes that keeps everything, as planned or as compiled, whichever is more."""
    kept = keep_everything(lowered.graph)
    whole = replay(lowered.graph, kept).peak
    return max(whole, _taken(lowered, kept, shapes)) if request.measure else whole


def fit(lowered: Lowered, request: JaxRequest, shapes: Sequence[Any], whole: int) -> JaxPlan:
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
    problem = request.problem(lowered.graph, request.link(lowered.graph), whole)
    target, smallest, again = problem.budget, None, ""
    first: Plan | None = None
    for _ in range(ATTEMPTS if request.measure else 1):
        try:
            plan = find_plan(replace(problem, budget=target), request, again=again).plan
        except InfeasibleBudget:
            if first is None:
                raise
            break
        assert plan.schedule is not None
        assert plan.peak is not None
        first = first or plan
        if not request.measure:
            return JaxPlan(plan, None, whole)
        taken = _taken(lowered, plan.schedule, shapes)
        if taken <= problem.budget:
            return JaxPlan(_for(first, plan), taken, whole)
        smallest = taken if smallest is None else min(smallest, taken)
        target = min(target, plan.peak) - (taken - problem.budget)
        again = f" again, as the compiled program takes {taken:,}"
        if target <= 0:
            break
    raise UnreachableBudget(
        f"no plan was found for {lowered.graph.name} whose compiled program keeps {problem.budget:,} bytes; the "
        f"smallest one takes {smallest:,} bytes: raise the budget to that, or the time limit"
    )


def take(lowered: Lowered, request: JaxRequest, shapes: Sequence[Any], whole: int) -> JaxPlan:
    """The plan that the request gives, with what its compiled program takes; arguments are those of ``fit``.

    Raises:
        ExecutionError: If it was made for another graph, or it or its compiled program breaks the budget.
        InfeasibleBudget: If every schedule breaks the budget.
        ScheduleError: If it is illegal for the graph.
    """
    graph, link = lowered.graph, request.link(lowered.graph)
    if request.budget is not None:
        request = replace(request, budget=request.problem(graph, link, whole).budget)
    plan = adopt(graph, request, link)
    assert plan.schedule is not None
    taken = _taken(lowered, plan.schedule, shapes) if request.measure else None
    if taken is not None and request.budget is not None and taken > plan.problem.budget:
        raise ExecutionError(
            f"the compiled program of the plan given for {graph.name} takes {taken:,} bytes, over the budget of "
            f"{plan.problem.budget:,}; raise the budget"
        )
    return JaxPlan(plan, taken, whole)


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
    assert plan.schedule is not None
    made = judged(first.problem, plan.schedule, plan.planner, first.bounds)
    return replace(made, seconds=plan.seconds, trace=plan.trace)
