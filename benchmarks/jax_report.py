"""What the executed JAX comparison found: verdicts, tables, and points of pictures."""

from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import Final

from hcp.report.figures import ExecutedRun
from hcp.report.tables import Table

# A step this much slower is within what the clock can tell.
TOLERANCE: Final = 0.01

Row = dict[str, object]


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the paired ratios of two ways' steps."""
    return median(a / b for a, b in zip(mine, theirs, strict=True))


def verdicts_of(rows: Sequence[Row], times: Mapping[str, list[float]]) -> list[Row]:
    """For each peer, the quickest hcp plan that takes no more memory.

    Args:
        rows: Of one model, as ``rows_of`` makes them; those of hcp have a budget.
        times: Seconds of each way's steps, round by round.
    """
    planned = [row for row in rows if row["budget_bytes"] is not None]
    return [_verdict(row, planned, times) for row in rows if row["budget_bytes"] is None]


def _verdict(peer: Row, planned: Sequence[Row], times: Mapping[str, list[float]]) -> Row:
    theirs = times[str(peer["way"])]
    fitting = [row for row in planned if int(str(row["bytes"])) <= int(str(peer["bytes"]))]
    found: Row = {"model": peer["model"], "peer": peer["way"], "by": None, "ratio": None, "holds": False}
    if not fitting:
        least = min((int(str(row["bytes"])) for row in planned), default=None)
        return found | {"cause": "no plan" if least is None else f"the smallest hcp program takes {least:,} bytes"}
    best = min(fitting, key=lambda row: ratio(times[str(row["way"])], theirs))
    mine = times[str(best["way"])]
    middle = ratio(mine, theirs)
    holds = middle <= 1 + TOLERANCE
    return found | {
        "by": best["way"],
        "ratio": middle,
        "holds": holds,
        "cause": "" if holds else _cause(best, mine, theirs),
    }


def _cause(best: Row, mine: Sequence[float], theirs: Sequence[float]) -> str:
    """Why the plan's step is slower: what it computes again, or else what the clock or the kernels make of it."""
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
    if low <= 1:
        return f"within the clock's spread: the middle half of the ratios is {low:.2f} to {high:.2f}"
    if best["overhead"]:
        return f"the plan computes {best['overhead']:.1%} again"
    return "other kernels: the plan computes nothing again"


def _shown(value: object, form: str) -> str:
    return "-" if value is None else form.format(value)


def rows_table(rows: list[Row]) -> Table:
    """All measurements."""
    extra = any("forward_steps" in row for row in rows)
    headers = ("model", "way", "bytes", "planned", "step ms", "x plain", "gap", "difference")
    body = [
        (
            str(row["model"]),
            str(row["way"]),
            f"{row['bytes']:,}",
            _shown(row["planned_bytes"], "{:,}"),
            f"{row['step_ms']:.2f}",
            f"{row['x_plain']:.3f}",
            _shown(row["gap"], "{:.2%}"),
            f"{row['difference']:.1e}",
            *((_shown(row["forward_steps"], "{}"), _shown(row["binomial_steps"], "{}")) if extra else ()),
        )
        for row in rows
    ]
    more = ("forward steps", "binomial") if extra else ()
    return Table((*headers, *more), tuple(body), (False, False, *[True] * (6 + len(more))))


def verdicts_table(rows: list[Row]) -> Table:
    """For each peer, the quickest hcp plan that takes no more memory."""
    body = [
        (
            str(row["model"]),
            str(row["peer"]),
            str(row["by"] or "none"),
            _shown(row["ratio"], "{:.3f}"),
            "yes" if row["holds"] else "NO",
            str(row["cause"]),
        )
        for row in rows
    ]
    headers = ("model", "peer", "hcp plan with no more memory", "step x the peer's", "no worse", "cause")
    return Table(headers, tuple(body), (False, False, False, True, False, False))


def points(rows: list[Row]) -> list[ExecutedRun]:
    """Points of a picture; hcp's budgets share a label."""
    return [
        ExecutedRun(
            "hcp" if str(row["way"]).startswith("hcp") else str(row["way"]),
            int(str(row["bytes"])),
            float(str(row["step_ms"])) / 1e3,
        )
        for row in rows
    ]
