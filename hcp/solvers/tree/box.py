"""A node of the tree as a region: bounds on columns and on sums."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hcp.graph.index import IntArray

# A sum without an upper limit.
UNLIMITED: Final = 2**41

Bits = NDArray[np.int8]


@dataclass(frozen=True)
class Branch:
    """A split in two: a column is 0 or 1, or a sum is at most ``at`` or more.

    Attributes:
        number: Of the column, or of the sum.
        of_sum: Which of the two it is.
        at: For a sum.
    """

    number: int
    of_sum: bool = False
    at: int = 0


class Box(NamedTuple):
    """Bounds of columns and of sums; never changed in place."""

    low: Bits
    high: Bits
    least: IntArray
    most: IntArray

    def half(self, branch: Branch, *, upper: bool) -> "Box":
        """The part on one side of a branch."""
        low, high, least, most = self
        if branch.of_sum and upper:
            least = _changed(least, branch.number, max(int(least[branch.number]), branch.at + 1))
        elif branch.of_sum:
            most = _changed(most, branch.number, min(int(most[branch.number]), branch.at))
        elif upper:
            low = _changed(low, branch.number, 1)
        else:
            high = _changed(high, branch.number, 0)
        return Box(low, high, least, most)


def whole_box(columns: int, sums: int) -> Box:
    """The root's: columns between 0 and 1, sums without limits."""
    return Box(
        np.zeros(columns, np.int8),
        np.ones(columns, np.int8),
        np.zeros(sums, np.int64),
        np.full(sums, UNLIMITED, np.int64),
    )


def _changed(array: NDArray, place: int, value: int) -> NDArray:  # type: ignore[type-arg]
    made = array.copy()
    made[place] = value
    return made
