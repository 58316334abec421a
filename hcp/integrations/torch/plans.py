"""A plan in force for a PyTorch module, and what it reports."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from hcp.integrations.planned import Planned
from hcp.integrations.torch.boundary import Boundary
from hcp.integrations.torch.cost import Cost
from hcp.integrations.torch.lower import gradient_bytes
from hcp.report.units import bytes_text, percent_text

_OPERATIONS_SHOWN: Final = 5
# Whose word the nanoseconds are.
_PRICED: Final = {
    "roofline": "by the roofline model, on no machine's clock",
    "calibrated": "by the roofline model with this machine's constants",
    "measured": "as each operation took by itself",
}


@dataclass(frozen=True)
class TorchPlan(Planned):
    """A plan for one variant (shapes, mode) of a module.

    Attributes:
        inputs: Shapes and types of the variant's inputs, for people.
        source: Where it comes from: ``"planned"``, ``"given"``, ``"memory"`` or the name of a cache file.
        measured_bytes: Peak of the program that Inductor made of it; None where it was not measured, or where the plan
            is run operation by operation, which takes what is planned.
        allowed_bytes: What the compiled program had to stay within, which the plan was made for less or for more than;
            None where the plan is run operation by operation.
        cost: How the operations were priced, as ``checkpoint`` was told.
        eager_bytes: What the first step takes that is not planned; None where the budget does not ask for it.
        between: What was seen to happen between forward and backward, and is planned with; None where nothing was yet.
    """

    inputs: str = ""
    source: str = "planned"
    measured_bytes: int | None = None
    allowed_bytes: int | None = None
    cost: Cost = "roofline"
    eager_bytes: int | None = None
    between: Boundary | None = None

    @property
    def budget_bytes(self) -> int:
        """What memory had to stay within."""
        return self.plan.problem.budget if self.allowed_bytes is None else self.allowed_bytes

    @property
    def gradient_bytes(self) -> int:
        """Gradients that a backward leaves behind: of parameters, and of inputs that ask for theirs."""
        return gradient_bytes(self.graph)

    @property
    def accumulating_peak_bytes(self) -> int:
        """Peak over several forwards and backwards that add up their gradients, above what exists before the first.

        The gradients of the earlier ones are there while a later one runs, which adds its own when its backward is
        over.
        """
        return self.peak_bytes + self.gradient_bytes

    def report(self) -> str:
        """What the plan costs, how far from optimal it can be, and what it recomputes; several lines."""
        usage, graph = self.plan.usage, self.graph
        assert usage is not None
        cost, base = usage.makespan, graph.base_cost
        priced = _PRICED[self.cost] if isinstance(self.cost, str) else "by the cost function given"
        extra = Counter[str]()
        for name, count in usage.recomputed.items():
            extra[graph.node[name].op] += count * graph.node[name].cost
        lines = [
            f"{graph.name}{f' on {self.inputs}' if self.inputs else ''}: {len(graph.nodes):,} operations",
            f"  peak       {self.peak_bytes:,} bytes ({bytes_text(self.peak_bytes)}), budget {self.budget_bytes:,}; "
            f"{self.peak_bytes / self.keep_everything_bytes:.1%} of keep-everything's {self.keep_everything_bytes:,}",
            *self._eager(),
            *self._compiled(),
            *self._between(),
            f"  gradients  {self.gradient_bytes:,} bytes; where they add up over several steps, "
            f"{self.accumulating_peak_bytes:,} bytes at most",
            f"  overhead   {percent_text(self.overhead)}: {cost:,} ns against {base:,} ns, {priced}",
            f"  gap        {percent_text(self.gap)} ({self.gap_scope}){self._proof()}",
            f"  recomputes {sum(usage.recomputed.values()):,} operations; most time goes to "
            + (", ".join(f"{op} ({cost:,} ns)" for op, cost in extra.most_common(_OPERATIONS_SHOWN)) or "none"),
            *self._transfers(),
            f"  by         {self.plan.planner} in {self.plan.seconds:.1f} s ({self.source})",
        ]
        return "\n".join(lines)

    def _proof(self) -> str:
        bound = self.plan.best_bound()
        if bound is None:
            return ""
        shown = f": {bound.source or 'bound'} shows a cost of at least {bound.value:,} ns"
        # The gap is the overhead then, and the plan may be better than it says.
        return shown + (", as every operation runs once" if bound.value <= self.graph.base_cost else "")

    def _compiled(self) -> list[str]:
        if self.allowed_bytes is None:
            return []
        if self.measured_bytes is None:
            return ["  compiled   by Inductor; its peak was not measured"]
        return [
            f"  compiled   by Inductor, peak measured {self.measured_bytes:,} bytes "
            f"({bytes_text(self.measured_bytes)}); planned within {self.plan.problem.budget:,}"
        ]

    def _eager(self) -> list[str]:
        if self.eager_bytes is None:
            return []
        return [
            f"  eager      {self.eager_bytes:,} bytes without a plan at the first step's shapes; the peak is "
            f"{self.peak_bytes / self.eager_bytes:.1%} of that"
        ]

    def _between(self) -> list[str]:
        seen = self.between
        if seen is None:
            return []
        most, outputs = seen.held + max(seen.before, seen.after), "let go of" if seen.dropped else "held"
        return [
            f"  between    forward and backward the program takes up to {most:,} bytes, and {seen.kept:,} to the end; "
            f"outputs are {outputs}"
        ]

    def _transfers(self) -> list[str]:
        usage = self.plan.usage
        if self.plan.problem.host is None or usage is None:
            return []
        beside = f", beside the computation, which waits {sum(usage.waited.values()):,} ns for it"
        return [
            f"  moves      {usage.transferred:,} bytes ({bytes_text(usage.transferred)}) to the host and back in "
            f"{usage.transfer_cost:,} ns{beside if self.plan.problem.host.overlap else ''}; the host holds at most "
            f"{usage.host_peak:,}"
        ]
