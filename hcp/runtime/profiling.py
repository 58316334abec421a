"""What a run did: durations of events, bytes held, recomputed cost; and the same as a Chrome trace."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, Literal

from hcp.graph.files import write_atomically

Category = Literal["compute", "recompute", "store", "fetch"]


@dataclass(frozen=True)
class Event:
    """Something that took time.

    Attributes:
        name: The node or the value.
        category: What was done with it.
        start_ns, duration_ns: On the profiler's clock.
        cost: Of the node, in the graph's cost unit; 0 for values.
    """

    name: str
    category: Category
    start_ns: int
    duration_ns: int
    cost: int = 0


@dataclass(frozen=True)
class Sample:
    """Bytes held at one time, as the graph counts them, at hand and in storage."""

    time_ns: int
    held: int
    stored: int


@dataclass(frozen=True)
class Profile:
    """The record of one run.

    Attributes:
        events: In the order in which they ended.
        samples: Bytes while each node ran, and after each action.
        cost_unit: What costs count.
    """

    events: tuple[Event, ...]
    samples: tuple[Sample, ...]
    cost_unit: str = "ns"

    @property
    def peak_bytes(self) -> int:
        """Most bytes at hand at any time."""
        return max((sample.held for sample in self.samples), default=0)

    @property
    def peak_stored_bytes(self) -> int:
        """Most bytes in storage at any time."""
        return max((sample.stored for sample in self.samples), default=0)

    @property
    def recomputed_cost(self) -> int:
        """Cost of all runs after the first of each node, in the graph's unit: nanoseconds or flops as planned."""
        return sum(event.cost for event in self.events if event.category == "recompute")

    @property
    def recomputed_ns(self) -> int:
        """Time that recomputation took."""
        return self.durations["recompute"]

    @property
    def recomputed(self) -> Mapping[str, int]:
        """Extra runs of each node that ran more than once."""
        return Counter(event.name for event in self.events if event.category == "recompute")

    @property
    def durations(self) -> Mapping[str, int]:
        """Nanoseconds by category; 0 for those that did not occur."""
        total: Counter[str] = Counter()
        for event in self.events:
            total[event.category] += event.duration_ns
        return total

    def chrome_trace(self) -> dict[str, Any]:
        """The object that chrome://tracing and Perfetto load: complete events, and counters of bytes."""
        micro = 1000
        lanes = {"compute": 1, "recompute": 1, "store": 2, "fetch": 2}
        spans = [
            {
                "name": event.name,
                "cat": event.category,
                "ph": "X",
                "ts": event.start_ns / micro,
                "dur": event.duration_ns / micro,
                "pid": 1,
                "tid": lanes[event.category],
                "args": {f"cost ({self.cost_unit})": event.cost},
            }
            for event in self.events
        ]
        counters = [
            {
                "name": "bytes",
                "ph": "C",
                "ts": sample.time_ns / micro,
                "pid": 1,
                "args": {"at hand": sample.held, "stored": sample.stored},
            }
            for sample in self.samples
        ]
        return {"traceEvents": [*spans, *counters], "displayTimeUnit": "ms"}

    def save_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Writes the trace; the file is whole or not there.

        Raises:
            HcpError: If it cannot be written there.
        """
        write_atomically(path, json.dumps(self.chrome_trace()) + "\n")


@dataclass
class Profiler:
    """Collects events and samples while a run goes on.

    Attributes:
        clock: Nanoseconds since some start.
    """

    clock: Callable[[], int] = perf_counter_ns
    _events: list[Event] = field(default_factory=list)
    _samples: list[Sample] = field(default_factory=list)

    @contextmanager
    def event(self, name: str, category: Category, cost: int = 0) -> Iterator[None]:
        """Times what happens inside; what raises leaves no event."""
        start = self.clock()
        yield
        self._events.append(Event(name, category, start, self.clock() - start, cost))

    def sample(self, held: int, stored: int) -> None:
        """Notes how much is held now."""
        self._samples.append(Sample(self.clock(), held, stored))

    def profile(self, cost_unit: str) -> Profile:
        """What was collected so far."""
        return Profile(tuple(self._events), tuple(self._samples), cost_unit)
