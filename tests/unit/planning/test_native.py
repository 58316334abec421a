"""Native code in a thread of its own."""

import threading

import pytest

from hcp.graph.cancellation import Cancelled, cancelled_when
from hcp.planning.native import left_alone, run_native


def test_results_and_errors_come_through():
    assert run_native(lambda: 7, lambda: None) == 7
    with pytest.raises(ZeroDivisionError):
        run_native(lambda: 1 // 0, lambda: None)
    # TimeoutError is what the wait itself ends with as well.
    with pytest.raises(TimeoutError, match="own"):
        run_native(_raise_timeout, lambda: None)


def _raise_timeout():
    raise TimeoutError("the work's own")


def test_a_request_to_stop_halts_the_work():
    halted = threading.Event()
    polls = []
    assert run_native(lambda: halted.wait(60), halted.set, lambda: len(polls) > 1, lambda: polls.append(1))


def test_work_that_does_not_halt_is_left_alone_where_the_scope_is_over():
    asked, released, before = threading.Event(), threading.Event(), threading.enumerate()
    try:
        with pytest.raises(Cancelled), cancelled_when(lambda: True):
            run_native(lambda: released.wait(60), asked.set)
        assert asked.is_set()
        assert left_alone()
    finally:
        released.set()
    for thread in threading.enumerate():
        if thread not in before and not thread.daemon:
            thread.join(10)
    assert not left_alone()


def test_an_exception_from_the_caller_halts_the_work_and_goes_on():
    halted = threading.Event()

    def poll():
        raise RuntimeError("from the monitor")

    with pytest.raises(RuntimeError, match="from the monitor"):
        run_native(lambda: halted.wait(60), halted.set, poll=poll)
    assert halted.is_set()
