"""What a planner is asked: the instance, the limits of the search, and who follows and steers it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.planning.deadline import Clock, Deadline, Stop, WorkClock, never
from hcp.planning.solution import Bound
from hcp.schedule.actions import Schedule
from hcp.schedule.host import HostLink
from hcp.schedule.scopes import FIXED_ORDER, ORDER_FREE

# As many searches as CP-SAT has that help each other.
DEFAULT_WORKERS: Final = 8

# Seconds, or units of work, of the smallest part of a search.
LEAST_PART: Final = 1e-3


class InfeasibleBudget(HcpError):
    """No schedule meets the budget; the message gives the proof and the smallest budget known to work.

    Attributes:
        bound: On the peak, above the budget, with a certificate where there is one; None where a solver only says so.
    """

    def __init__(self, message: str, bound: Bound | None = None) -> None:
        super().__init__(message)
        self.bound = bound


class NotApplicable(HcpError):
    """A planner does not apply to the graph; the message says what it needs."""


@dataclass(frozen=True)
class Problem:
    """An instance of the planning problem.

    Attributes:
        graph: The computation.
        budget: Most bytes that may be held at any time.
        order: Where given, first executions must follow it; None leaves the order free.
        host: Where given, schedules may offload and fetch. Planners that only recompute take no problem with one.
    """

    graph: Graph
    budget: int
    order: tuple[str, ...] | None = None
    host: HostLink | None = None

    @property
    def given_order(self) -> tuple[str, ...]:
        """The order that order-bound planners follow: the problem's, else the graph's own."""
        return self.graph.order if self.order is None else self.order

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of bounds that hold for every schedule of the problem; the last is the problem's own."""
        return (ORDER_FREE,) if self.order is None else (ORDER_FREE, FIXED_ORDER)


@dataclass(frozen=True)
class Limits:
    """The limits of a search.

    Attributes:
        time_limit: Seconds.
        workers: Threads for solvers that can use several.
        seed: Of the random numbers.
        work_limit: Where given, units of work, each about a second of one core. The same seed and work limit give the
            same plan on every machine with the same versions, unless the time limit ends the search before.

    Raises:
        HcpError: If a limit is not above zero.
    """

    time_limit: float = 60.0
    workers: int = DEFAULT_WORKERS
    seed: int = 0
    work_limit: float | None = None
    # The clock that a search shares with those that are a part of it, where work is counted.
    clock: Clock | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        # NaN is refused as well.
        if not self.time_limit > 0:
            raise HcpError(f"time limit {self.time_limit} is not positive; give seconds, such as 60")
        if self.work_limit is not None and not self.work_limit > 0:
            raise HcpError(f"work limit {self.work_limit} is not positive; give units of work, such as 30")

    def deadline(self, stop: Stop = never) -> Deadline:
        """The deadline of a search that begins now."""
        time = Deadline(self.time_limit, stop)
        if self.work_limit is None:
            return time
        return Deadline(self.work_limit, lambda: time.over, self.clock or WorkClock())

    def part(self, deadline: Deadline, amount: float) -> "Limits":
        """The limits of a search that is a part of one with these, of its time or work.

        Args:
            deadline: Of the whole.
            amount: What the part may take, in the units of the deadline.
        """
        amount = max(amount, LEAST_PART)
        if deadline.counts_work:
            return replace(self, work_limit=amount, clock=deadline.clock)
        return replace(self, time_limit=amount)


@dataclass(frozen=True)
class Progress:
    """What a running planner reports: seconds since its start, costs in the graph's unit, and what it is doing."""

    planner: str
    seconds: float
    incumbent: int | None
    bound: int | None
    phase: str


Monitor = Callable[[Progress], None]


def ignore(*_: object) -> None:
    """Does nothing: the default of callbacks."""


@dataclass(frozen=True)
class Control:
    """What steers a search from outside, and what watches it.

    Attributes:
        stop: Called now and then, from any thread; True ends the search with the best so far.
        monitor: Called with the state of the search now and then.
        incumbent: A schedule to start from; planners never return a worse one.
    """

    stop: Stop = never
    monitor: Monitor = ignore
    incumbent: Schedule | None = None


# Defaults of planners that are called without limits or control.
DEFAULT_LIMITS: Final = Limits()
DEFAULT_CONTROL: Final = Control()
