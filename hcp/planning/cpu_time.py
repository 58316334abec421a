"""CPU time of a part of a search: of the thread that makes it, and of native work that this thread waits for."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class _Native(threading.local):
    """Of the native work that a thread has waited for."""

    seconds = 0.0


_NATIVE = _Native()


def cpu_seconds() -> float:
    """CPU seconds that the calling thread and its native work have had; only differences mean anything."""
    return time.thread_time() + _NATIVE.seconds


class NativeTime:
    """Counts the CPU time of a thread that does native work towards that of the thread that waits for it."""

    def __init__(self) -> None:
        self._before = _NATIVE.seconds
        self._clock: int | None = None
        self._spent = 0.0

    def measuring(self, work: Callable[[], T]) -> T:
        """Does the work, in the thread that is to be measured."""
        # Not every system shows one thread the time of another; there it counts when the work is done.
        if hasattr(time, "pthread_getcpuclockid"):
            self._clock = time.pthread_getcpuclockid(threading.get_ident())
        try:
            return work()
        finally:
            self._clock, self._spent = None, time.thread_time()

    def note(self) -> None:
        """Counts what has been spent so far; called in the thread that waits."""
        clock = self._clock
        if clock is not None:
            # The thread may have ended since.
            with suppress(OSError):
                self._spent = max(self._spent, time.clock_gettime(clock))
        _NATIVE.seconds = self._before + self._spent
