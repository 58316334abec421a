"""What the executed comparison is made to check: each promise with what was found and, where it fails, the cause."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from benchmarks.torch_peers import ACTIVATION, BLOCKS, PLAIN
from benchmarks.torch_report import EAGER, Failed, Measured, Rows, Start, Verdict, cause_of, quickest, ran, shown, yes
from benchmarks.torch_summary import LOWER, lowest_peak
from hcp.report.tables import Table

# How the names of plans begin that run operation by operation.
_OPERATIONS: Final = "hcp aot_eager"
# A step that recomputes nothing, to plain Inductor's.
_WHOLE: Final = 1.03
# Of a gradient in float32, relative to its largest entry.
_ROUND_OFF: Final = 1e-5
# What a step may take far below the lowest peak of activation_memory_budget, to plain Inductor's.
_SLOWER: Final = 1.35
# At the peak of checkpointed blocks under torch.compile, to their step.
_BLOCKS: Final = 0.93
# A second start's first call, to plain Inductor's.
_START: Final = 1.2


@dataclass(frozen=True)
class Check:
    """One promise for one model.

    Attributes:
        model: Which.
        promise: In words.
        found: What it is about, as it was measured; None where nothing could be.
        holds: Whether it is kept.
        cause: Why not.
    """

    model: str
    promise: str
    found: float | None
    holds: bool
    cause: str


def checks_of(rows: Rows, starts: Sequence[Start | Failed], verdicts: Sequence[Verdict]) -> Iterator[Check]:
    """The promises of one model, from its rows, its second starts and its verdicts."""
    yield from budget_checks(rows)
    whole = next((row for row in ran(rows) if row.method == "hcp inductor at 100%"), None)
    promise = f"the step at 100% of plain Inductor's peak takes at most {_WHOLE:g} x its"
    yield _pace(promise, whole, _WHOLE, rows)
    peers = [verdict for verdict in verdicts if verdict.peer.startswith(ACTIVATION)]
    failing = [f"{verdict.peer}: {verdict.cause}" for verdict in peers if not verdict.holds]
    worst = max((verdict.ratio for verdict in peers if verdict.ratio is not None), default=None)
    promise = "every point of activation_memory_budget is met, with a peak no higher and a step at most 1.02 x its"
    yield Check(_model(rows), promise, worst, bool(peers) and not failing, "; ".join(failing))
    yield from _lower(rows)
    peer = next((row for row in ran(rows) if row.method == BLOCKS), None)
    promise = f"at the peak of checkpointed blocks under torch.compile a step takes at most {_BLOCKS:g} x theirs"
    yield _pace(promise, None if peer is None else quickest(rows, peer.peak_bytes), _BLOCKS, rows, BLOCKS)
    for start in starts:
        if isinstance(start, Failed):
            yield Check(start.model, f"second start of {start.method}", None, False, start.error)
        elif start.method.startswith("hcp"):
            holds = start.x_inductor <= _START
            cause = "" if holds else f"{start.seconds:.2f} s until the first step is done"
            promise = f"the second start of {start.method} takes at most {_START:g} x plain Inductor's"
            yield Check(start.model, promise, start.x_inductor, holds, cause)


def budget_checks(rows: Rows) -> Iterator[Check]:
    """What holds of every plan: its program keeps the budget, with plain Inductor's gradients and random state."""
    ours = [row for row in ran(rows) if row.budget_bytes is not None]
    model = _model(rows)
    if not ours:
        yield Check(model, "every program keeps its budget", None, False, "no plan was measured")
        return
    over = [row.method for row in ours if not row.kept]
    most = max(row.peak_bytes / (row.budget_bytes or 1) for row in ours)
    yield Check(model, "every program keeps its budget", most, not over, _listed("over it", over))
    yield from _gradients(rows, ours)
    other = [row.method for row in ours if not row.same_random_state]
    promise = "the random state after a step is plain Inductor's"
    yield Check(model, promise, None, not other, _listed("another", other))


def _gradients(rows: Rows, ours: Sequence[Measured]) -> Iterator[Check]:
    """What is compiled has plain Inductor's gradients; what runs operation by operation has those of eager."""
    eager = max((row.difference for row in ran(rows) if row.method == EAGER), default=0.0)
    promise = f"gradients are within {_ROUND_OFF:g} of plain Inductor's"
    for others, what, most in ((False, promise, _ROUND_OFF), (True, f"{promise}, or as far off as eager's", eager)):
        found = [row for row in ours if row.method.startswith(_OPERATIONS) == others]
        far = [row.method for row in found if row.difference > max(most, _ROUND_OFF)]
        if found:
            largest = max(row.difference for row in found)
            yield Check(_model(rows), what, largest, not far, _listed("further off", far))


def falling(rows: Rows) -> Check:
    """Whether the peak of hcp's compiled programs falls with the budget, where activation_memory_budget's may rise."""
    ours = [row for row in ran(rows) if row.budget_bytes is not None]
    ours.sort(key=lambda row: row.budget_bytes or 0)
    rises = [f"{low.method} takes more than {high.method}" for low, high in pairwise(ours) if _exceeds(low, high)]
    promise = "the measured peak falls with the budget"
    lowest = min((row.peak_bytes for row in ours), default=None)
    return Check(_model(rows), promise, lowest, len(ours) > 1 and not rises, "; ".join(rises))


def _exceeds(low: Measured, high: Measured) -> bool:
    return low.peak_bytes > high.peak_bytes


def _model(rows: Rows) -> str:
    return rows[0].model


def _listed(what: str, methods: Sequence[str]) -> str:
    return f"{what}: {', '.join(methods)}" if methods else ""


def _lower(rows: Rows) -> Iterator[Check]:
    peer = lowest_peak(rows)
    lowest = None if peer is None else peer.peak_bytes
    smallest = min((row.peak_bytes for row in ran(rows) if row.budget_bytes is not None), default=None)
    promise = f"the smallest peak is at most {LOWER:g} x the lowest of activation_memory_budget"
    ratio = None if lowest is None or smallest is None else smallest / lowest
    holds = ratio is not None and ratio <= LOWER
    cause = "" if holds else f"the smallest hcp program takes {shown(smallest, '{:,}')} bytes"
    yield Check(_model(rows), promise, ratio, holds, cause)
    promise = f"a step at {LOWER:g} x the lowest peak of activation_memory_budget takes less than {_SLOWER:g} x plain"
    best = None if lowest is None else quickest(rows, LOWER * lowest)
    yield _pace(promise, best, _SLOWER, rows)


def _pace(promise: str, best: Measured | None, limit: float, rows: Rows, to: str = PLAIN) -> Check:
    """Whether a way's step takes at most so many times that of another."""
    other = next((row for row in ran(rows) if row.method == to), None)
    if best is None or other is None:
        failed = (row.error for row in rows if isinstance(row, Failed) and row.method.startswith("hcp"))
        return Check(_model(rows), promise, None, False, next(failed, "no plan with a peak that low"))
    ratio = best.x_inductor / other.x_inductor if to != PLAIN else best.x_inductor
    return Check(_model(rows), promise, ratio, ratio <= limit, "" if ratio <= limit else cause_of(best, other, limit))


def checks_table(checks: Sequence[Check]) -> Table:
    """The promises, those that fail with their causes."""
    body = tuple(
        (check.model, check.promise, shown(check.found, "{:,.4g}"), yes(check.holds), check.cause) for check in checks
    )
    return Table(("model", "promise", "found", "kept", "cause"), body, (False, False, True, False, False))
