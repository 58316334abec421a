"""What a planner is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.schedule.actions import Schedule
from hcp.schedule.host import HostLink
from hcp.schedule.scopes import FIXED_ORDER, ORDER_FREE

# As many searches as CP-SAT has that help each other.
DEFAULT_WORKERS: Final = 8


class InfeasibleBudget(HcpError):
    """No schedule meets the budget; the message gives the proof and the smallest budget known to work."""


class NotApplicable(HcpError):
    """A planner does not fit the graph; the message says what it needs."""


@dataclass(frozen=True)
class Progress:
    """What a running planner reports: seconds since its start, costs in the graph's unit, and what it is doing."""

    planner: str
    seconds: float
    incumbent: int | None
    bound: int | None
    phase: str


Monitor = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """The monitor that shows nothing."""


@dataclass(frozen=True)
class Problem:
    """What a planner has to solve.

    Attributes:
        graph: The computation.
        budget: Most bytes that may be held at any time.
        order: Where given, first executions must follow it; None leaves the order free.
        time_limit: Seconds.
        workers: Threads for solvers that have a choice.
        seed: For planners that draw random numbers.
        incumbent: A schedule to start from; planners never return a worse one.
        monitor: Called with the state of the search now and then.
        host: Where given, schedules may offload and fetch. Planners that only recompute take no problem with one.
    """

    graph: Graph
    budget: int
    order: tuple[str, ...] | None = None
    time_limit: float = 60.0
    workers: int = DEFAULT_WORKERS
    seed: int = 0
    incumbent: Schedule | None = None
    monitor: Monitor = field(default=silent, compare=False)
    host: HostLink | None = None

    @property
    def given_order(self) -> tuple[str, ...]:
        """The order that order-bound planners follow: the problem's, else the graph's own."""
        return self.graph.order if self.order is None else self.order

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of bounds that hold for every schedule of the problem; the last is the problem's own."""
        return (ORDER_FREE,) if self.order is None else (ORDER_FREE, FIXED_ORDER)
