"""The demo: a GPT-style training step planned within half its memory, run, and held against its promise."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import fx

from hcp.compare import Comparison, compare
from hcp.graph.files import write_atomically
from hcp.graph.ir import Graph
from hcp.integrations.torch.checkpoint import capture_graph, checkpoint
from hcp.integrations.torch.models import GPT, CheckpointedGPT
from hcp.integrations.torch.picture import Executed, plot_execution
from hcp.integrations.torch.trial import Equality, Trainer, step_times, train_beside
from hcp.planners import solve
from hcp.progress import live_progress
from hcp.report.tables import Table, comparison_table
from hcp.report.units import bytes_text, percent_text
from hcp.schedule.plan import Plan

SOLVERS: Final = ("keep_all", "sqrt_n", "chen_greedy", "interval_tree", "anneal", "milp", "cpsat")
BUDGET: Final = "50%"
CURVE: Final = ("80%", "65%", "35%")

EAGER: Final = "eager"
BLOCKS: Final = "torch.utils.checkpoint a block"
HALF: Final = f"hcp at {BUDGET}"
TIGHT: Final = "hcp at the peak of torch.utils.checkpoint"


@dataclass(frozen=True)
class Settings:
    """Sizes and times; the defaults fit two cores and four minutes.

    Attributes:
        planning_seconds: For each planner of the comparison, and for the tight plan.
        curve_seconds: For each further point of cost against budget.
        rounds: Timed steps of each way of running.
        training_steps: Optimiser steps beside eager.
        seed: For weights, data and planners.
    """

    layers: int = 8
    width: int = 64
    heads: int = 4
    length: int = 128
    batch: int = 8
    vocabulary: int = 256
    dropout: float = 0.1
    planning_seconds: float = 22.0
    curve_seconds: float = 5.0
    rounds: int = 15
    training_steps: int = 3
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """Everything that the demo found."""

    graph: Graph
    comparison: Comparison
    half: Plan
    tight: Plan
    equality: dict[str, Equality]
    executed: dict[str, Executed]

    @property
    def gap(self) -> float | None:
        """Cost of the plan at half the peak over the best bound of all planners, minus 1."""
        return next((row.gap for row in self.comparison.rows if row.winner), None)

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
                "gap": self.tight.gap,
                "gap_scope": self.tight.gap_scope,
            },
            "step_seconds": {name: executed.step_seconds for name, executed in self.executed.items()},
            "rows": self.comparison.to_dict()["rows"],
        }


def run(out: Path | str = "results", *, quiet: bool = False, settings: Settings | None = None) -> Result:
    """Runs the demo, prints what it finds, and writes ``demo.json``, ``demo.md`` and ``demo.png``.

    Everything runs on one thread of the CPU, eager and planned alike, so that results and times repeat.

    Args:
        out: Folder to write to; made where it is missing.
        quiet: Show no progress.
        settings: Sizes and times.

    Raises:
        HcpError: If matplotlib is missing, or the folder cannot be written to.
    """
    settings = settings or Settings()
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        result, memory, curve = _measure(settings, quiet)
    finally:
        torch.set_num_threads(threads)
    text = _report(result)
    print("\n".join(text))
    write_atomically(folder / "demo.json", json.dumps(result.to_dict(), indent=2) + "\n")
    write_atomically(folder / "demo.md", _markdown(result, text[-1]))
    plot_execution(
        folder / "demo.png",
        plan=result.half,
        measured=memory,
        curve=curve,
        rows={
            row.solver: (row.plan.peak, row.plan.overhead)
            for row in result.comparison.rows
            if row.plan is not None and row.plan.peak is not None and row.plan.overhead is not None
        },
        executed=result.executed,
    )
    return result
