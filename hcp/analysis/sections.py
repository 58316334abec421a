"""Which periodic parts of an order belong together: forward and backward, casts, updates of the same layers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from hcp.analysis.periods import LEAST_COPIES, Periodic
from hcp.analysis.stacks import OUTSIDE, Section, Stack
from hcp.graph.index import GraphIndex, IntArray

# Parts belong to one stack where at most this many copies of the larger one have no partner, as a part of them.
MOST_UNPAIRED: Final = 0.34
# Parts pair where so many copies of the smaller one have partners.
LEAST_PAIRED: Final = 0.5
# A part is cut where its partners end, if their pattern is so long as a part of its own.
LEAST_CUTTER: Final = 0.125
MOST_CUTS: Final = 4


class _Link(NamedTuple):
    """How the copies of one part pair with those of another: copy c with copy ``step * c + shift`` of the other."""

    step: int
    shift: int

    def inverse(self) -> "_Link":
        """From the other part to the one."""
        return _Link(self.step, -self.step * self.shift)

    def then(self, other: "_Link") -> "_Link":
        """From the one to where another leads."""
        return _Link(self.step * other.step, other.step * self.shift + other.shift)

    def image(self, part: Periodic) -> tuple[int, int]:
        """The least and the greatest copy that a part's copies pair with."""
        low, high = sorted((self.shift, self.step * (part.copies - 1) + self.shift))
        return low, high


class _Pair(NamedTuple):
    """Two parts between which values go.

    Attributes:
        copies: How many copies of the one have partners.
        range: The first of these and the last.
        partners: How many copies of the other have.
        link: From the other part to the one, where enough copies pair one by one.
    """

    copies: int
    range: tuple[int, int]
    partners: int
    link: _Link | None


# Per part, and per other part that it reads or that reads it.
_Pairs = dict[int, dict[int, _Pair]]


def stacks_of_parts(index: GraphIndex, parts: Sequence[Periodic]) -> list[Stack]:
    """Stacks made of parts whose copies pair, the one with most nodes first; layers are not compared yet."""
    edges = _Edges.of(index)
    found = [edges.phased(part) for part in parts]
    pairs = edges.pairs(found)
    for _ in range(MOST_CUTS):
        pieces = [piece for number in range(len(found)) for piece in _cut(found, number, pairs.get(number, {}))]
        if pieces == found:
            break
        found = pieces
        pairs = edges.pairs(found)
    return list(_joined(found, pairs))


@dataclass(frozen=True)
class _Edges:
    """What reads what, as places in the order.

    Attributes:
        makers, readers: One each per edge.
        length: Of the order.
    """

    makers: IntArray
    readers: IntArray
    length: int

    @classmethod
    def of(cls, index: GraphIndex) -> "_Edges":
        counts = [len(row) for row in index.predecessors]
        makers = np.fromiter((maker for row in index.predecessors for maker in row), np.int64, sum(counts))
        return cls(index.position[makers], index.position[np.repeat(np.arange(index.n), counts)], index.n)

    def phased(self, part: Periodic) -> Periodic:
        """A part whose copies begin where least passes from one to the next, as far as its slack allows."""
        end = part.stop + part.slack
        inside = (self.makers >= part.start) & (self.readers < end)
        makers, last = self.makers[inside] - part.start, self.readers[inside] - part.start
        latest = np.zeros(end - part.start, np.int64)
        np.maximum.at(latest, makers, last)
        made = np.flatnonzero(latest)
        # A value passes every border after its maker up to its last reader.
        change = (
            np.bincount(made + 1, minlength=len(latest) + 1)
            - np.bincount(latest[made] + 1, minlength=len(latest) + 2)[: len(latest) + 1]
        )
        passing = np.cumsum(change)
        borders = part.period * np.arange(1, part.copies)
        counts = [int(passing[borders].sum())]
        for phase in range(part.slack):
            # What is made before the first copy does not pass from copy to copy.
            passing[phase + 1 : latest[phase] + 1] -= 1
            counts.append(int(passing[borders + phase + 1].sum()))
        return part._replace(start=part.start + int(np.argmin(counts)), slack=0)

    def pairs(self, parts: Sequence[Periodic]) -> _Pairs:
        """The parts between which values go, with how their copies pair."""
        part_of, copy_of = np.full(self.length, OUTSIDE), np.zeros(self.length, np.int64)
        for number, part in enumerate(parts):
            part_of[part.start : part.stop] = number
            copy_of[part.start : part.stop] = np.arange(part.stop - part.start) // part.period
        a, b = part_of[self.makers], part_of[self.readers]
        between = (a >= 0) & (b >= 0) & (a != b)
        rows = np.stack((a, b, copy_of[self.makers], copy_of[self.readers]))[:, between].T
        rows = np.unique(rows, axis=0)
        borders = np.flatnonzero(np.any(np.diff(rows[:, :2], axis=0), axis=1)) + 1
        found: _Pairs = {}
        for begin, end in pairwise([0, *borders.tolist(), len(rows)]):
            if begin < end:
                one, other = (int(part) for part in rows[begin, :2])
                makers, readers = rows[begin:end, 2], rows[begin:end, 3]
                link = _most_common(makers, readers, min(parts[one].copies, parts[other].copies))
                found.setdefault(one, {})[other] = _pair(makers, readers, link)
                found.setdefault(other, {})[one] = _pair(readers, makers, link and link.inverse())
        return found


