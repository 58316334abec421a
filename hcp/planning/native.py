"""Running native code, of solvers or our own, so that requests to stop, limits and progress get through."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from hcp.graph.cancellation import tick
from hcp.planning.cpu_time import NativeTime
from hcp.planning.deadline import Stop, never

T = TypeVar("T")

# Seconds between two looks at the running solver.
INTERVAL: Final = 0.1

_RUNNING: Final[set[threading.Thread]] = set()


def run_native(
    work: Callable[[], T], halt: Callable[[], None], stop: Stop = never, poll: Callable[[], None] | None = None
) -> T:
    """Runs native code in a thread of its own, since Python handles signals between its own instructions only.

    Solvers look at their limits now and then: not while they reduce a model of millions of entries, for instance. Where
    the work is given up (see ``hcp.graph.cancellation``), the solver is asked to halt and left alone.

    Args:
        work: Runs the solver.
        halt: Makes it return soon; called where a stop is requested, and where an exception ends the wait.
        stop: Asked now and then.
        poll: Called now and then in the caller's thread.

    Raises:
        Cancelled: If the limit of the scope is over; what the solver works on must not be used any more.
    """
    outcome: Future[T] = Future()
    spent = NativeTime()
    thread = threading.Thread(target=_run, args=(lambda: spent.measuring(work), outcome))
    thread.start()
    try:
        while True:
            try:
                return outcome.result(timeout=INTERVAL)
            except TimeoutError:
                if outcome.done():
                    # Its own error, or its result if that came just now.
                    return outcome.result()
                spent.note()
                if stop():
                    halt()
                if poll is not None:
                    poll()
                tick()
    except BaseException:
        halt()
        raise
    finally:
        spent.note()


def _run(work: Callable[[], T], outcome: "Future[T]") -> None:
    _RUNNING.add(threading.current_thread())
    try:
        outcome.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised again where the outcome is asked for
        outcome.set_exception(error)
    finally:
        _RUNNING.discard(threading.current_thread())


def left_alone() -> bool:
    """Whether a solver still runs that was given up; the interpreter waits for its end before it exits."""
    return bool(_RUNNING)
