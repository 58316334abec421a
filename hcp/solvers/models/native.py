"""Running a solver's native code so that requests to stop, and progress, get through."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from hcp.planning.deadline import Stop, never

T = TypeVar("T")

# Seconds between two looks at the running solver.
INTERVAL: Final = 0.2


def run_native(
    work: Callable[[], T], halt: Callable[[], None], stop: Stop = never, poll: Callable[[], None] | None = None
) -> T:
    """Runs native code in a thread of its own, since Python handles signals between its own instructions only.

    Args:
        work: Runs the solver.
        halt: Makes it return soon; called where somebody asks to stop, and where an exception ends the wait.
        stop: Asked now and then.
        poll: Called now and then in the caller's thread.
    """
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            while True:
                try:
                    return future.result(timeout=INTERVAL)
                except TimeoutError:
                    if future.done():
                        raise
                    if stop():
                        halt()
                    if poll is not None:
                        poll()
        except BaseException:
            halt()
            raise
