"""What the executed JAX comparison found: verdicts, tables, and points of pictures."""

from collections.abc import Sequence
from typing import Any, Final

from benchmarks.harness import TOLERANCE, failure
from hcp.report.figures import ExecutedRun
from hcp.report.tables import Table

Row = dict[str, Any]


def verdicts_of(rows: Sequence[Row], tolerance: float = TOLERANCE) -> list[Row]:
    """For each peer that was measured, the quickest hcp plan that takes no more memory, by the ratios to plain.

    Args:
        rows: Of one model; those of hcp have a budget.
        tolerance: How much slower a step may be, relatively, as the clock tells no less.
    """
    ran = [row for row in rows if "error" not in row]
    planned = [row for row in ran if row["budget_bytes"] is not None]
    return [_verdict(row, planned, tolerance) for row in ran if row["budget_bytes"] is None]


def _verdict(peer: Row, planned: Sequence[Row], tolerance: float) -> Row:
    fitting = [row for row in planned if row["bytes"] <= peer["bytes"]]
    found: Row = {"model": peer["model"], "peer": peer["way"], "by": None, "ratio": None, "holds": False}
    if not fitting:
        least = min((row["bytes"] for row in planned), default=None)
        return found | {"cause": "no plan" if least is None else f"the smallest hcp program takes {least:,} bytes"}
    best = min(fitting, key=lambda row: row["x_plain"])
    ratio = best["x_plain"] / peer["x_plain"]
    holds = ratio <= 1 + tolerance
    return found | {"by": best["way"], "ratio": ratio, "holds": holds, "cause": "" if holds else _cause(best, peer)}


def _cause(best: Row, peer: Row) -> str:
    """Why the plan's step is slower: what it computes again, or else what the clock or the kernels make of it."""
    (low, high), (lower, higher) = best["x_plain_quartiles"], peer["x_plain_quartiles"]
    if low <= higher:
        spread = f"{low:.2f} to {high:.2f}, the peer's {lower:.2f} to {higher:.2f}"
        return f"within the clock's spread: the middle half of its ratios to plain is {spread}"
    if best["overhead"]:
        return f"the plan computes {best['overhead']:.1%} again"
    return "other kernels: the plan computes nothing again"


def _shown(value: object, form: str) -> str:
    return "-" if value is None else form.format(value)


def rows_table(rows: list[Row]) -> Table:
    """All measurements, and why some are missing."""
    more = [key for key in _MORE if any(key in row for row in rows)]
    measured = ("bytes", "planned", "step ms", "x plain", "gap", "difference", *(_MORE[key][0] for key in more))
    body = tuple((row["model"], row["way"], *_cells(row, more), failure(row.get("error"))) for row in rows)
    return Table(("model", "way", *measured, "failure"), body, (False, False, *[True] * len(measured), False))


# What rows of some benchmarks have besides: their columns.
_MORE: Final = {
    "forward_steps": ("forward steps", "{}"),
    "binomial_steps": ("binomial", "{}"),
    "compile_s": ("compile s", "{:.2f}"),
}


def _cells(row: Row, more: Sequence[str]) -> tuple[str, ...]:
    if "error" in row:
        return ("-",) * (6 + len(more))
    return (
        f"{row['bytes']:,}",
        _shown(row["planned_bytes"], "{:,}"),
        f"{row['step_ms']:.2f}",
        f"{row['x_plain']:.3f}",
        _shown(row["gap"], "{:.2%}"),
        f"{row['difference']:.1e}",
        *(_shown(row.get(key), _MORE[key][1]) for key in more),
    )


def verdicts_table(rows: list[Row]) -> Table:
    """For each peer, the quickest hcp plan that takes no more memory."""
    body = [
        (
            row["model"],
            row["peer"],
            row["by"] or "none",
            _shown(row["ratio"], "{:.3f}"),
            "yes" if row["holds"] else "NO",
            row["cause"],
        )
        for row in rows
    ]
    headers = ("model", "peer", "hcp plan with no more memory", "step x the peer's", "no worse", "cause")
    return Table(headers, tuple(body), (False, False, False, True, False, False))


def points(rows: list[Row]) -> list[ExecutedRun]:
    """Points of a picture; hcp's budgets share a label."""
    return [
        ExecutedRun("hcp" if row["way"].startswith("hcp") else row["way"], row["bytes"], row["step_ms"] / 1e3)
        for row in rows
        if "error" not in row
    ]
