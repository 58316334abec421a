"""When things happen where something runs beside the computation: copies, and nodes such as collectives.

Memory is taken and given back in the order of the actions, whatever takes how long, so that a schedule's peak is the
same as without engines. An action begins no sooner than the computations before it have ended, and than the memory is
free that actions before it free. So

- a node runs when the one before it has, and when all that it reads has arrived;
- a copy starts at its place in the order, when its engine is done with those before it, and the value is there;
- a fetch takes its memory when it starts, and waits for the copy on the host to be complete;
- a node with an engine starts as a copy does, takes the memory of its outputs then, and whoever reads one waits for it;
- a value goes when it has been read, and no copy of it is under way any longer, nor a node that reads it.

Where the host's memory is limited, an offload waits for the fetches before it after which copies go. Where copies do
not overlap the computation, that waits for each. There is one engine for each way to copy, and one for each name that
nodes have; each does one thing after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

FETCHES: Final = "fetches"
OFFLOADS: Final = "offloads"


class _Until(NamedTuple):
    """When something is done, and what for one would have to wait."""

    time: int
    cause: str


_DONE: Final = _Until(0, "")


@dataclass
class Engines:
    """The clock of a replay.

    Attributes:
        limited: Whether the host's memory is.
        overlap: Whether copies run beside the computation.
        now: When the computation has come to the place of the order that was reached.
        out: When the engine that offloads is done.
        back: When the one that fetches is.
        beside: When those that nodes run on are, by name.
        spans: Start and end of every action so far; of a free, when the memory is there.
        waited: How long the computation has waited for fetches, for offloads, and for nodes on an engine, by its name.
    """

    limited: bool = False
    overlap: bool = True
    now: int = 0
    out: int = 0
    back: int = 0
    beside: dict[str, int] = field(default_factory=dict)
    spans: list[tuple[int, int]] = field(default_factory=list)
    waited: dict[str, int] = field(default_factory=lambda: {FETCHES: 0, OFFLOADS: 0})
    _arrives: dict[str, _Until] = field(default_factory=dict)
    _leaves: dict[str, _Until] = field(default_factory=dict)
    _copied: dict[str, int] = field(default_factory=dict)
    _released: int = 0

    @property
    def makespan(self) -> int:
        """When all is done."""
        return max(self.now, self.out, self.back, *self.beside.values())

    def compute(self, reads: Sequence[str], makes: Sequence[str], cost: int, engine: str = "") -> None:
        """Runs a node, or starts it where it has an engine."""
        if engine:
            self._start(reads, makes, cost, engine)
            return
        self._wait(max((self._arrives.get(name, _DONE) for name in reads), default=_DONE))
        self.spans.append((self.now, self.now + cost))
        self.now += cost
        for name in makes:
            # A fresh instance takes the place of one that may still be under way.
            self._gone(name)

    def offload(self, name: str, cost: int) -> None:
        """Starts a copy to the host."""
        start = max(self.now, self.out, self._there(name), self._released if self.limited else 0)
        self.out = self._copied[name] = start + cost
        self._leaving(name, _Until(self.out, OFFLOADS))
        self._copying(start, self.out)

    def fetch(self, name: str, cost: int, *, last: bool) -> None:
        """Starts a copy from the host; after the last one the copy there goes."""
        start = max(self.now, self.back, self._copied[name])
        self.back = start + cost
        self._arrives[name] = _Until(self.back, FETCHES)
        self._released = max(self._released, self.back) if last else self._released
        self._copying(start, self.back)

    def free(self, name: str) -> None:
        """Drops a value."""
        self._gone(name)
        self.spans.append((self.now, self.now))

    def _start(self, reads: Sequence[str], makes: Sequence[str], cost: int, engine: str) -> None:
        for name in makes:
            self._gone(name)
        start = max([self.now, self.beside.get(engine, 0), *map(self._there, reads)])
        end = _Until(start + cost, engine)
        self.beside[engine] = end.time
        self.spans.append((start, end.time))
        for name in reads:
            self._leaving(name, end)
        for name in makes:
            self._arrives[name] = end

    def _there(self, name: str) -> int:
        return self._arrives.get(name, _DONE).time

    def _leaving(self, name: str, until: _Until) -> None:
        self._leaves[name] = max(until, self._leaves.get(name, _DONE))

    def _copying(self, start: int, end: int) -> None:
        self.spans.append((start, end))
        self.now = self.now if self.overlap else end

    def _gone(self, name: str) -> None:
        self._wait(self._arrives.pop(name, _DONE))
        self._wait(self._leaves.pop(name, _DONE))

    def _wait(self, until: _Until) -> None:
        if until.time > self.now:
            self.waited[until.cause] = self.waited.get(until.cause, 0) + until.time - self.now
            self.now = until.time
