"""What became slower, larger or worse than the committed results: a report in ratios, not a verdict.

Run as ``python -m benchmarks.regression NEW OLD`` on two folders of result files. Rows are matched by what was measured
(graph, budget, solver, ...). Times are compared after dividing by their median ratio, which takes out that one machine
is faster than the other; costs, gaps and sizes as they are. Exits with 0 whatever it finds, with 1 under ``--strict``.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from hcp.graph.errors import HcpError
from hcp.graph.files import read_json
from hcp.report.tables import Table

Row = Mapping[str, Any]

# Fields that say what a row measures; the others are measurements.
IDENTITY: Final = (
    *("graph", "model", "nodes", "layers", "batch", "budget", "solver"),
    *("method", "way", "peer", "promise", "device", "case"),
)
# Measurements by a part of their name, what an increase means, and the ratio from which it is reported.
KINDS: Final = (
    (("seconds", "_ms", "_ns", "milliseconds"), "slower", 1.5),
    (("peak", "bytes", "GiB"), "larger", 1.02),
    (("gap", "overhead", "cost"), "worse", 1.001),
)
# Below this a time says nothing.
_SHORTEST: Final = 0.5
# Given, not measured.
_SETTINGS: Final = ("budget_bytes", "base_cost", "base_peak", "bound", "best_bound")
_STATUS: Final = {"OPTIMAL": 0, "FEASIBLE": 1, "BOUND": 1, "NO_SOLUTION": 2}


@dataclass(frozen=True)
class Change:
    """A measurement that grew.

    Attributes:
        benchmark: Which.
        row: What was measured.
        field: Which measurement.
        kind: ``"slower"``, ``"larger"`` or ``"worse"``.
        old, new: The two figures.
        ratio: The new one over the old one; of times, over the median ratio as well.
    """

    benchmark: str
    row: str
    field: str
    kind: str
    old: float
    new: float
    ratio: float


def main(arguments: list[str] | None = None) -> int:
    """Prints the report; 1 under ``--strict`` where something grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("new", type=Path, help="folder of new results")
    parser.add_argument("old", type=Path, help="folder of committed results")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where something grew")
    options = parser.parse_args(arguments)
    try:
        changes = tuple(_report(options.new, options.old))
    except HcpError as error:
        print(f"benchmarks.regression: error: {error}", file=sys.stderr)
        return 2
    if changes:
        print(changes_table(changes).to_text())
    else:
        print("nothing became slower, larger or worse")
    return 1 if changes and options.strict else 0


def _report(new: Path, old: Path) -> Iterator[Change]:
    files = sorted(new.glob("*.json"))
    if not files:
        raise HcpError(f"no results in {str(new)!r}; run benchmarks/run_all.sh first")
    for file in files:
        former = old / file.name
        if not former.exists():
            print(f"{file.stem}: no committed results to compare with")
            continue
        after, before = _results(file), _results(former)
        if after["settings"] != before["settings"]:
            print(f"{file.stem}: measured with other settings than the committed results; figures may differ")
        matched = list(pairs(after["rows"], before["rows"]))
        print(
            f"{file.stem}: {len(matched)} of {len(after['rows'])} rows have a committed one "
            f"({_where(before)}); times {time_ratio(matched):.2f} x"
        )
        yield from compare_rows(file.stem, matched)


def pairs(new: list[Row], old: list[Row]) -> Iterator[tuple[Row, Row]]:
    """Rows that measure the same, newest first in each pair."""
    former = {identity(row): row for row in old}
    return ((row, former[identity(row)]) for row in new if identity(row) in former)


def identity(row: Row) -> str:
    """What a row measures."""
    return " ".join(str(row[field]) for field in IDENTITY if field in row)


def compare_rows(benchmark: str, matched: list[tuple[Row, Row]]) -> Iterator[Change]:
    """The measurements that grew."""
    speed = time_ratio(matched)
    for after, before in matched:
        for field in after:
            if field == "status" and _STATUS.get(after[field], 3) > _STATUS.get(str(before.get(field)), 3):
                was, now = (_STATUS.get(str(row.get(field)), 3) for row in (before, after))
                yield Change(benchmark, identity(after), f"status {after[field]}", "worse", was, now, float("inf"))
            kind = _kind(field)
            figures = [_figure(row.get(field), field) for row in (after, before)]
            if kind is None or figures[0] is None or figures[1] is None:
                continue
            meaning, limit = kind
            if meaning == "slower" and max(figures[0], figures[1]) < _SHORTEST:
                continue
            ratio = figures[0] / figures[1] / (speed if meaning == "slower" else 1.0)
            if ratio > limit:
                yield Change(benchmark, identity(after), field, meaning, figures[1], figures[0], ratio)


def time_ratio(matched: list[tuple[Row, Row]]) -> float:
    """The median ratio of times that say something; 1 where there are none."""
    ratios = [
        after[field] / before[field]
        for after, before in matched
        for field in after
        if (_kind(field) or ("", 0))[0] == "slower"
        and all(isinstance(row.get(field), int | float) and row[field] >= _SHORTEST for row in (after, before))
    ]
    return median(ratios) if ratios else 1.0


def changes_table(changes: tuple[Change, ...]) -> Table:
    """The changes, the largest first."""
    ordered = sorted(changes, key=lambda change: (change.kind, -change.ratio))
    rows = tuple(
        (c.kind, c.benchmark, c.row, c.field, f"{c.old:.6g}", f"{c.new:.6g}", f"{c.ratio:.3f}") for c in ordered
    )
    headers = ("kind", "benchmark", "what", "figure", "committed", "now", "ratio")
    return Table(headers, rows, (False, False, False, False, True, True, True))


def _kind(field: str) -> tuple[str, float] | None:
    if field in IDENTITY or field in _SETTINGS:
        return None
    return next(((kind, limit) for parts, kind, limit in KINDS if any(part in field for part in parts)), None)


def _figure(value: object, field: str) -> float | None:
    """A measurement above zero; excesses over a bound or a base as one plus the excess."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if field.endswith("%"):
        return 1 + value / 100
    if "gap" in field or "overhead" in field:
        return 1 + value
    return float(value) if value > 0 else None


def _results(file: Path) -> dict[str, Any]:
    data = read_json(file, "result file")
    if not isinstance(data, dict) or not {"machine", "settings", "rows"} <= data.keys():
        raise HcpError(f"result file {str(file)!r} has no machine, settings and rows; write it by a benchmark")
    return data


def _where(data: Mapping[str, Any]) -> str:
    machine = data["machine"]
    return f"{machine['processor']}, {machine['cores']} cores"


if __name__ == "__main__":
    sys.exit(main())
