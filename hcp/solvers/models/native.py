"""Running a solver's native code so that Ctrl-C, and progress, get through."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

# Seconds between two looks at the running solver.
INTERVAL: Final = 0.2


def run_interruptibly(work: Callable[[], T], stop: Callable[[], None], poll: Callable[[], None] | None = None) -> T:
    """Runs native code in a thread of its own, since Python handles Ctrl-C between its own instructions only.

    Args:
        work: Runs the solver.
        stop: Makes it return soon; called where the wait is interrupted, whose exception then passes through.
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
                    if poll is not None:
                        poll()
        except BaseException:
            stop()
            raise
