"""Native code in a thread of its own: what it returns, what it raises, and how it is halted."""

import threading

import pytest
from hcp.solvers.models.native import run_native

from hcp.solvers.models import native


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch):
    monkeypatch.setattr(native, "INTERVAL", 0.005)


def test_results_and_errors_come_through():
    assert run_native(lambda: 7, lambda: None) == 7
    with pytest.raises(ZeroDivisionError):
        run_native(lambda: 1 // 0, lambda: None)


def test_an_error_by_the_name_of_timeout_is_the_solvers_own():
    def fail():
        raise TimeoutError("of the solver")

    with pytest.raises(TimeoutError, match="of the solver"):
        run_native(fail, lambda: None)


def test_a_request_to_stop_halts_the_solver_which_returns_what_it_has():
    halted, looks = threading.Event(), []

    def work():
        halted.wait()
        return "so far"

    def stop():
        looks.append(threading.current_thread())
        return len(looks) > 2

    assert run_native(work, halted.set, stop) == "so far"
    # It is asked in the caller's thread, which signals reach.
    assert set(looks) == {threading.main_thread()}


def test_an_exception_from_the_caller_halts_the_solver_and_goes_on():
    halted = threading.Event()

    def poll():
        raise RuntimeError("from the monitor")

    with pytest.raises(RuntimeError, match="from the monitor"):
        run_native(halted.wait, halted.set, poll=poll)
    assert halted.is_set()
