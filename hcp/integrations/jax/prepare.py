"""From a captured call to what is run: its graph, and the plan of it, or of the same with its loops cut up."""

from dataclasses import dataclass, replace
from typing import Any

import jax
from jax import tree_util

from hcp.integrations.jax.capture import Arguments, Captured
from hcp.integrations.jax.emit import emit
from hcp.integrations.jax.lower import Lowered, lower
from hcp.integrations.jax.placement import Placement, place
from hcp.integrations.jax.plan import JaxPlan, fit, take, whole_bytes
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.planned import Planned
from hcp.integrations.request import GivenPlan
from hcp.planning.plan import Plan
from hcp.planning.problem import InfeasibleBudget


@dataclass(frozen=True, eq=False)
class Prepared:
    """A captured and planned call.

    Attributes:
        captured: What was captured.
        lowered: Its graph.
        plan: What is run.
    """

    captured: Captured
    lowered: Lowered
    plan: JaxPlan

    def __call__(self, *arrays: Any) -> Any:  # noqa: ANN401
        """Runs the plan on the arrays of the call, in the order of the tree's leaves."""
        program = self.captured.program
        results = emit(self.lowered, self.plan.schedule)(*program.constants, *arrays)
        return tree_util.tree_unflatten(self.captured.structure, results)


def prepare(captured: Captured, arguments: Arguments, request: JaxRequest) -> Prepared:
    """Plans a call.

    Where the budget is less than keeping everything takes, loops are cut up, so that a plan sees into them. If that
    comes to no plan, they are planned as one operation each after all.

    Raises:
        ExecutionError: If a plan that was given does not fit the call.
        InfeasibleBudget: If no schedule, or no compiled program, keeps the budget.
    """
    way = _Way.of(captured, arguments)
    request = replace(request, measure=request.measure and way.placement.measurable)
    whole = whole_bytes(way.lowered, request, way.shapes)
    if request.plan is not None:
        return way.made_for(request.plan, arguments).take(request, whole)
    budget = request.problem(way.lowered.graph, None, whole).budget
    # The same number of bytes for the loops' graph, whose keep-everything peak is another.
    request = replace(request, budget=budget)
    inside = captured.cut() if budget < whole else None
    if inside is None:
        return way.fit(request, whole)
    try:
        return _Way.of(inside, arguments).fit(request, whole)
    except InfeasibleBudget as error:
        try:
            return way.fit(request, whole)
        except InfeasibleBudget:
            raise error from None


@dataclass(frozen=True, eq=False)
class _Way:
    """A captured call on the way to its plan."""

    captured: Captured
    placement: Placement
    lowered: Lowered

    @classmethod
    def of(cls, captured: Captured, arguments: Arguments) -> "_Way":
        program = captured.program
        placement = place(program, (*program.constants, *arguments.arrays))
        lowered = lower(program, name=captured.name, calibrate=placement.measurable, placement=placement)
        return cls(captured, placement, lowered)

    @property
    def shapes(self) -> list[jax.ShapeDtypeStruct]:
        """Of constants and arguments, for the compiler."""
        return [self.placement.shape(var) for var in self.captured.program.sources]

    def made_for(self, given: GivenPlan, arguments: Arguments) -> "_Way":
        """This, or the same with loops cut up where a plan was made for that."""
        plan = given.plan if isinstance(given, Planned) else given
        if not isinstance(plan, Plan) or plan.graph.fingerprint == self.lowered.graph.fingerprint:
            return self
        inside = self.captured.cut()
        return self if inside is None else _Way.of(inside, arguments)

    def take(self, request: JaxRequest, whole: int) -> Prepared:
        return Prepared(self.captured, self.lowered, take(self.lowered, request, self.shapes, whole))

    def fit(self, request: JaxRequest, whole: int) -> Prepared:
        return Prepared(self.captured, self.lowered, fit(self.lowered, request, self.shapes, whole))
