"""The executed PyTorch comparison at a glance."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from benchmarks.torch_peers import PLAIN, activation_name
from benchmarks.torch_report import Failed, Measured
from benchmarks.torch_summary import Point, summaries_of, summary_table

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "benchmarks" / "results"


def row(method, peak, x, budget=None):
    return Measured("m", method, peak, 100 * x, x, (x, x), 0.0, True, budget)


PEERS = [row(PLAIN, 1000, 1.0), row(activation_name(0.3), 900, 1.3), row(activation_name(0.5), 800, 1.2)]


def test_each_point_is_the_quickest_that_is_low_enough():
    ours = [row("a", 790, 1.1, 800), row("b", 700, 1.05, 700), row("c", 560, 1.2, 560), row("d", 400, 1.5, 400)]
    (found,) = summaries_of([*PEERS, *ours, Failed("m", "e", "no schedule fits")])
    assert (found.plain, found.lowest) == (Point(1000, 1.0), Point(800, 1.2))
    assert (found.there, found.below, found.smallest) == (Point(700, 1.05), Point(560, 1.2), Point(400, 1.5))
    assert "0.0 MB, 1.05 x" in summary_table([found]).to_markdown()


def test_what_was_not_reached_is_left_open():
    (found,) = summaries_of([*PEERS, row("a", 801, 1.1, 900)])
    assert (found.there, found.below, found.smallest) == (None, None, Point(801, 1.1))
    assert " - " in summary_table([found]).to_markdown()
    assert summaries_of([Failed("m", PLAIN, "out of memory")]) == []


def test_the_readme_shows_what_was_measured():
    lines = (RESULTS / "executed_torch_summary.md").read_text().splitlines()
    table = "\n".join(line for line in lines if line.startswith("|"))
    assert f"\n{table}\n" in (ROOT / "README.md").read_text()
    assert (RESULTS / "executed_torch.png").stat().st_size > 10_000
    checks = json.loads((RESULTS / "executed_torch_checks.json").read_text())["rows"]
    kept = [check["holds"] for check in checks if check["promise"] == "every program keeps its budget"]
    assert len(kept) == len(json.loads((RESULTS / "executed_torch_summary.json").read_text())["rows"])
    assert all(kept)
