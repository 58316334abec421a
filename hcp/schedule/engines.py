"""When things happen where copies overlap the computation: one engine for each way, each copy in its turn.

Memory is taken and given back in the order of the actions, whatever takes how long, so that a schedule's peak is the
same as without engines. An action begins no sooner than the computations before it have ended, and than the memory is
free that actions before it free. So

- a node runs when the one before it has, and when all that it reads has arrived;
- a copy starts at its place in the order, when its engine is done with those before it, and the value is there;
- a fetch takes its memory when it starts, and waits for the copy on the host to be complete;
- a value goes when it has been read and no copy of it is under way any longer.

Where the host's memory is limited, an offload waits for the fetches before it after which copies go. Where copies do
not overlap the computation, that waits for each.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

FETCHES: Final = "fetches"
OFFLOADS: Final = "offloads"


@dataclass
class Engines:
    """The clock of a replay.

    Attributes:
        limited: Whether the host's memory is.
        overlap: Whether copies run beside the computation.
        now: When the computation has come to the place of the order that was reached.
        out: When the engine that offloads is done.
        back: When the one that fetches is.
        spans: Start and end of every action so far; of a free, when the memory is there.
        waited: How long the computation has waited for fetches, and for offloads.
    """

    limited: bool = False
    overlap: bool = True
    now: int = 0
    out: int = 0
    back: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)
    waited: dict[str, int] = field(default_factory=lambda: {FETCHES: 0, OFFLOADS: 0})
    _arrives: dict[str, int] = field(default_factory=dict)
    _leaves: dict[str, int] = field(default_factory=dict)
    _copied: dict[str, int] = field(default_factory=dict)
    _released: int = 0

    @property
    def makespan(self) -> int:
        """When all is done."""
        return max(self.now, self.out, self.back)

    def compute(self, reads: Iterable[str], makes: Iterable[str], cost: int) -> None:
        """Runs a node."""
        self._wait(max((self._arrives.get(name, 0) for name in reads), default=0), FETCHES)
        self.spans.append((self.now, self.now + cost))
        self.now += cost
        for name in makes:
            # A fresh instance takes the place of one that may still be under way.
            self._gone(name)

    def offload(self, name: str, cost: int) -> None:
        """Starts a copy to the host."""
        start = max(self.now, self.out, self._arrives.get(name, 0), self._released if self.limited else 0)
        self.out = self._leaves[name] = self._copied[name] = start + cost
        self._copying(start, self.out)

    def fetch(self, name: str, cost: int, *, last: bool) -> None:
        """Starts a copy from the host; after the last one the copy there goes."""
        start = max(self.now, self.back, self._copied[name])
        self.back = self._arrives[name] = start + cost
        self._released = max(self._released, self.back) if last else self._released
        self._copying(start, self.back)

    def free(self, name: str) -> None:
        """Drops a value."""
        self._gone(name)
        self.spans.append((self.now, self.now))

    def _copying(self, start: int, end: int) -> None:
        self.spans.append((start, end))
        self.now = self.now if self.overlap else end

    def _gone(self, name: str) -> None:
        self._wait(self._arrives.pop(name, 0), FETCHES)
        self._wait(self._leaves.pop(name, 0), OFFLOADS)

    def _wait(self, until: int, cause: str) -> None:
        self.waited[cause] += max(0, until - self.now)
        self.now = max(self.now, until)
