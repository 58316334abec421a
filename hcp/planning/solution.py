"""What a planner returns: statuses, bounds and solutions."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.schedule.actions import Schedule
from hcp.schedule.scopes import ORDER_FREE

# What a search says that was asked to stop, or that its limit ended in the middle of something.
INTERRUPTED: Final = "stopped by the user; this is the best found until then"
TIMED_OUT: Final = "stopped at the limit of time or work"


def meets(cost: int | None, bound: int) -> bool:
    """Whether a cost is the least that a bound allows: integers decide, without any tolerance."""
    return cost is not None and cost <= bound


class Status(Enum):
    """What a planner found; ``remedy`` says what a user can do about it."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    NO_SOLUTION = "no solution"

    @property
    def remedy(self) -> str:
        """What a user can do next."""
        return {
            Status.OPTIMAL: "no schedule within the bound's scope costs less",
            Status.FEASIBLE: "raise the time limit, or use solver 'auto' or 'cpsat', to close the gap",
            Status.INFEASIBLE: "raise the budget: no schedule can meet it",
            Status.NO_SOLUTION: "raise the time limit or the budget, or try another solver: 'auto' tries several",
        }[self]


Quantity = Literal["cost", "peak"]


class Certificate(Protocol):
    """Evidence for a bound that can be checked without a solver."""

    @property
    def of(self) -> Quantity:
        """What it bounds."""
        ...

    @property
    def scope(self) -> str:
        """Of which schedules it speaks."""
        ...

    def proven(self, graph: Graph, budget: int) -> int:
        """The bound that this evidence proves, recomputed in exact integer arithmetic."""
        ...

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores; ``kind`` says which class reads it."""
        ...


@dataclass(frozen=True)
class Bound:
    """A lower bound.

    Attributes:
        value: No schedule of the scope has less.
        of: What is bounded: ``"cost"`` as ``Plan.cost`` defines it, or ``"peak"`` where the smallest possible peak is.
        scope: ``"order-free"`` (every schedule), ``"fixed-order"``, or ``"fixed-order, <= C computations"``.
        certificate: Evidence that can be checked; None where a solver claims the bound.
        source: The argument or solver that it comes from.

    Raises:
        HcpError: If the certificate is about something else.
    """

    value: int
    of: Quantity
    scope: str
    certificate: Certificate | None = None
    source: str = ""

    def __post_init__(self) -> None:
        proof = self.certificate
        if proof is not None and (proof.of != self.of or proof.scope not in (self.scope, ORDER_FREE)):
            raise HcpError(
                f"a bound on the {self.of} of {self.scope} schedules has a certificate for the {proof.of} of "
                f"{proof.scope} ones; give it its own"
            )


@dataclass(frozen=True)
class TracePoint:
    """The state of a search at one time; costs in the graph's unit."""

    seconds: float
    incumbent: int | None
    bound: int | None


@dataclass(frozen=True)
class Solution:
    """What a planner returns, before ``replay`` has judged it.

    Attributes:
        schedule: The best schedule found, if any.
        status: See ``Status``.
        bounds: Lower bounds found on the way.
        planner: Name of the planner.
        seconds: Wall time.
        trace: Incumbent and bound over time.
        note: Anything a user should know, such as the proof of infeasibility.
        interrupted: Whether the search was asked to stop.
    """

    schedule: Schedule | None
    status: Status
    bounds: tuple[Bound, ...] = ()
    planner: str = ""
    seconds: float = 0.0
    trace: tuple[TracePoint, ...] = ()
    note: str = ""
    interrupted: bool = False
