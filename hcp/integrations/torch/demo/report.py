"""What the demo found: as text, as Markdown and as JSON."""

from dataclasses import dataclass
from typing import Any, Final

from hcp.compare import Comparison
from hcp.graph.ir import Graph
from hcp.integrations.torch.demo.picture import Executed
from hcp.integrations.torch.demo.trial import Equality
from hcp.planning.plan import Plan
from hcp.report.tables import Table, comparison_table
from hcp.report.units import bytes_text, percent_text

EAGER: Final = "eager"
BLOCKS: Final = "torch.utils.checkpoint a block"
HALF: Final = "hcp within the budget"
TIGHT: Final = "hcp at the peak of torch.utils.checkpoint"


@dataclass(frozen=True)
class Result:
    """Everything that the demo found.

    Attributes:
        graph: The captured step.
        comparison: All planners at the demo's budget.
        tightly: Planners at the peak of torch.utils.checkpoint a block.
        half: The best plan of the comparison.
        tight: The best plan at the tight budget.
        equality: What each plan's training agrees on with eager's.
        executed: Every way of running the step, by name.
    """

    graph: Graph
    comparison: Comparison
    tightly: Comparison
    half: Plan
    tight: Plan
    equality: dict[str, Equality]
    executed: dict[str, Executed]

    @property
    def gap(self) -> float | None:
        """Cost of the plan within the budget over the best bound of all planners, minus 1."""
        return next((row.gap for row in self.comparison.rows if row.winner), None)

    @property
    def tight_gap(self) -> float | None:
        """The same for the plan at the peak of torch.utils.checkpoint."""
        return next((row.gap for row in self.tightly.rows if row.winner), None)

    def to_dict(self) -> dict[str, Any]:
        """The content of demo.json; bytes, seconds and fractions."""
        eager, blocks, half, tight = (self.executed[name] for name in (EAGER, BLOCKS, HALF, TIGHT))
        return {
            "graph": self.graph.name,
            "nodes": len(self.graph.nodes),
            "keep_everything_peak_bytes": self.half.base.peak,
            "budget_bytes": self.half.problem.budget,
            "solver": self.half.planner,
            "planned_peak_bytes": self.half.peak,
            "measured_peak_bytes": half.peak_bytes,
            "eager_peak_bytes": eager.peak_bytes,
            "gradients_equal": all(equality.gradients for equality in self.equality.values()),
            "everything_equal": all(equality.everything for equality in self.equality.values()),
            "overhead_planned": self.half.overhead,
            "step_ratio_to_eager": half.step_seconds / eager.step_seconds,
            "gap": self.gap,
            "gap_scope": self.half.gap_scope,
            "checkpoint_a_block": {
                "peak_bytes": blocks.peak_bytes,
                "step_ratio_to_eager": blocks.step_seconds / eager.step_seconds,
            },
            "tight": {
                "budget_bytes": self.tight.problem.budget,
                "planned_peak_bytes": self.tight.peak,
                "measured_peak_bytes": tight.peak_bytes,
                "overhead_planned": self.tight.overhead,
                "step_ratio_to_eager": tight.step_seconds / eager.step_seconds,
                "step_ratio_to_checkpoint_a_block": tight.step_seconds / blocks.step_seconds,
                "gap": self.tight_gap,
                "gap_scope": self.tight.gap_scope,
            },
            "step_seconds": {name: executed.step_seconds for name, executed in self.executed.items()},
            "rows": self.comparison.to_dict()["rows"],
        }

    def executed_table(self) -> Table:
        """The ways of running the step, as measured."""
        eager, blocks = self.executed[EAGER].step_seconds, self.executed[BLOCKS].step_seconds
        planned = {HALF: self.half, TIGHT: self.tight}
        return Table(
            headers=("way of running", "planned peak", "measured peak", "step", "x eager", "x checkpoint a block"),
            rows=tuple(
                (
                    name,
                    f"{planned[name].peak:,} B" if name in planned else "-",
                    f"{way.peak_bytes:,} B",
                    f"{1e3 * way.step_seconds:.1f} ms",
                    f"{way.step_seconds / eager:.3f}",
                    f"{way.step_seconds / blocks:.3f}",
                )
                for name, way in self.executed.items()
            ),
            numeric=(False, True, True, True, True, True),
        )

    def sentences(self) -> list[str]:
        """The findings in words."""
        found = self.to_dict()
        tight = found["tight"]
        return [
            f"Captured step: {found['nodes']} operations, keep-everything peak "
            f"{bytes_text(found['keep_everything_peak_bytes'])}; budget {bytes_text(found['budget_bytes'])}.",
            f"Best plan, by {self.half.planner}: +{percent_text(self.half.overhead)} cost, "
            f"gap {percent_text(self.gap)} ({self.half.gap_scope}).",
            _promise(found["planned_peak_bytes"], found["measured_peak_bytes"]),
            f"Gradients bit-identical to eager: {_yes(found['gradients_equal'])}; losses, weights after AdamW and "
            f"random state too: {_yes(found['everything_equal'])}.",
            f"Step: {found['step_ratio_to_eager']:.3f} x eager, with a peak of "
            f"{percent_text(found['measured_peak_bytes'] / found['eager_peak_bytes'])} of eager's.",
            f"torch.utils.checkpoint a block: {found['checkpoint_a_block']['peak_bytes']:,} B, "
            f"{found['checkpoint_a_block']['step_ratio_to_eager']:.3f} x eager.",
            f"hcp planned to that peak: {_promise(tight['planned_peak_bytes'], tight['measured_peak_bytes'])} "
            f"{tight['step_ratio_to_checkpoint_a_block']:.3f} x the step of torch.utils.checkpoint a block; "
            f"gap {percent_text(tight['gap'])} ({tight['gap_scope']}).",
        ]

    def to_text(self) -> str:
        """For a terminal."""
        tables = [comparison_table(self.comparison).to_text(), self.executed_table().to_text()]
        return "\n\n".join([*tables, "\n".join(self.sentences())])

    def to_markdown(self) -> str:
        """The content of demo.md."""
        points = "\n".join(f"- {sentence}" for sentence in self.sentences())
        return (
            f"# hcp demo: {self.graph.name}\n\n{points}\n\n## Planners at {self.comparison.rows[0].budget}\n\n"
            f"{comparison_table(self.comparison).to_markdown()}\n## Executed\n\n"
            f"{self.executed_table().to_markdown()}\n![Memory over time, and what memory costs](demo.png)\n"
        )


def _promise(planned: int, measured: int) -> str:
    verdict = "equal to the byte" if planned == measured else f"{measured - planned:+,} B off"
    return f"Planned peak {planned:,} B, measured peak {measured:,} B: {verdict}."


def _yes(fact: bool) -> str:
    return "yes" if fact else "NO"
