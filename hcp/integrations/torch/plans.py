"""A plan in force for a PyTorch module, and what it reports."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from hcp.graph.ir import Graph
from hcp.report.units import bytes_text, percent_text
from hcp.schedule.actions import Schedule
from hcp.schedule.plan import Plan

_OPERATIONS_SHOWN: Final = 5


@dataclass(frozen=True)
class TorchPlan:
    """A plan for one variant (shapes, mode) of a module.

    Attributes:
        plan: The judged plan.
        inputs: Shapes and types of the variant's inputs, for people.
        source: Where it comes from: ``"planned"``, ``"given"``, ``"memory"`` or the name of a cache file.
    """

    plan: Plan
    inputs: str = ""
    source: str = "planned"

    @property
    def graph(self) -> Graph:
        """The captured training step."""
        return self.plan.graph

    @property
    def schedule(self) -> Schedule:
        """What is executed."""
        assert self.plan.schedule is not None
        return self.plan.schedule

    @property
    def peak_bytes(self) -> int:
        """Peak over one forward and backward, above what exists when the step starts."""
        assert self.plan.peak is not None
        return self.plan.peak

    @property
    def budget_bytes(self) -> int:
        """What the peak had to stay within."""
        return self.plan.problem.budget

    @property
    def keep_everything_bytes(self) -> int:
        """Peak that the captured step would have without any recomputation."""
        return self.plan.base.peak

    @property
    def overhead(self) -> float:
        """Cost of recomputation over the cost of the step without any."""
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

    def report(self) -> str:
        """What the plan costs, how far from optimal it can be, and what it recomputes; several lines."""
        usage, graph = self.plan.usage, self.graph
        assert usage is not None
        bound = self.plan.best_bound()
        proof = "" if bound is None else f": {bound.source or 'bound'} shows a cost of at least {bound.value:,} ns"
        extra = Counter[str]()
        for name, count in usage.recomputed.items():
            extra[graph.node[name].op] += count * graph.node[name].cost
        lines = [
            f"{graph.name}{f' on {self.inputs}' if self.inputs else ''}: {len(graph.nodes):,} operations",
            f"  peak       {self.peak_bytes:,} bytes ({bytes_text(self.peak_bytes)}), budget {self.budget_bytes:,}; "
            f"{self.peak_bytes / self.keep_everything_bytes:.1%} of keep-everything's {self.keep_everything_bytes:,}",
            f"  overhead   {percent_text(self.overhead)}: {usage.cost:,} ns against {graph.base_cost:,} ns",
            f"  gap        {percent_text(self.gap)} ({self.gap_scope}){proof}",
            f"  recomputes {sum(usage.recomputed.values()):,} operations; most time goes to "
            + (", ".join(f"{op} ({cost:,} ns)" for op, cost in extra.most_common(_OPERATIONS_SHOWN)) or "none"),
            f"  by         {self.plan.planner} in {self.plan.seconds:.1f} s ({self.source})",
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        gap = "unknown" if self.gap is None else f"{self.gap:.2%} ({self.gap_scope})"
        return (
            f"{self.graph.name}: peak {self.peak_bytes:,} bytes "
            f"({self.peak_bytes / self.keep_everything_bytes:.1%} of keep-everything), "
            f"overhead {self.overhead:.2%}, gap {gap}, by {self.plan.planner}"
        )
