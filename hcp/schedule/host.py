"""The link between the device and the memory of its host, over which schedules offload and fetch values.

Where copies overlap the computation, as in vDNN (Rhu et al. 2016) and POET (Patil et al. 2022), a schedule takes its
makespan (``engines``); where they do not, the sum of its executions and transfers.
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
        overlap: Whether copies run beside the computation, one engine for each way; else everything waits its turn.

    Raises:
        HcpError: If one of them is no whole number, or a rate is zero.
    """

    offload_rate: int
    fetch_rate: int
    latency: int = 0
    capacity: int | None = None
    overlap: bool = False

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

    def priced(self, factor: float) -> "HostLink":
        """A link without overlap whose copies cost so many times as much."""
        out, back = (max(1, min(LARGEST_TOTAL, round(rate / factor))) for rate in (self.offload_rate, self.fetch_rate))
        return HostLink(out, back, round(self.latency * factor), self.capacity)

    def to_dict(self) -> dict[str, int | bool | None]:
        """What a plan file stores; of links without overlap, what it stored before there were others."""
        return {
            "offload_rate": self.offload_rate,
            "fetch_rate": self.fetch_rate,
            "latency": self.latency,
            "capacity": self.capacity,
            **({"overlap": True} if self.overlap else {}),
        }

    @classmethod
    def from_record(cls, record: Record) -> "HostLink":
        """What ``to_dict`` wrote.

        Raises:
            HcpError: On anything else.
        """
        capacity = None if record.get("capacity") is None else record.amount("capacity")
        rates = record.amount("offload_rate"), record.amount("fetch_rate")
        return cls(*rates, record.amount("latency"), capacity, record.flag("overlap", default=False))
