"""The link between the device and the memory of its host, over which schedules offload and fetch values.

A schedule's cost is the sum of its executions and transfers, as if nothing were computed while a value moves. Systems
that overlap both (vDNN, Rhu et al. 2016; POET, Patil et al. 2022) are faster: its makespan says how much (``engines``).
"""

from dataclasses import dataclass
from typing import Final

from hcp.graph.errors import HcpError
from hcp.graph.fields import Record
from hcp.graph.ir import LARGEST_TOTAL

# Rates are bytes in so many units of cost: bytes a second where the cost is nanoseconds.
PER: Final = 10**9


@dataclass(frozen=True, slots=True)
class HostLink:
    """What it costs to move a value, and how much the host can hold.

    Attributes:
        offload_rate: Bytes that go to the host in 10^9 units of the graph's cost: bytes a second where that is
            nanoseconds.
        fetch_rate: The same for the way back.
        latency: Cost added to every transfer.
        capacity: Most bytes of copies that the host holds at a time; None for no limit.

    Raises:
        HcpError: If one of them is no whole number, or a rate is zero.
    """

    offload_rate: int
    fetch_rate: int
    latency: int = 0
    capacity: int | None = None

    def __post_init__(self) -> None:
        least = {"offload_rate": 1, "fetch_rate": 1, "latency": 0, "capacity": 0}
        for name, low in least.items():
            amount = getattr(self, name)
            if name == "capacity" and amount is None:
                continue
            if isinstance(amount, bool) or not isinstance(amount, int) or not low <= amount <= LARGEST_TOTAL:
                raise HcpError(f"the host link has {name} {amount!r}; expected a whole number, {low} or more")

    def offload_cost(self, size: int) -> int:
        """Cost of copying so many bytes to the host, rounded up."""
        return self.latency + -(-size * PER // self.offload_rate)

    def fetch_cost(self, size: int) -> int:
        """Cost of copying so many bytes from the host, rounded up."""
        return self.latency + -(-size * PER // self.fetch_rate)

    def round_trip_cost(self, size: int) -> int:
        """Cost of copying so many bytes out once and back once."""
        return self.offload_cost(size) + self.fetch_cost(size)

    def to_dict(self) -> dict[str, int | None]:
        """What a plan file stores."""
        return {
            "offload_rate": self.offload_rate,
            "fetch_rate": self.fetch_rate,
            "latency": self.latency,
            "capacity": self.capacity,
        }

    @classmethod
    def from_record(cls, record: Record) -> "HostLink":
        """What ``to_dict`` wrote.

        Raises:
            HcpError: On anything else.
        """
        capacity = None if record.get("capacity") is None else record.amount("capacity")
        rates = record.amount("offload_rate"), record.amount("fetch_rate")
        return cls(*rates, record.amount("latency"), capacity)
