"""The least memory for a cost: the smallest peak of the schedules that cost no more than asked, and a bound on it.

A search by halves over budgets. A budget for which a planner finds a schedule that is cheap enough is an upper end. A
budget for which an order-free bound on the cost exceeds what is allowed is a lower one: no schedule within that budget,
in any order, is cheap enough, so that every one that is has a larger peak. The last part of the time belongs to the
lower end: trees of relaxations, which end as soon as they show on which side of the limit a budget's optimum is.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from math import gcd
from typing import Final

from hcp.analysis.lower_bounds import run_once_crossing
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.planners import planner_named, solve
from hcp.planning.deadline import Deadline, Stop, never
from hcp.planning.floor import floor_bound
from hcp.planning.interrupts import stop_on_interrupt
from hcp.planning.plan import Optimality, Plan, excess
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
from hcp.planning.solution import Bound, Status
from hcp.schedule.replay import keep_everything_usage
from hcp.schedule.scopes import ORDER_FREE, within_cost

# Budgets tried by the planner and by the linear programme alone, and then by trees in each turn.
_HALVINGS: Final = 8
_TREES: Final = (6, 3, 1)
_BOUND_SHARE: Final = 0.3
# Of the time for bounds, that of the linear programme.
_LINEAR_SHARE: Final = 0.5
# Of a tree's time, that of its relaxation: mostly that settles a budget, where an optimum would need the tree.
_ROOT_SHARE: Final = 0.6


@dataclass(frozen=True)
class LeastPeak:
    """The smallest peak found for a limit on the cost.

    Attributes:
        plan: A schedule that costs at most ``cost_limit``; ``proof`` is among its bounds.
        cost_limit: In the graph's cost unit.
        proof: The bound on the peak, with its certificate where it has one.
        seconds: Wall time of the search.
    """

    plan: Plan
    cost_limit: int
    proof: Bound
    seconds: float

    @property
    def bound(self) -> int:
        """No schedule that costs at most ``cost_limit`` has a smaller peak, whatever its order; in bytes."""
        return self.proof.value

    @property
    def source(self) -> str:
        """Where the bound comes from."""
        return self.proof.source

    @cached_property
    def verified(self) -> bool:
        """Whether the bound's certificate was checked in exact arithmetic; else a solver claims it."""
        return self.plan.verified(self.proof)

    @property
    def status(self) -> Status:
        """OPTIMAL where no schedule that is cheap enough has a smaller peak."""
        return Status.OPTIMAL if self.peak <= self.bound else Status.FEASIBLE

    @property
    def optimality(self) -> Optimality | None:
        """Whether that is certified, or the word of a solver; None if not OPTIMAL."""
        if self.status is not Status.OPTIMAL:
            return None
        return "certified" if self.verified else "claimed"

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
            "status": self.status.name,
            "optimality": self.optimality,
            "bound": self.bound,
            "bound_scope": self.proof.scope,
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
    if graph.engines:
        raise HcpError(
            f"graph {graph.name!r} has nodes on engine {graph.engines[0]!r}, and the least peak is of graphs without; "
            "give graph.serial"
        )
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
        self.proof = floor_bound(graph)
        # Peaks are sums of sizes.
        self.unit = gcd(*graph.index.size.tolist(), *graph.index.workspace.tolist()) or 1

    def run(self, solver: str | AnyPlanner) -> LeastPeak:
        from hcp.solvers.exact import ExactParams
        from hcp.solvers.proof import Proof

        # A graph whose values are all empty fits any budget, of which the least is a byte.
        self._try("keep_all", max(1, keep_everything_usage(self.graph).peak), self.deadline)
        self._raise(self._crossed())
        self._halve(solver, self.deadline.part(self.deadline.left * (1 - _BOUND_SHARE)))
        self._halve("lp", self.deadline.part(self.deadline.left * _LINEAR_SHARE))
        # Fewer and fewer, as a budget that was given up may be settled in more time.
        trees = Proof(params=ExactParams(root_share=_ROOT_SHARE), cost_limit=self.limit)
        for budgets in _TREES:
            self._halve(trees, self.deadline, budgets)
        assert self.best is not None
        plan = replace(self.best, bounds=(*self.best.bounds, self.proof))
        return LeastPeak(plan, self.limit, self.proof, self.deadline.seconds)

    @property
    def high(self) -> int:
        """The smallest peak so far."""
        assert self.best is not None
        assert self.best.peak is not None
        return self.best.peak

    def _crossed(self) -> Bound:
        """What values of nodes that run once add to a node between them and their readers, with its certificate."""
        from hcp.solvers.cut_relaxation.relaxation import Relaxer

        node, held = run_once_crossing(self.graph)
        if held <= self.proof.value:
            return self.proof
        # One stage says it: the rows of the node's memory, and of what its later readers need.
        deadline = self.deadline.part(self.deadline.left * _BOUND_SHARE)
        found = Relaxer(self.graph, held - 1, deadline).infeasibility((node,))
        return found or Bound(held, "peak", ORDER_FREE, None, "run-once values")

    def _halve(self, solver: str | AnyPlanner, deadline: Deadline, budgets: int = _HALVINGS) -> None:
        """Tries budgets between the bound and the best peak."""
        # Below what the planner fails at it is not asked again, proved or not.
        low = max(1, self.proof.value)
        for left in range(budgets, 0, -1):
            if low >= self.high or deadline.over:
                return
            # As much as fits between two possible peaks: a proof for it is one for the next peak.
            middle = (low + self.high) // 2 // self.unit * self.unit + self.unit - 1
            self._try(solver, middle, deadline.part(deadline.left / left))
            if self.high > middle:
                low = max(middle + 1, self.proof.value)

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
        except InfeasibleBudget as error:
            name = solver if isinstance(solver, str) else type(solver).__name__
            source = f"{name}: no schedule fits {budget} bytes"
            self._raise(error.bound or Bound(budget + 1, "peak", ORDER_FREE, None, source))
            return
        except NotApplicable:
            return
        if plan.peak is not None and plan.cost is not None and plan.cost <= self.limit:
            if self.best is None or plan.peak < self.high:
                self.best = plan
            return
        # Those that a solver claims come last.
        for bound in sorted(plan.bounds, key=lambda bound: bound.certificate is None):
            if bound.of == "cost" and bound.scope == ORDER_FREE and bound.value > self.limit:
                self._raise(self._on_peak(bound, budget))
                return

    def _on_peak(self, bound: Bound, budget: int) -> Bound:
        """What a bound on the cost within a budget says of the peak of schedules that are cheap enough."""
        from hcp.solvers.certificates.cost_limit import CostLimitCertificate

        proof, source = bound.certificate, f"{bound.source}, within {budget} bytes"
        certificate = None if proof is None else CostLimitCertificate(budget, self.limit, proof)
        return Bound(budget + 1, "peak", within_cost(self.limit), certificate, source)

    def _raise(self, bound: Bound) -> None:
        if bound.value > self.proof.value:
            self.proof = bound
