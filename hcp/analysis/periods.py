"""Periodic parts of a sequence: where the same labels come again and again at a fixed distance."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from hcp.graph.cancellation import tick
from hcp.graph.index import IntArray

# Fewer equal parts in a row are no repetition: a part that is there twice is not worth a smaller problem.
LEAST_COPIES: Final = 3
# Shorter patterns come by chance within longer ones; they count for little unless they cover such a part of all.
LEAST_PERIOD: Final = 3
LARGE_PART: Final = 0.125


class Periodic(NamedTuple):
    """A part of a sequence in which a pattern comes several times in a row.

    Attributes:
        start: Its first place.
        period: Length of the pattern.
        copies: How often it comes, whole.
        slack: How many places after it go on with the pattern: it may start so many places later.
    """

    start: int
    period: int
    copies: int
    slack: int = 0

    @property
    def stop(self) -> int:
        """The place after its last one."""
        return self.start + self.period * self.copies


class _Run(NamedTuple):
    """A longest stretch in which every place has the label of the one a period before it."""

    begin: int
    end: int
    period: int


class _Choice(NamedTuple):
    """Some whole copies in a run."""

    end: int
    start: int
    copies: int
    run: _Run


def periodic_parts(labels: IntArray) -> list[Periodic]:
    """Disjoint periodic parts of a sequence, in its order.

    Of all choices of disjoint parts it is one that spares most, where two copies of each pattern are kept.

    Args:
        labels: One number a place; equal places have equal numbers.
    """
    chosen = _heaviest([choice for run in _runs(labels) for choice in _choices(run)], len(labels))
    parts: list[Periodic] = []
    free = 0
    for place, choice in enumerate(chosen):
        after = chosen[place + 1].start if place + 1 < len(chosen) else len(labels)
        begin, end = max(free, choice.run.begin), min(after, choice.run.end)
        copies, slack = divmod(end - begin, choice.run.period)
        parts.append(Periodic(begin, choice.run.period, copies, slack))
        free = end
    return parts


def _runs(labels: IntArray) -> Iterator[_Run]:
    """The runs of several copies, short periods first; multiples of a period are left out where they add nothing."""
    _, numbers = np.unique(labels, return_inverse=True)
    packed = numbers.astype(np.int32)
    seen: set[tuple[int, int]] = set()
    for period in range(1, len(packed) // LEAST_COPIES + 1):
        if period % 64 == 0:
            tick()
        # Wherever copies begin, two multiples of the period in a row and their successors lie within three of them.
        probes = packed[::period]
        equal = probes[1:] == probes[:-1]
        if not (equal[1:] & equal[:-1]).any():
            continue
        breaks = np.flatnonzero(packed[period:] != packed[:-period])
        edges = np.concatenate(([-1], breaks, [len(packed) - period]))
        for gap in np.flatnonzero(np.diff(edges) > (LEAST_COPIES - 1) * period).tolist():
            span = int(edges[gap]) + 1, int(edges[gap + 1]) + period
            if span not in seen:
                seen.add(span)
                yield _Run(*span, period)


def _choices(run: _Run) -> Iterator[_Choice]:
    """All copies of a run, or all but the outer ones, which neighbouring runs may overlap."""
    most = (run.end - run.begin) // run.period
    for left in (0, 1):
        for right in (0, 1):
            copies = most - left - right
            if copies < LEAST_COPIES:
                continue
            # As early as the run allows, and as late.
            for start in {run.begin + left * run.period, run.end - (most - left) * run.period}:
                yield _Choice(start + copies * run.period, start, copies, run)


def _heaviest(choices: Sequence[_Choice], length: int) -> list[_Choice]:
    """Disjoint choices of the greatest weight together: weighted interval scheduling."""
    ordered = sorted(choices, key=lambda choice: (choice.end, choice.run.period))
    ends = [choice.end for choice in ordered]
    best = [0]
    taken: list[int] = []
    for place, choice in enumerate(ordered):
        before = bisect_right(ends, choice.start, 0, place)
        total = best[before] + _weight(choice, length)
        taken.append(before if total > best[-1] else -1)
        best.append(max(total, best[-1]))
    found = []
    place = len(ordered)
    while place:
        place -= 1
        if taken[place] >= 0:
            found.append(ordered[place])
            place = taken[place]
    return found[::-1]


def _weight(choice: _Choice, length: int) -> int:
    period = choice.run.period
    substantial = period >= LEAST_PERIOD or choice.copies * period >= LARGE_PART * length
    # Nothing that is not substantial outweighs what is.
    return (choice.copies + 1 - LEAST_COPIES) * period * (length if substantial else 1)
