"""Profiles: sums over events, and the Chrome trace."""

import json

import pytest

from hcp.runtime import Profiler


@pytest.fixture
def profile():
    times = iter(range(0, 10_000, 500))
    profiler = Profiler(clock=lambda: next(times))
    with profiler.event("a", "compute", cost=5):
        profiler.sample(10, 0)
    with profiler.event("x", "store"):
        pass
    profiler.sample(7, 3)
    for _ in range(2):
        with profiler.event("a", "recompute", cost=5):
            pass
    with pytest.raises(ZeroDivisionError), profiler.event("b", "compute", cost=100):
        raise ZeroDivisionError
    return profiler.profile("flops")


def test_sums(profile):
    assert profile.peak_bytes == 10
    assert profile.peak_stored_bytes == 3
    assert profile.recomputed == {"a": 2}
    assert profile.recomputed_cost == 10
    assert profile.recomputed_ns == 1000
    assert profile.durations["compute"] == 1000
    assert profile.durations["store"] == 500
    assert profile.durations["fetch"] == 0
    assert [event.name for event in profile.events] == ["a", "x", "a", "a"]


def test_chrome_trace(profile, tmp_path):
    profile.save_chrome_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert trace == profile.chrome_trace()
    spans = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert spans[0] == {
        "name": "a",
        "cat": "compute",
        "ph": "X",
        "ts": 0.0,
        "dur": 1.0,
        "pid": 1,
        "tid": 1,
        "args": {"cost (flops)": 5},
    }
    assert [(span["cat"], span["tid"]) for span in spans[1:]] == [("store", 2), ("recompute", 1), ("recompute", 1)]
    counters = [event for event in trace["traceEvents"] if event["ph"] == "C"]
    assert [counter["args"] for counter in counters] == [{"at hand": 10, "stored": 0}, {"at hand": 7, "stored": 3}]
