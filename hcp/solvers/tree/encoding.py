"""A tree as bytes: its nodes in preorder, the lower part first, every number in the fewest bytes.

A whole number n is stored as 2 n, or -2 n - 1 below zero, in groups of seven bits, the lowest first; the top bit of a
byte says that another one follows. A node is

    LEAF vector          no schedule in its box costs less than its multipliers prove
    EMPTY vector         its multipliers show that its box holds no point
    FIX vector node      slopes of these multipliers fix columns, whose other values lead to the cutoff; then the node
    COLUMN j node node   a branch on column j: 0, then 1
    SUM k t node node    a branch on sum k: at most t, then more

and a vector of multipliers is its shift, the number of its entries that differ from the vector before it (all that are
not zero, where that had another shift), the gaps between their places, and the differences. Places are sums first, then
rows. All of them, and columns, count in the order in which the certificate lists them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from hcp.solvers.tree.evaluation import Multipliers

LEAF, EMPTY, FIX, COLUMN, SUM = range(5)

# Whole numbers of a file have at most so many bits: those that are written have less than 200.
_MOST_BITS: Final = 2_000


class Damaged(Exception):
    """The bytes are no tree."""


@dataclass
class Writer:
    """Writes numbers and multipliers.

    Attributes:
        sums: How many sums there are.
        content: What was written.
    """

    sums: int
    content: bytearray = field(default_factory=bytearray)
    _before: dict[int, int] = field(default_factory=dict)
    _shift: int = -1

    def number(self, value: int) -> None:
        """Writes a whole number."""
        rest = 2 * value if value >= 0 else -2 * value - 1
        while rest >= 128:
            self.content.append(rest & 127 | 128)
            rest >>= 7
        self.content.append(rest)

    def multipliers(self, given: Multipliers) -> None:
        """Writes multipliers, as what differs from those before."""
        now = dict(given.sums) | {self.sums + row: numerator for row, numerator in given.rows}
        before = self._before if given.shift == self._shift else {}
        changes = sorted((place, now.get(place, 0) - before.get(place, 0)) for place in now.keys() | before.keys())
        changes = [(place, change) for place, change in changes if change]
        self.number(given.shift)
        self.number(len(changes))
        last = 0
        for place, _ in changes:
            self.number(place - last)
            last = place
        for _, change in changes:
            self.number(change)
        self._before, self._shift = now, given.shift


@dataclass
class Reader:
    """Reads what a ``Writer`` wrote.

    Attributes:
        content: The bytes.
        sums: How many sums there are.
        rows: How many rows there are.
    """

    content: bytes
    sums: int
    rows: int
    _place: int = 0
    _before: dict[int, int] = field(default_factory=dict)
    _shift: int = -1

    @property
    def done(self) -> bool:
        """Whether everything was read."""
        return self._place == len(self.content)

    def number(self, most: int | None = None) -> int:
        """Reads a whole number; with ``most``, one from 0 to that.

        Raises:
            Damaged: If there is none.
        """
        rest = digits = 0
        while True:
            if self._place == len(self.content) or digits > _MOST_BITS:
                raise Damaged
            byte = self.content[self._place]
            self._place += 1
            rest |= (byte & 127) << digits
            digits += 7
            if not byte & 128:
                break
        value = rest // 2 if rest % 2 == 0 else -(rest // 2) - 1
        if most is not None and not 0 <= value <= most:
            raise Damaged
        return value

    def multipliers(self) -> Multipliers:
        """Reads multipliers.

        Raises:
            Damaged: If there are none, or one of a row is below zero.
        """
        shift, changed = self.number(_MOST_BITS), self.number(self.sums + self.rows)
        now = dict(self._before) if shift == self._shift else {}
        places = list(self._places(changed))
        for place in places:
            now[place] = now.get(place, 0) + self.number()
        now = {place: numerator for place, numerator in now.items() if numerator}
        if any(place >= self.sums and numerator < 0 for place, numerator in now.items()):
            raise Damaged
        self._before, self._shift = now, shift
        sums = tuple((place, numerator) for place, numerator in now.items() if place < self.sums)
        rows = tuple((place - self.sums, numerator) for place, numerator in now.items() if place >= self.sums)
        return Multipliers(shift, rows, sums)

    def _places(self, amount: int) -> Iterator[int]:
        place = 0
        for _ in range(amount):
            place += self.number(self.sums + self.rows)
            if place >= self.sums + self.rows:
                raise Damaged
            yield place
