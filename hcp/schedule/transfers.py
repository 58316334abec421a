"""What a schedule keeps on the host, followed while it is replayed."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from hcp.graph.ir import Node, Value
from hcp.schedule.actions import Fetch, Offload, Schedule, ScheduleError
from hcp.schedule.engines import Engines
from hcp.schedule.host import HostLink


def copy_ends(schedule: Schedule) -> frozenset[int]:
    """Positions of the fetches after which a copy goes, and of the offloads of which nothing is fetched."""
    ends: set[int] = set()
    awaited: set[str] = set()
    for position in range(len(schedule.actions) - 1, -1, -1):
        action = schedule.actions[position]
        if isinstance(action, Fetch | Offload) and action.value not in awaited:
            ends.add(position)
        if isinstance(action, Fetch):
            awaited.add(action.value)
        elif isinstance(action, Offload):
            awaited.discard(action.value)
    return frozenset(ends)


@dataclass
class HostCopies:
    """Copies on the host: each stays from its offload to the last fetch before its value is offloaded again.

    Attributes:
        link: What transfers cost; None where there is no host.
        ends: See ``copy_ends``.
        held: Bytes of the copies now.
        peak: Most bytes of copies at any time.
        moved: Bytes moved, in both directions together.
        cost: Of all transfers.
        engines: When each of them, and each computation, happens; None where all is done in the computation's turn.
    """

    link: HostLink | None
    ends: frozenset[int]
    held: int = 0
    peak: int = 0
    moved: int = 0
    cost: int = 0
    engines: Engines | None = None
    _copies: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, schedule: Schedule, link: HostLink | None, engines: Iterable[str] = ()) -> "HostCopies":
        """No copies yet, for a schedule of a graph with these engines."""
        if link is None:
            return cls(None, frozenset(), engines=Engines() if engines else None)
        return cls(link, copy_ends(schedule), engines=Engines(link.capacity is not None, link.overlap))

    def compute(self, node: Node) -> None:
        """Takes note of a computation, beside which copies may go on."""
        if self.engines is not None:
            self.engines.compute(node.inputs, [value.name for value in node.outputs], node.cost, node.engine)

    def free(self, value: Value) -> None:
        """Takes note that a value goes."""
        if self.engines is not None:
            self.engines.free(value.name)

    def offload(self, position: int, value: Value) -> None:
        """Takes a copy of a live value.

        Raises:
            ScheduleError: If there is no host, or not enough of it.
        """
        link = self._link(position)
        self.moved += value.bytes
        self.cost += link.offload_cost(value.bytes)
        self._engines.offload(value.name, link.offload_cost(value.bytes))
        self.held += value.bytes
        self.peak = max(self.peak, self.held)
        if link.capacity is not None and self.held > link.capacity:
            raise ScheduleError(
                f"step {position} offloads value {value.name!r}, with which the host holds {self.held} bytes, over its "
                f"capacity of {link.capacity}; offload less, or raise the capacity"
            )
        if position in self.ends:
            self.held -= value.bytes
        else:
            self._copies.add(value.name)

    def fetch(self, position: int, value: Value) -> None:
        """Brings a copy back to the device.

        Raises:
            ScheduleError: If there is none.
        """
        link = self._link(position)
        if value.name not in self._copies:
            raise ScheduleError(
                f"step {position} fetches value {value.name!r}, of which the host has no copy; offload it before"
            )
        self.moved += value.bytes
        self.cost += link.fetch_cost(value.bytes)
        self._engines.fetch(value.name, link.fetch_cost(value.bytes), last=position in self.ends)
        if position in self.ends:
            self.held -= value.bytes
            self._copies.discard(value.name)

    @property
    def _engines(self) -> Engines:
        assert self.engines is not None
        return self.engines

    def _link(self, position: int) -> HostLink:
        if self.link is None:
            raise ScheduleError(
                f"step {position} moves a value between device and host, but there is no host link; replay with the "
                "link that the schedule was made for"
            )
        return self.link
