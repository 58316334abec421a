"""What the executed comparison found: rows, verdicts, tables and points of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.harness import TOLERANCE, failure
from hcp.report.figures import ExecutedRun
from hcp.report.tables import Table

# What pictures call ways that start like this.
LABELS: Final = {
    "hcp": "hcp",
    "torch.utils.checkpoint, whole": "checkpoint, whole",
    "torch.utils.checkpoint, each": "checkpoint, blocks",
    "selective": "selective",
    "activation_memory_budget": "compiler budget",
    "inductor": "inductor",
}


@dataclass(frozen=True)
class Measured:
    """One way of running a step.

    Attributes:
        model: Which.
        method: Which way; hcp's name the budget.
        peak_bytes: Most bytes held above the start.
        step_ms: Median time of a step.
        x_eager: Median of the paired ratios to eager.
        planned_peak_bytes: What hcp promised; None for others.
        gap: Of hcp's plan to the best order-free bound.
        equal: Whether the gradients are eager's to the bit.
    """

    model: str
    method: str
    peak_bytes: int
    step_ms: float
    x_eager: float
    planned_peak_bytes: int | None
    gap: float | None
    equal: bool


@dataclass(frozen=True)
class Failed:
    """A way that could not be measured.

    Attributes:
        model: Which.
        method: Which way; hcp's name the budget.
        error: Why.
    """

    model: str
    method: str
    error: str


@dataclass(frozen=True)
class Verdict:
    """Whether hcp is at least as good as a peer.

    Attributes:
        model: Which.
        peer: Which.
        by: The quickest hcp plan whose peak is no higher; None where there is none.
        ratio: Of its step to the peer's, each by its paired ratio to eager.
        uncompiled: The same of PyTorch's own capture that plans nothing (``aot_eager``); None where that failed.
    """

    model: str
    peer: str
    by: str | None
    ratio: float | None
    uncompiled: float | None

    @property
    def holds(self) -> bool:
        """Whether neither peak nor time is worse."""
        return self.ratio is not None and self.ratio <= 1 + TOLERANCE

    @property
    def cause(self) -> str:
        """Why not, as far as the measurements tell."""
        if self.holds:
            return ""
        if self.ratio is None:
            return "no plan was found with a peak that low"
        if self.uncompiled is not None and self.uncompiled >= self.ratio - TOLERANCE:
            return f"capture itself: aot_eager, which plans nothing, takes {self.uncompiled:.3f} x"
        return "recomputation takes longer than what the peer saves"


def verdicts_of(rows: Sequence[Measured | Failed]) -> list[Verdict]:
    """What the rows of one model say of each peer that was measured."""
    ran = [row for row in rows if isinstance(row, Measured)]
    captured = next((row for row in ran if row.method == "aot_eager"), None)
    ours = [row for row in ran if row.planned_peak_bytes is not None]
    found = []
    for peer in ran:
        if peer in ours:
            continue
        fitting = [row for row in ours if row.peak_bytes <= peer.peak_bytes]
        best = min(fitting, key=lambda row: row.x_eager, default=None)
        quickest, uncompiled = (None if row is None else row.x_eager / peer.x_eager for row in (best, captured))
        found.append(Verdict(peer.model, peer.method, None if best is None else best.method, quickest, uncompiled))
    return found


def rows_table(rows: Sequence[Measured | Failed]) -> Table:
    """All measurements, and why some are missing."""
    return Table(
        headers=("model", "way", "peak B", "planned", "step ms", "x eager", "gap", "gradients", "failure"),
        rows=tuple((row.model, row.method, *_cells(row)) for row in rows),
        numeric=(False, False, True, True, True, True, True, False, False),
    )


def _cells(row: Measured | Failed) -> tuple[str, ...]:
    if isinstance(row, Failed):
        return (*"------", failure(row.error))
    return (
        f"{row.peak_bytes:,}",
        "-" if row.planned_peak_bytes is None else f"{row.peak_bytes - row.planned_peak_bytes:+,} B",
        f"{row.step_ms:.2f}",
        f"{row.x_eager:.3f}",
        "-" if row.gap is None else f"{row.gap:.2%}",
        "equal" if row.equal else "differ",
        "",
    )


def verdicts_table(verdicts: list[Verdict]) -> Table:
    """For each peer, the quickest hcp plan that needs no more memory."""
    return Table(
        headers=("model", "peer", "hcp plan with no higher peak", "step x the peer's", "no worse", "cause"),
        rows=tuple(
            (
                verdict.model,
                verdict.peer,
                verdict.by or "none",
                "-" if verdict.ratio is None else f"{verdict.ratio:.3f}",
                "yes" if verdict.holds else "NO",
                verdict.cause,
            )
            for verdict in verdicts
        ),
        numeric=(False, False, False, True, False, False),
    )


def points(rows: Sequence[Measured | Failed]) -> list[ExecutedRun]:
    """Points of a picture; budgets of one way share a label."""
    return [
        ExecutedRun(
            next((short for start, short in LABELS.items() if row.method.startswith(start)), row.method),
            row.peak_bytes,
            row.step_ms / 1e3,
        )
        for row in rows
        if isinstance(row, Measured)
    ]
