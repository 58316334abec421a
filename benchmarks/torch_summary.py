"""The executed comparison at a glance: how low PyTorch's compiler gets by itself, and hcp there and below."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.torch_peers import ACTIVATION, PLAIN
from benchmarks.torch_report import Measured, Rows, quickest, ran, shown
from hcp.report.tables import Table

# Below the lowest peak of activation_memory_budget.
LOWER: Final = 0.7


@dataclass(frozen=True)
class Point:
    """A way's peak in bytes, and its step as a multiple of plain Inductor's."""

    peak_bytes: int
    x_inductor: float

    def __str__(self) -> str:
        return f"{self.peak_bytes / 1e6:.1f} MB, {self.x_inductor:.2f} x"


@dataclass(frozen=True)
class Summary:
    """One model.

    Attributes:
        model: Its name.
        plain: Plain Inductor.
        lowest: The lowest peak of ``activation_memory_budget``.
        there: The quickest hcp way with a peak no higher; None for none.
        below: The quickest with at most ``LOWER`` of that peak.
        smallest: The hcp way with the lowest peak.
    """

    model: str
    plain: Point
    lowest: Point
    there: Point | None
    below: Point | None
    smallest: Point | None


def lowest_peak(rows: Rows) -> Measured | None:
    """The row of ``activation_memory_budget`` with the lowest peak."""
    peers = (row for row in ran(rows) if row.method.startswith(ACTIVATION))
    return min(peers, key=lambda row: row.peak_bytes, default=None)


def summaries_of(rows: Rows) -> list[Summary]:
    """The summary of one model's rows, where plain Inductor ran."""
    plain = next((row for row in ran(rows) if row.method == PLAIN), None)
    lowest = lowest_peak(rows)
    if plain is None or lowest is None:
        return []
    ours = [row for row in ran(rows) if row.budget_bytes is not None]
    peak = lowest.peak_bytes
    best = (quickest(rows, peak), quickest(rows, LOWER * peak), min(ours, key=lambda row: row.peak_bytes, default=None))
    return [
        Summary(plain.model, _point(plain), _point(lowest), *(None if row is None else _point(row) for row in best))
    ]


def _point(row: Measured) -> Point:
    return Point(row.peak_bytes, row.x_inductor)


def summary_table(summaries: Sequence[Summary]) -> Table:
    """A line a model."""
    headers = (
        "model",
        "plain Inductor",
        "lowest of activation_memory_budget",
        "hcp at that peak",
        f"hcp at {LOWER:g} x that peak",
        "hcp's smallest",
    )
    body = tuple(
        (
            each.model,
            f"{each.plain.peak_bytes / 1e6:.1f} MB",
            *(shown(point, "{}") for point in (each.lowest, each.there, each.below, each.smallest)),
        )
        for each in summaries
    )
    return Table(headers, body, (False, *[True] * 5))
