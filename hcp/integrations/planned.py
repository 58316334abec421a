"""What the plans of all integrations tell of themselves."""

from dataclasses import dataclass

from hcp.graph.ir import Graph
from hcp.planning.plan import Plan
from hcp.schedule.actions import Schedule


@dataclass(frozen=True)
class Planned:
    """A judged plan that is executed, and so has a schedule.

    Attributes:
        plan: The judged plan; its budget is what was asked for.
    """

    plan: Plan

    @property
    def graph(self) -> Graph:
        """The captured computation."""
        return self.plan.graph

    @property
    def schedule(self) -> Schedule:
        """What is executed."""
        assert self.plan.schedule is not None
        return self.plan.schedule

    @property
    def budget_bytes(self) -> int:
        """What memory had to stay within."""
        return self.plan.problem.budget

    @property
    def peak_bytes(self) -> int:
        """Peak of the schedule."""
        assert self.plan.peak is not None
        return self.plan.peak

    @property
    def keep_everything_bytes(self) -> int:
        """Peak that the captured computation would have without any recomputation."""
        return self.plan.base.peak

    @property
    def overhead(self) -> float:
        """Cost of recomputation and transfers over the cost of the computation without any."""
        assert self.plan.overhead is not None
        return self.plan.overhead

    @property
    def gap(self) -> float | None:
        """How far the plan's cost can be above the best possible, relatively; None where nothing is known."""
        return self.plan.gap

    @property
    def gap_scope(self) -> str:
        """Among which schedules the gap holds."""
        return self.plan.gap_scope

    def __str__(self) -> str:
        return (
            f"{self.graph.name}: peak {self.peak_bytes:,} bytes "
            f"({self.peak_bytes / self.keep_everything_bytes:.1%} of keep-everything), {self._merits()}"
        )

    def _merits(self) -> str:
        gap = "unknown" if self.gap is None else f"{self.gap:.2%} ({self.gap_scope})"
        return f"overhead {self.overhead:.2%}, gap {gap}, by {self.plan.planner}"
