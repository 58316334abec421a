"""The least memory for a cost: the smallest peak of the schedules that cost no more than asked, and a bound on it.

A search by halves over budgets. A budget for which a planner finds a schedule that is cheap enough is an upper end. A
budget for which an order-free bound on the cost exceeds what is allowed is a lower one: no schedule within that budget,
in any order, is cheap enough, so that every one that is has a larger peak.
"""

from dataclasses import dataclass
from typing import Final

from hcp.analysis.lower_bounds import lower_bound_report
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.planners import planner_named, solve
from hcp.planning.deadline import Deadline, Stop, never
from hcp.planning.interrupts import stop_on_interrupt
from hcp.planning.plan import Plan, excess
from hcp.planning.planner import AnyPlanner
from hcp.planning.problem import (
    DEFAULT_WORKERS,
    LEAST_PART,
    Control,
    InfeasibleBudget,
    Limits,
    Monitor,
    NotApplicable,
    ignore,
)
from hcp.planning.solution import Bound
from hcp.schedule.replay import keep_everything_usage
from hcp.schedule.scopes import ORDER_FREE

# Budgets tried by the planner, and then by the linear programme alone.
_HALVINGS: Final = 8
_BOUND_SHARE: Final = 0.3


@dataclass(frozen=True)
class LeastPeak:
    """The smallest peak found for a limit on the cost.

    Attributes:
        plan: A schedule that costs at most ``cost_limit``.
        cost_limit: In the graph's cost unit.
        bound: No schedule that costs at most ``cost_limit`` has a smaller peak, whatever its order; in bytes.
        source: Where the bound comes from.
        verified: Whether the bound was checked in exact arithmetic; else a solver claims it.
        seconds: Wall time of the search.
    """

    plan: Plan
    cost_limit: int
    bound: int
    source: str
    verified: bool
    seconds: float

    @property
    def peak(self) -> int:
        """Bytes that the plan holds at most."""
        assert self.plan.peak is not None
        return self.plan.peak

    @property
    def gap(self) -> float:
        """Peak over the bound, minus 1."""
        return excess(self.peak, self.bound)

    def to_dict(self) -> dict[str, object]:
        """The result, ready for JSON."""
        return {
            "graph": self.plan.graph.name,
            "cost_limit": self.cost_limit,
            "cost": self.plan.cost,
            "overhead": self.plan.overhead,
            "peak": self.peak,
            "bound": self.bound,
            "bound_scope": ORDER_FREE,
            "bound_source": self.source,
            "bound_verified": self.verified,
            "gap": self.gap,
            "base_peak": self.plan.base.peak,
            "seconds": self.seconds,
        }


def minimize_peak(
    graph: Graph,
    overhead: float = 0.0,
    solver: str | AnyPlanner = "auto",
    *,
    time_limit: float = 60.0,
    workers: int = DEFAULT_WORKERS,
    seed: int = 0,
    monitor: Monitor = ignore,
    stop: Stop = never,
) -> LeastPeak:
    """Searches for the smallest peak of schedules that cost at most ``1 + overhead`` times every node once.

    Args:
        graph: The computation.
        overhead: Extra cost that is allowed, relatively: 0.1 for ten percent.
        solver: The planner that is asked for schedules: as for ``hcp.solve``.
        time_limit: Seconds for the whole search.
        workers: Threads for solvers that can use several.
        seed: Of the random numbers.
        monitor: Called with the progress of each solve.
        stop: Called now and then; True ends the search with the best so far, as Ctrl-C does.

    Returns:
        The schedule and the bound.

    Raises:
        HcpError: On a negative overhead or time limit, or an unknown planner.
    """
    if isinstance(solver, str):
        planner_named(solver)
    if not overhead >= 0 or overhead == float("inf"):
        raise HcpError(f"overhead {overhead} is no extra cost; give zero or more, such as 0.1 for ten percent")
    limits = Limits(time_limit, workers, seed)
    with stop_on_interrupt(stop) as asked:
        return _Search(graph, int(graph.base_cost * (1 + overhead)), limits, Control(asked, monitor)).run(solver)


class _Search:
    def __init__(self, graph: Graph, limit: int, limits: Limits, control: Control) -> None:
        self.graph = graph
        self.limit = limit
        self.limits = limits
        self.control = control
        self.deadline = limits.deadline(control.stop)
        self.best: Plan | None = None
        shape = [bound for bound in lower_bound_report(graph) if bound.of == "peak" and bound.holds]
        strongest = max(shape, key=lambda bound: bound.value or 0)
        self.bound, self.source, self.verified = strongest.value or 0, strongest.name, True

    def run(self, solver: str | AnyPlanner) -> LeastPeak:
        # A graph whose values are all empty fits any budget, of which the least is a byte.
        self._try("keep_all", max(1, keep_everything_usage(self.graph).peak), self.deadline)
        self._halve(solver, self.deadline.part(self.deadline.left * (1 - _BOUND_SHARE)))
        self._halve("lp", self.deadline)
        assert self.best is not None
        return LeastPeak(self.best, self.limit, self.bound, self.source, self.verified, self.deadline.seconds)

    @property
    def high(self) -> int:
        """The smallest peak so far."""
        assert self.best is not None
        assert self.best.peak is not None
        return self.best.peak

    def _halve(self, solver: str | AnyPlanner, deadline: Deadline) -> None:
        """Tries budgets between the bound and the best peak."""
        # Below what the planner fails at it is not asked again, proved or not.
        low = max(1, self.bound)
        for left in range(_HALVINGS, 0, -1):
            if low >= self.high or deadline.over:
                return
            middle = (low + self.high) // 2
            self._try(solver, middle, deadline.part(deadline.left / left))
            if self.high > middle:
                low = max(middle + 1, self.bound)

    def _try(self, solver: str | AnyPlanner, budget: int, deadline: Deadline) -> None:
        """Asks a planner for one budget and takes up what it finds and proves."""
        try:
            plan = solve(
                self.graph,
                budget,
                solver,
                time_limit=max(LEAST_PART, deadline.left),
                workers=self.limits.workers,
                seed=self.limits.seed,
                monitor=self.control.monitor,
                stop=self.control.stop,
            )
        except InfeasibleBudget:
            name = solver if isinstance(solver, str) else type(solver).__name__
            self._raise(budget + 1, f"{name}: no schedule fits {budget} bytes", verified=False)
            return
        except NotApplicable:
            return
        if plan.peak is not None and plan.cost is not None and plan.cost <= self.limit:
            if self.best is None or plan.peak < self.high:
                self.best = plan
            return
        proofs = [bound for bound in plan.bounds if self._excludes(bound)]
        checked = [bound for bound in proofs if plan.verified(bound)]
        if proofs:
            source = (checked or proofs)[0].source
            self._raise(plan.problem.budget + 1, f"{source}, within {plan.problem.budget} bytes", bool(checked))

    def _excludes(self, bound: Bound) -> bool:
        """Whether a bound says that no schedule within its budget is cheap enough."""
        return bound.of == "cost" and bound.scope == ORDER_FREE and bound.value > self.limit

    def _raise(self, value: int, source: str, verified: bool) -> None:
        if value > self.bound:
            self.bound, self.source, self.verified = value, source, verified
