"""When a search has to end: one limit in seconds, or in units of work, and a request to stop."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import get_ident
from time import monotonic
from typing import Final, Protocol

from hcp.graph.cancellation import cancelled_when
from hcp.graph.errors import HcpError
from hcp.planning.cpu_time import cpu_seconds

Stop = Callable[[], bool]

# Of a limit, and in seconds, what finishing may take: judging what was found at the last moment.
GRACE_SHARE: Final = 0.05
GRACE_SECONDS: Final = 0.3

# A share of CPU time ends at the latest when so many times as much has passed on the clock.
MOST_STARVED: Final = 2.0


def never() -> bool:
    """Never asks to stop."""
    return False


class Clock(Protocol):
    """What limits are measured by."""

    @property
    def now(self) -> float:
        """Seconds, or units of work."""
        ...

    def spend(self, units: float) -> None:
        """Takes note of work done; a clock that shows the time has no use for it."""
        ...


class WallClock:
    """The time."""

    @property
    def now(self) -> float:
        """Seconds."""
        return monotonic()

    def spend(self, units: float) -> None:
        """Time passes by itself."""


class WorkClock:
    """Work done, in units of about a second of one core: the same on every machine, whatever its load."""

    def __init__(self) -> None:
        self._spent = 0.0

    @property
    def now(self) -> float:
        """Units of work."""
        return self._spent

    def spend(self, units: float) -> None:
        """Adds work done."""
        self._spent += units


class Deadline:
    """Measures what has passed since it was made against a limit.

    Attributes:
        limit: In the clock's units.
        clock: Wall clock or work.
    """

    def __init__(self, limit: float = math.inf, stop: Stop = never, clock: Clock | None = None) -> None:
        self.limit = limit
        self.clock: Clock = WallClock() if clock is None else clock
        self._stop = stop
        self._start = self.clock.now
        self._began = monotonic()
        self._stopped_at: float | None = None

    @property
    def counts_work(self) -> bool:
        """Whether the limit is in units of work, so that the outcome must depend on nothing else."""
        return isinstance(self.clock, WorkClock)

    @property
    def seconds(self) -> float:
        """Seconds of wall time since the start."""
        return monotonic() - self._began

    @property
    def passed(self) -> float:
        """What has passed since the start, in the clock's units."""
        return self.clock.now - self._start

    @property
    def left(self) -> float:
        """What is left, never negative; nothing once a stop is requested."""
        return 0.0 if self.stopped else max(0.0, self.limit - self.passed)

    @property
    def left_on_clock(self) -> float:
        """What is left on the clock alone, for solvers that measure nothing else."""
        return self.left

    @property
    def over(self) -> bool:
        """Whether the search should end: nothing is left."""
        return self.left <= 0

    @property
    def overdue(self) -> bool:
        """Whether even finishing what was begun has taken too long."""
        if self.stopped:
            return monotonic() - (self._stopped_at or 0.0) > GRACE_SECONDS
        return _late(self.passed, self.limit)

    @property
    def stopped(self) -> bool:
        """Whether a stop was requested."""
        if self._stopped_at is None and self._stop():
            self._stopped_at = monotonic()
        return self._stopped_at is not None

    def enforced(self) -> AbstractContextManager[None]:
        """A scope that is given up when it is overdue: a tick inside raises ``Cancelled``."""
        return cancelled_when(lambda: self.overdue)

    def spend(self, units: float) -> None:
        """Takes note of work done, for limits in units of work."""
        self.clock.spend(units)

    def part(self, limit: float, stop: Stop = never) -> "Deadline":
        """A deadline that comes no later than this one, and also ends when ``stop`` says so."""
        return Deadline(min(limit, self.left), lambda: stop() or self.stopped, self.clock)

    def share(self, amount: float) -> "Deadline":
        """A part by CPU time: what other processes take from it on a busy machine it gets later, within limits.

        Args:
            amount: Seconds of CPU time, of the calling thread and the native work it waits for, or units of work.
        """
        if self.counts_work:
            return self.part(amount)
        return _CpuDeadline(amount, min(MOST_STARVED * amount, self.left), lambda: self.stopped, self.clock)


class _CpuDeadline(Deadline):
    """Ends when a share of CPU time is used up, or its limit on the clock is reached."""

    def __init__(self, share: float, limit: float, stop: Stop, clock: Clock) -> None:
        super().__init__(limit, stop, clock)
        self._share = share
        self._owner = get_ident()
        self._before = cpu_seconds()

    @property
    def _spent(self) -> float:
        # Other threads have clocks of their own, which say nothing of this part.
        return cpu_seconds() - self._before if get_ident() == self._owner else 0.0

    @property
    def left(self) -> float:
        """What is left of the share or on the clock, whichever is less."""
        return min(super().left, max(0.0, self._share - self._spent))

    @property
    def left_on_clock(self) -> float:
        """What is left on the clock alone."""
        return super().left

    @property
    def overdue(self) -> bool:
        """Whether finishing has taken too long by either measure."""
        return super().overdue or _late(self._spent, self._share)


def _late(passed: float, limit: float) -> bool:
    """Whether a limit is passed by more than finishing may take."""
    return passed > limit * (1 + GRACE_SHARE) + GRACE_SECONDS


def check_moves(moves: int | None) -> None:
    """Refuses a limit in moves, in place of one in seconds, that is not above zero."""
    if moves is not None and (type(moves) is not int or moves < 1):
        raise HcpError(f"moves is {moves!r}; give a whole number above zero, or None to use the time limit")
