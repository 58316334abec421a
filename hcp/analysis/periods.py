"""Periodic parts of a sequence: where the same labels come again and again at a fixed distance."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from hcp.graph.cancellation import tick
from hcp.graph.index import IntArray

# Fewer equal parts in a row are no repetition: a part that is there twice is not worth a smaller problem.
LEAST_COPIES: Final = 3


class Periodic(NamedTuple):
    """A part of a sequence in which a pattern comes several times in a row.

    Attributes:
        start: Its first place.
        period: Length of the pattern.
        copies: How often it comes, whole.
    """

    start: int
    period: int
    copies: int

    @property
    def stop(self) -> int:
        """The place after its last one."""
        return self.start + self.period * self.copies


def periodic_parts(labels: IntArray, least: int) -> list[Periodic]:
    """Disjoint periodic parts of a sequence, in its order.

    The part that covers most comes first, of several periods the smallest; then the same on either side of it.

    Args:
        labels: One number a place; equal places have equal numbers.
        least: Parts that cover less are left out.
    """
    found: list[Periodic] = []
    waiting = [(0, len(labels))]
    while waiting:
        begin, end = waiting.pop()
        part = _longest(labels[begin:end]) if end - begin >= least else None
        if part is None or part.period * part.copies < least:
            continue
        part = part._replace(start=begin + part.start)
        found.append(part)
        waiting += [(begin, part.start), (part.stop, end)]
    return sorted(found)


def _longest(labels: IntArray) -> Periodic | None:
    """The periodic part that covers most."""
    best: Periodic | None = None
    covered = 0
    for period, equal in _equal_at_distance(labels, LEAST_COPIES):
        # A stretch of r places that equal those a period later holds r + period places, so r // period + 1 copies.
        if int(equal.sum()) + period <= covered:
            continue
        edges = np.flatnonzero(np.diff(np.concatenate(([0], equal.view(np.int8), [0]))))
        starts, lengths = edges[::2], edges[1::2] - edges[::2]
        if not len(starts):
            continue
        longest = int(lengths.argmax())
        copies = int(lengths[longest]) // period + 1
        if copies >= LEAST_COPIES and copies * period > covered:
            best, covered = Periodic(int(starts[longest]), period, copies), copies * period
    return best


def _equal_at_distance(labels: IntArray, copies: int) -> Iterator[tuple[int, np.ndarray]]:
    """For every distance at which so many copies fit: which places equal those at that distance after them."""
    for period in range(1, len(labels) // copies + 1):
        if period % 64 == 0:
            tick()
        yield period, labels[:-period] == labels[period:]
