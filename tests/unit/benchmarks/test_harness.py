"""What benchmarks share: processes of their own whose failures are errors, and steps that take turns."""

import json
import multiprocessing
import os
import signal
import time
from functools import partial

import pytest

import hcp
from benchmarks import harness
from benchmarks.harness import alone, busy, failure, paired, publish
from hcp.report.tables import Table


def test_each_call_has_a_process_of_its_own():
    found = {alone(os.getpid), alone(os.getpid)}
    assert len(found) == 2
    assert os.getpid() not in found


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (partial(int, "many"), "^ValueError: invalid literal for int"),
        (partial(hcp.load_graph, "missing.json"), "^[^:]*missing.json"),
        (partial(os._exit, 3), "its process ended with exit code 3 and no answer"),
        (partial(signal.raise_signal, signal.SIGKILL), "exit code -9 and no answer; run it by itself"),
        (partial(os._exit, 0), "exit code 0 and no answer"),
    ],
)
def test_a_process_that_fails_is_an_error(task, message):
    with pytest.raises(hcp.HcpError, match=message):
        alone(task)


def test_a_process_that_hangs_is_an_error():
    with pytest.raises(hcp.HcpError, match="no answer after 0 s"):
        alone(partial(time.sleep, 600), 0.1)


def test_steps_take_turns_and_each_is_first_as_often(monkeypatch):
    clock, ran = [0.0], []

    def step(name, seconds):
        ran.append(name)
        clock[0] += seconds

    monkeypatch.setattr(harness.time, "perf_counter", lambda: clock[0])
    pace = paired(partial(step, "mine", 0.003), partial(step, "theirs", 0.002), rounds=3)
    assert ran == ["mine", "theirs", "theirs", "mine"] * 2
    assert pace.step_ms == pytest.approx(3)
    assert (pace.ratio, *pace.quartiles) == pytest.approx((1.5, 1.5, 1.5))


def test_a_burst_of_load_moves_no_median(monkeypatch):
    clock = [0.0]
    # Both are slowed alike, in the round that warms up and in one more.
    mine, theirs = iter([9.0, 3.0, 30.0, 3.0]), iter([9.0, 2.0, 20.0, 2.0])

    def step(times):
        clock[0] += next(times)

    monkeypatch.setattr(harness.time, "perf_counter", lambda: clock[0])
    assert paired(partial(step, mine), partial(step, theirs), rounds=3).ratio == pytest.approx(1.5)


def test_a_long_error_is_cut_in_tables_alone():
    assert failure(None) == ""
    assert failure("word " * 50).endswith("word ...")
    assert len(failure("word " * 50)) <= 80


def test_busy_processes_end_with_the_block():
    before = set(multiprocessing.active_children())
    with busy(2):
        assert len(set(multiprocessing.active_children()) - before) == 2
    assert set(multiprocessing.active_children()) == before
    with busy(None):
        assert set(multiprocessing.active_children()) == before


def test_what_else_the_machine_had_to_do_is_published(tmp_path):
    publish("b", Table(("a",), (("1",),), (True,)), [{"a": 1}], tmp_path, "load average 0.0 at the start", limit=5)
    assert "load average 0.0 at the start; limit 5." in (tmp_path / "b.md").read_text()
    assert json.loads((tmp_path / "b.json").read_text())["state"] == "load average 0.0 at the start"
