"""Where the values of a running schedule are: activations at hand, and checkpoints in storage."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hcp.graph.ir import Graph, Value
from hcp.runtime.codec import Content
from hcp.runtime.storage import CheckpointStorage, TierName
from hcp.schedule.actions import Schedule
from hcp.schedule.states import Origin, states


class ActivationRegistry:
    """The values at hand, with their bytes as the graph counts them."""

    def __init__(self) -> None:
        self._contents: dict[str, Any] = {}
        self._bytes: dict[str, int] = {}
        self.held = 0

    def add(self, value: Value, content: Content) -> None:
        """Takes a value in, in place of a former instance."""
        self.held += value.bytes - self._bytes.get(value.name, 0)
        self._contents[value.name] = content
        self._bytes[value.name] = value.bytes

    def get(self, name: str) -> Content:
        """A value at hand."""
        return self._contents[name]

    def drop(self, name: str) -> None:
        """Forgets a value."""
        del self._contents[name]
        self.held -= self._bytes.pop(name)

    def __contains__(self, name: str) -> bool:
        return name in self._contents


@dataclass(frozen=True)
class CheckpointRecord:
    """A checkpoint in storage.

    Attributes:
        value: What it is an instance of.
        tier: Where it is.
        step: The action that produced it, by position in the schedule.
        fetched: How often it has been read.
    """

    value: Value
    tier: TierName
    step: int
    fetched: int = 0


class CheckpointRegistry:
    """The checkpoints of a run in storage.

    Args:
        storage: Keeps the contents, under the names of the values.
        tier: Where new checkpoints go.
    """

    def __init__(self, storage: CheckpointStorage, tier: TierName) -> None:
        self.storage = storage
        self.tier = tier
        self.records: dict[str, CheckpointRecord] = {}

    @property
    def held(self) -> int:
        """Bytes in storage, as the graph counts them."""
        return sum(record.value.bytes for record in self.records.values())

    def add(self, value: Value, content: Content, step: int) -> None:
        """Stores a value, in place of a former instance."""
        self.storage.put(value.name, content, self.tier)
        self.records[value.name] = CheckpointRecord(value, self.tier, step)

    def get(self, name: str) -> Content:
        """A stored value."""
        self._count(name)
        return self.storage.get(name)

    def begin(self, name: str) -> Callable[[], Content]:
        """Begins to read a stored value; what is returned waits for it."""
        self._count(name)
        return self.storage.begin(name)

    def drop(self, name: str) -> None:
        """Deletes a stored value."""
        del self.records[name]
        self.storage.delete(name)

    def clear(self) -> None:
        """Deletes what is left."""
        for name in list(self.records):
            self.drop(name)

    def _count(self, name: str) -> None:
        self.records[name] = replace(self.records[name], fetched=self.records[name].fetched + 1)

    def __contains__(self, name: str) -> bool:
        return name in self.records


def find_checkpoints(graph: Graph, schedule: Schedule) -> frozenset[str]:
    """The values whose first instance a schedule holds while it recomputes others: worth keeping elsewhere meanwhile.

    Resident values are left out, since the caller holds them anyway.
    """
    found: set[str] = set()
    for state in states(graph, schedule):
        if state.again:
            found.update(name for name, origin in state.live.items() if origin is Origin.FIRST)
    return frozenset(found)
