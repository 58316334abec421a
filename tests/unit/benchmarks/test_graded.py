"""The graded comparison: each row's schedule takes as a plan what replay says, and the row says what PyTorch takes."""

import pytest

pytest.importorskip("torch")

from benchmarks.graded import HEADERS, _cells, graded
from benchmarks.torch_works import llama

SIZES = {"layers": 1, "width": 16, "heads": 2, "groups": 1, "inner": 32, "context": 16, "vocabulary": 32, "batch": 2}


def test_rows_hold_what_was_replayed_and_what_was_measured():
    rows = graded(llama("cpu", **SIZES), ["budget 0.5", "save products"], 0.5)
    assert [row["schedule"] for row in rows] == [
        "activation_memory_budget 0.5",
        "checkpoint a block, save products",
    ]
    for row in rows:
        assert row["peak_as_plan"] == row["peak"]
        assert row["peak_as_it_runs"] >= row["peak"]
        assert row["bound"] <= row["plan"]["cost"] <= row["cost"]
        assert len(_cells(row)) == len(HEADERS)
    assert rows[0]["peak_as_it_runs"] == rows[0]["peak"]