def _pair(ones: IntArray, others: IntArray, link: _Link | None) -> _Pair:
    return _Pair(len(np.unique(ones)), (int(ones.min()), int(ones.max())), len(np.unique(others)), link)


def _most_common(makers: IntArray, readers: IntArray, copies: int) -> _Link | None:
    """The link from the readers' copies to the makers' that holds for most pairs, if for enough of so many."""
    shifts, alike = np.unique(readers - makers, return_counts=True)
    totals, turned = np.unique(readers + makers, return_counts=True)
    if max(alike.max(), turned.max()) < max(LEAST_COPIES, LEAST_PAIRED * copies):
        return None
    if alike.max() >= turned.max():
        return _Link(1, -int(shifts[alike.argmax()]))
    return _Link(-1, int(totals[turned.argmax()]))


def _cut(parts: Sequence[Periodic], number: int, pairs: dict[int, _Pair]) -> list[Periodic]:
    """A part as it is, or cut to what its partners pair with.

    Where several of its copies belong to one of a partner, as many make one. Where a partner has far fewer copies,
    there is a layer that is no copy in all sections, and the part is cut there.
    """
    part = parts[number]
    for other, pair in sorted(pairs.items(), key=lambda item: -parts[item[0]].period * parts[item[0]].copies):
        partner = parts[other]
        merged = max(1, round(pair.copies / pair.partners))
        if partner.period < LEAST_CUTTER * part.period * merged:
            continue
        if merged > 1 and pair.partners >= max(LEAST_COPIES, LEAST_PAIRED * partner.copies):
            low, high = pair.range
        elif pair.link is not None and not _alike(part.copies, partner.copies):
            low, high = pair.link.image(partner)
            merged = 1
        else:
            continue
        low, end = max(low, 0), min(high + 1, part.copies)
        if merged > 1 or low > 0 or end < part.copies:
            return [*_piece(part, 0, low, 1), *_piece(part, low, end, merged), *_piece(part, end, part.copies, 1)]
    return [part]


def _piece(part: Periodic, begin: int, end: int, merged: int) -> list[Periodic]:
    """The copies begin .. end - 1 of a part, several of them together; none where these are too few."""
    copies = (end - begin) // merged
    if copies < LEAST_COPIES:
        return []
    return [Periodic(part.start + begin * part.period, part.period * merged, copies)]


def _alike(few: int, many: int) -> bool:
    return abs(many - few) <= MOST_UNPAIRED * max(few, many)


def _joined(parts: Sequence[Periodic], pairs: _Pairs) -> Iterator[Stack]:
    """Stacks of parts that pair, as many as leave each stack most of its layers; large parts are asked first."""
    order = sorted(range(len(parts)), key=lambda part: -parts[part].period * parts[part].copies)
    rank = {part: place for place, part in enumerate(order)}
    taken: set[int] = set()
    for root in order:
        if root in taken:
            continue
        member = {root: _Link(1, 0)}
        low, high = 0, parts[root].copies - 1
        waiting = [root]
        while waiting:
            here = waiting.pop(0)
            for other, pair in sorted(pairs.get(here, {}).items(), key=lambda item: rank[item[0]]):
                if pair.link is None or other in member or other in taken:
                    continue
                link = pair.link.then(member[here])
                first, last = link.image(parts[other])
                both = min(high, last) - max(low, first) + 1
                if both >= LEAST_COPIES and _alike(both, max(parts[root].copies, parts[other].copies)):
                    member[other] = link
                    low, high = max(low, first), min(high, last)
                    waiting.append(other)
        taken |= set(member)
        yield _stack([(parts[part], member[part]) for part in sorted(member)], low, high)


def _stack(members: Sequence[tuple[Periodic, _Link]], low: int, high: int) -> Stack:
    """The layers low .. high, which all parts have."""
    sections = []
    for part, link in members:
        skipped = low - link.shift if link.step > 0 else link.shift - high
        first = 0 if link.step > 0 else high - low
        sections.append(Section(part.start + skipped * part.period, part.period, first, link.step))
    return Stack(high - low + 1, tuple(sections), (0, 0), 0)
