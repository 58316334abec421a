"""The front between memory and cost: schedules that no other one beats in both, and what no schedule can beat."""

from collections.abc import Sequence
from dataclasses import dataclass

from hcp.graph.errors import HcpError
from hcp.planning.plan import Plan, excess
from hcp.sweeps.results import Row


@dataclass(frozen=True)
class FrontPoint:
    """A schedule on the front of one graph.

    Attributes:
        graph: Name of the graph.
        solver: The planner that found the schedule first.
        plan: The judged plan.
        bound: No schedule with a peak at most this plan's costs less, whatever its order.
        verified: Whether a certificate proves the bound in exact arithmetic.
    """

    graph: str
    solver: str
    plan: Plan
    bound: int
    verified: bool

    @property
    def peak(self) -> int:
        """Bytes."""
        assert self.plan.peak is not None
        return self.plan.peak

    @property
    def cost(self) -> int:
        """In the graph's cost unit."""
        assert self.plan.cost is not None
        return self.plan.cost

    @property
    def gap(self) -> float:
        """Cost over the bound, minus 1."""
        return excess(self.cost, self.bound)

    def to_dict(self) -> dict[str, object]:
        """The point, ready for JSON."""
        return {
            "graph": self.graph,
            "solver": self.solver,
            "peak": self.peak,
            "cost": self.cost,
            "overhead": self.plan.overhead,
            "bound": self.bound,
            "bound_verified": self.verified,
            "gap": self.gap,
        }


def pareto(rows: Sequence[Row]) -> tuple[FrontPoint, ...]:
    """The front of each graph among the schedules of a comparison, by rising peak.

    A bound for a budget holds for every smaller peak, so that a point takes the best one among budgets at or above its
    own peak.

    Raises:
        HcpError: If such a bound contradicts a schedule.
    """
    found: list[FrontPoint] = []
    for graph in dict.fromkeys(row.graph for row in rows):
        mine = [row for row in rows if row.graph == graph]
        points = [_point(row, row.plan, mine) for row in mine if row.plan is not None and row.plan.cost is not None]
        least: int | None = None
        for point in sorted(points, key=lambda point: (point.peak, point.cost)):
            if least is None or point.cost < least:
                least = point.cost
                found.append(point)
    return tuple(found)


def _point(row: Row, plan: Plan, rows: Sequence[Row]) -> FrontPoint:
    bound, verified = max(
        (other.best_bound, bool(other.best_bound_verified))
        for other in rows
        if other.best_bound is not None and other.budget_bytes >= (plan.peak or 0)
    )
    point = FrontPoint(row.graph, row.solver, plan, bound, verified)
    if point.cost < bound:
        raise HcpError(
            f"the results for {row.graph} contradict each other: a bound claims that no schedule within {plan.peak} "
            f"bytes costs less than {bound}, and {row.solver} has one of cost {point.cost}; one of them is wrong"
        )
    return point
