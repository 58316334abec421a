"""The front between memory and cost: schedules that no other one beats in both, and what no schedule can beat."""

from collections.abc import Sequence
from dataclasses import dataclass

from hcp.schedule.plan import Plan, excess
from hcp.sweeps.rows import Row


@dataclass(frozen=True)
class FrontPoint:
    """A schedule on the front of one graph.

    Attributes:
        graph: Name of the graph.
        solver: The planner that found the schedule first.
        plan: The judged plan.
        bound: No schedule with a peak at most this plan's costs less, whatever its order.
    """

    graph: str
    solver: str
    plan: Plan
    bound: int

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
        return max(0.0, excess(self.cost, self.bound))

    def to_dict(self) -> dict[str, object]:
        """The point, ready for JSON."""
        return {
            "graph": self.graph,
            "solver": self.solver,
            "peak": self.peak,
            "cost": self.cost,
            "overhead": self.plan.overhead,
            "bound": self.bound,
            "gap": self.gap,
        }


def pareto(rows: Sequence[Row]) -> tuple[FrontPoint, ...]:
    """The front of each graph among the schedules of a comparison, by rising peak.

    A bound for a budget holds for every smaller peak, so that a point takes the best one among budgets at or above its
    own peak.
    """
    found: list[FrontPoint] = []
    for graph in dict.fromkeys(row.graph for row in rows):
        mine = [row for row in rows if row.graph == graph]
        bounds = [(row.budget_bytes, row.best_bound) for row in mine if row.best_bound is not None]
        points = [
            FrontPoint(graph, row.solver, row.plan, max(b for budget, b in bounds if budget >= (row.plan.peak or 0)))
            for row in mine
            if row.plan is not None and row.plan.schedule is not None
        ]
        least: int | None = None
        for point in sorted(points, key=lambda point: (point.peak, point.cost)):
            if least is None or point.cost < least:
                least = point.cost
                found.append(point)
    return tuple(found)
