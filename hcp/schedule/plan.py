"""A judged solution: what ``solve`` returns, with cost and peak from replay alone."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from hcp.graph.ir import Graph
from hcp.schedule.actions import Compute, Offload, keep_everything
from hcp.schedule.replay import Usage, replay
from hcp.schedule.solution import (
    FIXED_ORDER,
    OPTIMALITY_TOLERANCE,
    ORDER_FREE,
    Bound,
    Problem,
    Quantity,
    Solution,
    Status,
)


@dataclass(frozen=True)
class EveryNodeOnce:
    """Certificate of the trivial bound: every node has to run at least once, whether values move or not."""

    of: ClassVar[Quantity] = "cost"
    scope: ClassVar[str] = ORDER_FREE

    def proven(self, graph: Graph, budget: int) -> int:  # noqa: ARG002 - holds for every budget
        """The cost of running every node once."""
        return graph.base_cost

    def to_dict(self, graph: Graph) -> dict[str, object]:  # noqa: ARG002 - says the same of every graph
        """What a plan file stores."""
        return {"kind": "every-node-once/1"}


@dataclass(frozen=True, kw_only=True)
class Plan(Solution):
    """A solution together with its problem and the judge's verdict.

    Attributes:
        problem: What was asked.
        usage: Cost, peak and profile of the schedule by replay; None without a schedule.
    """

    problem: Problem
    usage: Usage | None

    @property
    def graph(self) -> Graph:
        """The planned graph."""
        return self.problem.graph

    @cached_property
    def base(self) -> Usage:
        """The keep-everything figures of the graph's own order."""
        return replay(self.graph, keep_everything(self.graph))

    @property
    def cost(self) -> int | None:
        """Cost of the schedule in the graph's unit."""
        return None if self.usage is None else self.usage.cost

    @property
    def peak(self) -> int | None:
        """Peak of the schedule in bytes."""
        return None if self.usage is None else self.usage.peak

    @property
    def overhead(self) -> float | None:
        """Cost over the keep-everything cost, minus 1."""
        return None if self.cost is None else excess(self.cost, self.graph.base_cost)

    def best_bound(self, *scopes: str) -> Bound | None:
        """The largest bound on the cost within the given scopes, order-free by default."""
        wanted = scopes or (ORDER_FREE,)
        return max(
            (bound for bound in self.bounds if bound.of == "cost" and bound.scope in wanted),
            key=lambda bound: bound.value,
            default=None,
        )

    @property
    def gap(self) -> float | None:
        """Cost over the best order-free bound, minus 1."""
        return self._gap(self.best_bound())

    @property
    def gap_scope(self) -> str:
        """Scope of ``gap``."""
        return ORDER_FREE

    @property
    def gap_fixed_order(self) -> float | None:
        """Cost over the best bound for the given order, minus 1; order-free bounds hold for it too."""
        if not any(bound.scope == FIXED_ORDER for bound in self.bounds):
            return None
        return self._gap(self.best_bound(ORDER_FREE, FIXED_ORDER))

    def proven(self, bound: Bound) -> int:
        """What a bound's certificate proves of this problem in exact arithmetic; 0 where it proves nothing.

        A certificate that knows of recomputation alone proves nothing where values can be fetched.
        """
        proof, host = bound.certificate, self.problem.host
        if proof is None or (getattr(proof, "host", None) != host and not isinstance(proof, EveryNodeOnce)):
            return 0
        return proof.proven(self.graph, self.problem.budget)

    def verified(self, bound: Bound) -> bool:
        """Whether a bound's certificate proves its value in exact arithmetic."""
        return bound.certificate is not None and self.proven(bound) >= bound.value

    def to_dict(self) -> dict[str, Any]:
        """The object that ``hcp solve --json`` prints."""
        computes = () if self.schedule is None else self.schedule.computes
        return {
            "graph": self.graph.name,
            "nodes": len(self.graph.nodes),
            "edges": len(self.graph.edges),
            "budget_bytes": self.problem.budget,
            "base_cost": self.graph.base_cost,
            "base_peak": self.base.peak,
            "solver": self.planner,
            "status": self.status.name,
            "cost": self.cost,
            "peak": self.peak,
            "overhead": self.overhead,
            **self._transfers(),
            "bounds": [
                {
                    "of": bound.of,
                    "value": bound.value,
                    "scope": bound.scope,
                    "source": bound.source,
                    "certificate_verified": self.verified(bound),
                }
                for bound in self.bounds
            ],
            "gap": self.gap,
            "gap_fixed_order": self.gap_fixed_order,
            "seconds": self.seconds,
            "computes": [self.graph.node[name].id for name in computes],
        }

    def _transfers(self) -> dict[str, Any]:
        host, usage = self.problem.host, self.usage
        if host is None:
            return {}
        if usage is None or self.schedule is None:
            return {"host": host.to_dict()}
        return {
            "host": host.to_dict(),
            "host_peak": usage.host_peak,
            "transferred_bytes": usage.transferred,
            "transfer_cost": usage.transfer_cost,
            "steps": [
                ["compute", self.graph.node[step.node].id]
                if isinstance(step, Compute)
                else ["offload" if isinstance(step, Offload) else "fetch", step.value]
                for step in self.schedule.steps
            ],
        }

    def _gap(self, bound: Bound | None) -> float | None:
        return None if self.cost is None or bound is None else excess(self.cost, bound.value)


def excess(cost: int, reference: int) -> float:
    """How much a cost exceeds a reference, relatively; a graph that costs nothing exceeds nothing."""
    return 0.0 if cost == reference else cost / reference - 1 if reference else float("inf")


def judge(problem: Problem, solution: Solution) -> Plan:
    """Replays a planner's schedule and settles its status; no claim of cost or peak survives this.

    Raises:
        ScheduleError: If the schedule is illegal.
        RuntimeError: If it breaks the budget: a defect of the planner.
    """
    graph = problem.graph
    once = Bound(graph.base_cost, "cost", ORDER_FREE, EveryNodeOnce(), "every node runs once")
    bounds = (*solution.bounds, once)
    usage = None if solution.schedule is None else replay(graph, solution.schedule, problem.host)
    if usage is not None and usage.peak > problem.budget:
        raise RuntimeError(
            f"planner {solution.planner!r} returned a schedule of peak {usage.peak}, "
            f"over the budget of {problem.budget}"
        )
    status = solution.status
    if usage is not None:
        best = max(b.value for b in bounds if b.of == "cost" and b.scope in problem.scopes)
        met = usage.cost <= best * (1 + OPTIMALITY_TOLERANCE)
        status = Status.OPTIMAL if met else Status.FEASIBLE
    return Plan(
        **{**_fields(solution), "bounds": bounds, "status": status},
        problem=replace(problem, incumbent=None),
        usage=usage,
    )


def _fields(solution: Solution) -> dict[str, Any]:
    return {name: getattr(solution, name) for name in Solution.__dataclass_fields__}
