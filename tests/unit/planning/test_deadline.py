"""Shares of CPU time, and the time of native work."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hcp.planning.cpu_time import cpu_seconds
from hcp.planning.deadline import Deadline, WorkClock
from hcp.planning.native import run_native


@pytest.fixture
def clocks(monkeypatch):
    """The time and the calling thread's CPU time, which a test sets."""
    now = {"time": 100.0, "cpu": 10.0}
    monkeypatch.setattr("hcp.planning.deadline.monotonic", lambda: now["time"])
    monkeypatch.setattr("hcp.planning.deadline.cpu_seconds", lambda: now["cpu"])
    return now


def test_a_starved_share_gets_later_what_others_took(clocks):
    share = Deadline(100).share(10)
    clocks["time"], clocks["cpu"] = 112.0, 15.0
    assert (share.left, share.over) == (5, False)
    assert share.left_on_clock == 8
    clocks["cpu"] = 20.0
    assert share.over
    assert not share.overdue
    clocks["cpu"] = 21.0
    assert share.overdue


def test_a_share_ends_on_the_clock_at_last(clocks):
    whole = Deadline(100)
    starved, late = whole.share(10), whole.share(80)
    clocks["time"] = 121.0
    assert starved.over
    clocks["time"] = 199.0
    assert late.left == 1
    clocks["time"] = 200.0
    assert late.over


def test_another_threads_cpu_time_says_nothing_of_a_share(clocks):
    share = Deadline(100).share(10)
    clocks["cpu"] = 1_000.0
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: share.left).result() == 10
    assert share.over


def test_a_share_stops_with_the_whole():
    stop = threading.Event()
    share = Deadline(100, stop.is_set).share(50)
    assert not share.over
    stop.set()
    assert share.over


def test_where_work_is_counted_a_share_is_a_part():
    whole = Deadline(100, clock=WorkClock())
    share = whole.share(10)
    share.spend(10)
    assert share.over
    assert whole.left == 90


def test_native_work_counts_for_the_thread_that_waits():
    def work():
        begun = time.thread_time()
        while time.thread_time() - begun < 0.3:
            pass

    seen = []
    before, own = cpu_seconds(), time.thread_time()
    run_native(work, lambda: None, poll=lambda: seen.append(cpu_seconds() - before))
    spent, own = cpu_seconds() - before, time.thread_time() - own
    assert spent >= 0.3 + own - 0.01
    assert seen == sorted(seen)
