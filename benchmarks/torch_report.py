"""What the executed comparison found: rows, what they say of each peer and of each promise, and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.harness import failure
from hcp.report.tables import Table

# At a peer's peak or less, hcp's step may take this times the peer's.
TOLERATED: Final = 1.02
# The way of PyTorch's that compiles nothing.
EAGER: Final = "eager"


@dataclass(frozen=True)
class Measured:
    """One way of running a step.

    Attributes:
        model: Which.
        method: Which way; hcp's name the compiler, and where the budget comes from.
        peak_bytes: Most bytes held above the start.
        step_ms: Median time of a step.
        x_inductor: Median of the paired ratios to plain Inductor, run in the same process.
        quartiles: Of these ratios, the lower and the upper.
        difference: Largest of a gradient to plain Inductor's, relative to the gradient's largest entry.
        same_random_state: Whether a step leaves the random state as plain Inductor's does.
        budget_bytes: What hcp was asked to stay within; None for others, as all that follows.
        kept: Whether the peak is within it.
        planned_bytes: The plan's own peak.
        overhead: What the plan computes again, as a share of what is computed once.
        gap: Of the plan to the best order-free bound.
        plan: Its identity; rows of one plan were measured once.
    """

    model: str
    method: str
    peak_bytes: int
    step_ms: float
    x_inductor: float
    quartiles: tuple[float, float]
    difference: float
    same_random_state: bool
    budget_bytes: int | None = None
    kept: bool | None = None
    planned_bytes: int | None = None
    overhead: float | None = None
    gap: float | None = None
    plan: str | None = None


@dataclass(frozen=True)
class Failed:
    """A way that could not be measured.

    Attributes:
        model: Which.
        method: Which way.
        error: Why.
    """

    model: str
    method: str
    error: str


Rows = Sequence[Measured | Failed]


@dataclass(frozen=True)
class Verdict:
    """Whether hcp is at least as good as a peer.

    Attributes:
        model: Which.
        peer: Which.
        peak_bytes: Of the peer.
        by: The quickest hcp way whose peak is no higher; None where there is none.
        by_peak_bytes: Its peak.
        ratio: Of its step to the peer's, each by its paired ratio to plain Inductor.
        holds: Whether that is tolerated.
        cause: Why not, as far as the measurements tell.
    """

    model: str
    peer: str
    peak_bytes: int
    by: str | None
    by_peak_bytes: int | None
    ratio: float | None
    holds: bool
    cause: str


@dataclass(frozen=True)
class Start:
    """The first call of a second start, in a process of its own, from caches that an earlier start filled.

    Attributes:
        model: Which.
        method: Which way.
        seconds: Median over the starts.
        x_inductor: Median of the ratios to plain Inductor's starts, which took turns with these.
    """

    model: str
    method: str
    seconds: float
    x_inductor: float


def ran(rows: Rows) -> list[Measured]:
    """Those that were measured."""
    return [row for row in rows if isinstance(row, Measured)]


def quickest(rows: Rows, peak: float) -> Measured | None:
    """The quickest hcp way with a peak of at most so many bytes."""
    fitting = (row for row in ran(rows) if row.budget_bytes is not None and row.peak_bytes <= peak)
    return min(fitting, key=lambda row: row.x_inductor, default=None)


def verdicts_of(rows: Rows) -> list[Verdict]:
    """What the rows of one model say of each peer that was measured."""
    return [_verdict(row, rows) for row in ran(rows) if row.budget_bytes is None]


def _verdict(peer: Measured, rows: Rows) -> Verdict:
    best = quickest(rows, peer.peak_bytes)
    if best is None:
        least = min((row.peak_bytes for row in ran(rows) if row.budget_bytes is not None), default=None)
        cause = "no plan" if least is None else f"the smallest hcp program takes {least:,} bytes"
        return Verdict(peer.model, peer.method, peer.peak_bytes, None, None, None, False, cause)
    ratio = best.x_inductor / peer.x_inductor
    holds = ratio <= TOLERATED
    cause = "" if holds else cause_of(best, peer, TOLERATED)
    return Verdict(peer.model, peer.method, peer.peak_bytes, best.method, best.peak_bytes, ratio, holds, cause)


def cause_of(ours: Measured, peer: Measured, limit: float) -> str:
    """Why a step of hcp's takes more than so many times a peer's: the clock, what it computes again, or its kernels."""
    if ours.quartiles[0] <= limit * peer.quartiles[1]:
        low, high, lower, higher = *ours.quartiles, *peer.quartiles
        spread = f"{low:.2f} to {high:.2f}, the peer's {lower:.2f} to {higher:.2f}"
        return f"within the clock's spread: the middle half of its ratios to plain Inductor is {spread}"
    if ours.overhead:
        gap = "of unknown gap" if ours.gap is None else f"at most {ours.gap:.1%} from optimal"
        return f"the plan computes {ours.overhead:.1%} again by its costs, and is {gap} by them"
    return "other kernels: the plan computes nothing again"


def rows_table(rows: Rows) -> Table:
    """All measurements, and why some are missing."""
    eager = {row.model: row.x_inductor for row in ran(rows) if row.method == EAGER}
    measured = ("peak B", "budget B", "kept", "step ms", "x inductor", "middle half", "x eager", "planned B", "gap")
    headers = ("model", "way", *measured, "gradients differ by", "random state", "failure")
    body = tuple((row.model, row.method, *_cells(row, eager.get(row.model))) for row in rows)
    numeric = (False, False, True, True, False, True, True, True, True, True, True, True, False, False)
    return Table(headers, body, numeric)


def _cells(row: Measured | Failed, eager: float | None) -> tuple[str, ...]:
    if isinstance(row, Failed):
        return (*"-----------", failure(row.error))
    low, high = row.quartiles
    return (
        f"{row.peak_bytes:,}",
        shown(row.budget_bytes, "{:,}"),
        "-" if row.kept is None else yes(row.kept),
        f"{row.step_ms:.1f}",
        f"{row.x_inductor:.3f}",
        f"{low:.3f} to {high:.3f}",
        shown(None if eager is None else row.x_inductor / eager, "{:.3f}"),
        shown(row.planned_bytes, "{:,}"),
        shown(row.gap, "{:.2%}"),
        f"{row.difference:.1e}",
        "same" if row.same_random_state else "OTHER",
        "",
    )


def shown(value: object, form: str) -> str:
    """A cell of a table."""
    return "-" if value is None else form.format(value)


def yes(holds: bool) -> str:
    """A cell of a table that stands out where something does not hold."""
    return "yes" if holds else "NO"


def verdicts_table(verdicts: Sequence[Verdict]) -> Table:
    """For each peer, the quickest hcp way that needs no more memory."""
    headers = ("model", "peer", "its peak B", "hcp with no higher peak", "its peak B", "step x the peer's")
    return Table(
        headers=(*headers, f"at most {TOLERATED:g}", "cause"),
        rows=tuple(
            (
                verdict.model,
                verdict.peer,
                f"{verdict.peak_bytes:,}",
                verdict.by or "none",
                shown(verdict.by_peak_bytes, "{:,}"),
                shown(verdict.ratio, "{:.3f}"),
                yes(verdict.holds),
                verdict.cause,
            )
            for verdict in verdicts
        ),
        numeric=(False, False, True, False, True, True, False, False),
    )


def starts_of(model: str, plain: str, seconds: Mapping[str, Sequence[float]]) -> list[Start]:
    """What the first calls of second starts took, beside those of a plain way that took turns with them."""
    return [
        Start(
            model,
            method,
            median(times),
            median(mine / theirs for mine, theirs in zip(times, seconds[plain], strict=True)),
        )
        for method, times in seconds.items()
    ]


def starts_table(starts: Sequence[Start | Failed]) -> Table:
    """The second starts, and why some are missing."""
    body = tuple(
        (start.model, start.method, "-", "-", failure(start.error))
        if isinstance(start, Failed)
        else (start.model, start.method, f"{start.seconds:.2f}", f"{start.x_inductor:.3f}", "")
        for start in starts
    )
    return Table(("model", "way", "first call s", "x inductor", "failure"), body, (False, False, True, True, False))
