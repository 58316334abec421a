"""The dynamic programme over lower sets; the definitions are in ``lower_sets``."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hcp.graph.cancellation import tick

_Int64 = NDArray[np.int64]

_NEVER: Final = 2**61


@dataclass(frozen=True)
class Forward:
    """A forward pass. Sets of nodes are the bits of Python integers.

    Attributes:
        reads: Per node, the nodes it depends on, all of them earlier.
        time: Per node, to compute it.
        memory: Per node, of its output.
    """

    reads: tuple[tuple[int, ...], ...]
    time: tuple[int, ...]
    memory: tuple[int, ...]

    @property
    def n(self) -> int:
        """Number of nodes."""
        return len(self.reads)

    @cached_property
    def readers(self) -> tuple[int, ...]:
        """Per node, the set of nodes that depend on it directly."""
        found = [0] * self.n
        for v, row in enumerate(self.reads):
            for u in row:
                found[u] |= 1 << v
        return tuple(found)

    def boundary(self, lower: int) -> int:
        """The nodes of a lower set with a reader outside it."""
        return sum(1 << v for v in members(lower) if self.readers[v] & ~lower)

    def total(self, amounts: Sequence[int], nodes: int) -> int:
        """Sum of an amount over a set of nodes."""
        return sum(amounts[v] for v in members(nodes))

    def outside(self, lower: int) -> int:
        """Memory that the readers of a lower set need outside it: their gradients, and the values that they read."""
        readers = 0
        for v in members(lower):
            readers |= self.readers[v]
        readers &= ~lower
        read = 0
        for v in members(readers):
            for u in self.reads[v]:
                read |= 1 << u
        return self.total(self.memory, readers) + self.total(self.memory, read & ~lower)

    def overhead(self, sequence: Sequence[int]) -> int:
        """Time that the canonical strategy of a sequence of lower sets computes again."""
        kept = 0
        for lower in sequence:
            kept |= self.boundary(lower)
        return self.total(self.time, sequence[-1] & ~kept)

    def peak(self, sequence: Sequence[int]) -> int:
        """Memory of the canonical strategy of a sequence of lower sets."""
        kept, before, most = 0, 0, 0
        for lower in sequence:
            segment = 2 * self.total(self.memory, lower & ~before)
            most = max(most, self.total(self.memory, kept) + segment + self.outside(lower))
            kept |= self.boundary(lower)
            before = lower
        return most


class _Ends(NamedTuple):
    """The ways to end a segment with one lower set; one entry each.

    Attributes:
        before: The lower set that the sequence had reached, an index into the family; -1 for the empty one.
        needed: Memory in addition to what is cached.
        again: Units of time computed again.
        kept: Memory newly cached.
    """

    before: _Int64
    needed: _Int64
    again: _Int64
    kept: _Int64


class LowerSetProgramme:
    """Sequences of least overhead within a memory limit, over a family of lower sets.

    Attributes:
        limits: A limit that no sequence can be below, and one that every sequence meets.
    """

    def __init__(self, forward: Forward, family: Sequence[int], levels: int) -> None:
        self.forward = forward
        everything = (1 << forward.n) - 1
        self.family = sorted({*family, everything} - {0}, key=lambda lower: (lower.bit_count(), lower))
        unit = max(1, -(-sum(forward.time) // levels))
        self._time = [-(-time // unit) for time in forward.time]
        self._levels = sum(self._time) + 1
        self._totals = [(forward.total(forward.memory, s), forward.total(self._time, s)) for s in self.family]
        self._ends = [self._ends_at(i) for i in range(len(self.family))]
        self.limits = (min(int(ends.needed.min()) for ends in self._ends), 5 * sum(forward.memory))

    def solve(self, limit: int) -> tuple[int, ...] | None:
        """The sequence of lower sets of least overhead whose memory is within a limit, or None.

        For each lower set and each overhead, the programme keeps the least memory of the cache: what a segment needs
        grows with the cache alone.
        """
        clock = np.arange(self._levels)
        # The last row is the empty lower set's, which index -1 finds.
        cached = np.full((len(self.family) + 1, self._levels), _NEVER, np.int64)
        cached[-1, 0] = 0
        origin = np.empty((len(self.family), self._levels), np.int64)
        for i, ends in enumerate(self._ends):
            tick()
            rows = cached[ends.before]
            reached = np.where(rows + ends.needed[:, None] <= limit, rows + ends.kept[:, None], _NEVER)
            earlier = clock - ends.again[:, None]
            shifted = np.where(earlier >= 0, np.take_along_axis(reached, np.maximum(earlier, 0), axis=1), _NEVER)
            best = shifted.argmin(axis=0)
            cached[i] = np.minimum(shifted[best, clock], _NEVER)
            origin[i] = best
        times = np.flatnonzero(cached[len(self.family) - 1] < _NEVER)
        return self._traced(origin, int(times[0])) if len(times) else None

    def _traced(self, origin: _Int64, time: int) -> tuple[int, ...]:
        found = []
        at = len(self.family) - 1
        while at >= 0:
            found.append(self.family[at])
            end = int(origin[at, time])
            time -= int(self._ends[at].again[end])
            at = int(self._ends[at].before[end])
        return tuple(found[::-1])

    def _ends_at(self, i: int) -> _Ends:
        tick()
        forward, lower = self.forward, self.family[i]
        memory, time = self._totals[i]
        boundary, outside = forward.boundary(lower), forward.outside(lower)
        ends = []
        for j in range(-1, i):
            before = self.family[j] if j >= 0 else 0
            if before & ~lower:
                continue
            # What of the boundary is older is in the boundary of the set before, and cached already.
            fresh = boundary & ~before
            made = memory - self._totals[j][0] if j >= 0 else memory
            spent = time - self._totals[j][1] if j >= 0 else time
            kept, kept_time = forward.total(forward.memory, fresh), forward.total(self._time, fresh)
            ends.append((j, 2 * made + outside, spent - kept_time, kept))
        return _Ends(*(np.array(column, np.int64) for column in zip(*ends, strict=True)))


def every_lower_set(forward: Forward, most: int | None) -> list[int] | None:
    """All lower sets but the empty one; None where there are more than ``most``."""
    needs = [sum(1 << u for u in row) for row in forward.reads]
    found = {0}
    queue = [0]
    while queue:
        tick()
        lower = queue.pop()
        for v in range(forward.n):
            larger = lower | 1 << v
            if larger not in found and not needs[v] & ~lower:
                found.add(larger)
                queue.append(larger)
                if most is not None and len(found) > most + 1:
                    return None
    return list(found - {0})


def ancestor_sets(forward: Forward) -> list[int]:
    """One lower set a node: the node and all it depends on."""
    found: list[int] = []
    for v, row in enumerate(forward.reads):
        tick()
        lower = 1 << v
        for u in row:
            lower |= found[u]
        found.append(lower)
    return found


def members(nodes: int) -> Iterator[int]:
    """The nodes of a set, in increasing order."""
    # Over the digits, since each operation on the number itself goes through all of it.
    digits = bin(nodes)[:1:-1]
    v = digits.find("1")
    while v >= 0:
        yield v
        v = digits.find("1", v + 1)
