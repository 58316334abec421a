"""Finds the plan whose *compiled* program keeps a budget: what Inductor makes of a plan may hold more or less.

Plans are made for more or for less than is allowed until the measured peak is within a few per cent of it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from hcp.feasibility import smallest_known
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.integrations.planning import Found, find_plan
from hcp.integrations.request import Request
from hcp.planning.plan import Plan
from hcp.planning.problem import Problem

# How much of what is allowed a plan may leave unused before a cheaper one is looked for.
UNUSED: Final = 0.03
# Programs that are compiled and measured for one budget at most.
ATTEMPTS: Final = 6
# Of the time that is left, what each plan may take.
_SHARE: Final = 0.5
_LEAST_SECONDS: Final = 1.0
# By how much of what is allowed the next plan is made for less than what seems to fit, times the attempts so far.
_MARGIN: Final = 0.004


@dataclass(frozen=True)
class Fitted:
    """A plan whose program was compiled.

    Attributes:
        found: The plan.
        measured_bytes: The program's peak; None where it cannot be measured.
    """

    found: Found
    measured_bytes: int | None

    @property
    def plan(self) -> Plan:
        """The plan itself."""
        return self.found.plan

    @property
    def cost(self) -> int:
        """Of the plan."""
        assert self.plan.cost is not None
        return self.plan.cost

    @property
    def peak(self) -> int:
        """Of the plan."""
        assert self.plan.peak is not None
        return self.plan.peak


@dataclass
class Fitting:
    """The search for one budget.

    Attributes:
        graph: What is planned.
        request: How.
        allowed: Most bytes of the compiled program.
        measure: Compiles a plan, and gives the peak of its program; None where it cannot be measured.
        offset: How many bytes more than planned programs of this step are known to take.
        inputs: Shapes of the call at hand, for people.
        tried: What was compiled so far.
    """

    graph: Graph
    request: Request
    allowed: int
    measure: Callable[[Plan], int | None]
    offset: int = 0
    inputs: str = ""
    tried: list[Fitted] = field(default_factory=list)

    def run(self) -> Fitted | None:
        """The cheapest plan found whose program keeps what is allowed; None for none.

        Raises:
            HcpError: Where not even a plan was found.
            KeyboardInterrupt: If the user ended a search.
        """
        left = self.request.time_limit
        least = min(_LEAST_SECONDS, left)
        target, ceiling = self.allowed - max(0, self.offset), math.inf
        for attempt in range(1, ATTEMPTS + 1):
            fitted = self._attempt(target, max(least, left * _SHARE))
            if fitted is None or fitted.measured_bytes is None:
                break
            left -= fitted.plan.seconds
            spare = self.allowed - fitted.measured_bytes
            if spare < 0:
                ceiling = min(ceiling, fitted.peak)
            elif spare <= UNUSED * self.allowed or fitted.cost <= self.graph.base_cost:
                break
            margin = int(_MARGIN * self.allowed * attempt)
            target = int(min(fitted.peak + spare - margin, ceiling - 1))
            if spare >= 0 and target <= fitted.peak + margin:
                break
            # Where nothing fits yet, a little time more is better than no plan.
            if left <= 0 and self.best is not None:
                break
        return self.best

    @property
    def best(self) -> Fitted | None:
        """The cheapest that keeps what is allowed."""
        fitting = (fitted for fitted in self.tried if (fitted.measured_bytes or 0) <= self.allowed)
        return min(fitting, key=lambda fitted: (fitted.cost, fitted.measured_bytes or 0), default=None)

    def _attempt(self, target: int, seconds: float) -> Fitted | None:
        """Plans within a target, or as low as is known to go where that is not far; None where nothing new came."""
        found = self._found(target, seconds)
        if found is None or any(found.plan.schedule == fitted.plan.schedule for fitted in self.tried):
            return None
        self.tried.append(Fitted(found, self.measure(found.plan)))
        return self.tried[-1]

    def _found(self, target: int, seconds: float) -> Found | None:
        try:
            return self._plan(target, seconds)
        except HcpError as reason:
            least = smallest_known(self.graph, seconds)
            if self.tried and (self.best is not None or min(fitted.peak for fitted in self.tried) <= least):
                return None
            try:
                return self._plan(least, seconds)
            except HcpError:
                if self.tried:
                    return None
                # The reason speaks of the budget that was asked for.
                raise reason from None

    def _plan(self, target: int, seconds: float) -> Found:
        request = replace(self.request, budget=max(1, target), time_limit=seconds)
        best = self.best
        incumbent = None if best is None or best.peak > target else best.plan.schedule
        return find_plan(Problem(self.graph, max(1, target)), request, inputs=self.inputs, incumbent=incumbent)
