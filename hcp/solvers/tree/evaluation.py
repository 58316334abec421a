"""What multipliers prove inside a box, in integers.

For ``min c z`` subject to ``A z <= b``, ``least <= S z + s <= most`` and ``low <= z <= high``, any ``y >= 0`` and any
w prove

    - y b - sum_k max(w_k (most_k - s_k), w_k (least_k - s_k)) + sum_j min(r_j low_j, r_j high_j),   r = c + y A + w S

as a bound. With c = 0 a value above zero shows that the box holds no point at all (Farkas). Multipliers are integers
over a power of two, finer by the binary digits of the largest entry in rows with large entries, so that rounding loses
next to nothing and can only weaken the bound.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import frexp, ldexp
from typing import NamedTuple

import numpy as np
from scipy import sparse

from hcp.graph.cancellation import tick, ticking
from hcp.graph.index import IntArray
from hcp.solvers.cut_relaxation.grid import Grid
from hcp.solvers.models.rows import FloatArray, Model
from hcp.solvers.tree.box import UNLIMITED, Box
from hcp.solvers.tree.sums import RunSum


@dataclass(frozen=True)
class Multipliers:
    """Multipliers of rows and sums.

    Attributes:
        shift: Row i counts in units of ``2 ** -(shift + digits of its largest entry)``.
        rows: Pairs (row, numerator > 0).
        sums: Pairs (sum, numerator).
    """

    shift: int
    rows: tuple[tuple[int, int], ...] = ()
    sums: tuple[tuple[int, int], ...] = ()


class Value(NamedTuple):
    """A proved value ``numerator / 2 ** digits``, and the slopes of columns in the same unit."""

    numerator: int
    digits: int
    slopes: dict[int, int]

    def least_cost(self, unit: int) -> int:
        """The least cost, a multiple of a unit, that is not below the value."""
        return -(-self.numerator // (unit << self.digits)) * unit


class _Row(NamedTuple):
    columns: list[int]
    entries: list[int]
    rhs: int
    digits: int


@dataclass
class Evaluator:
    """Evaluates multipliers over the rows of a model, which may get more, and over sums.

    Attributes:
        model: The first rows, and the costs.
        grid: Of the columns.
        sums: Beside the rows.
    """

    model: Model
    grid: Grid
    sums: Sequence[RunSum]
    _rows: list[_Row] = field(default_factory=list)
    _sums: list[_Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.add(self.model.matrix, self.model.rhs)
        for each in self.sums:
            tick()
            columns = each.columns(self.grid).tolist()
            self._sums.append(_Row(columns, [1] * len(columns), each.constant(self.grid), 0))
        self._cost: list[int] = self.model.cost.tolist()

    def add(self, matrix: sparse.csr_matrix, rhs: IntArray) -> None:
        """Adds rows: all of them, or none where the time is up."""
        start = matrix.indptr.tolist()
        added = []
        for row, limit in enumerate(ticking(rhs.tolist())):
            span = slice(start[row], start[row + 1])
            entries = matrix.data[span].tolist()
            largest = max(map(abs, entries), default=1)
            added.append(_Row(matrix.indices[span].tolist(), entries, limit, largest.bit_length() - 1))
        self._rows += added

    def rounded(self, rows: FloatArray, sums: FloatArray, digits: int) -> Multipliers:
        """Multipliers in floating point, rounded towards zero.

        Args:
            rows: One a row; those below zero count as zero.
            sums: One a sum.
            digits: Of the largest one, binary.
        """
        used = [(i, float(rows[i]), self._rows[i].digits) for i in np.flatnonzero(rows > 0).tolist()]
        whole = [(k, float(sums[k])) for k in np.flatnonzero(sums).tolist()]
        largest = max([ldexp(y, d) for _, y, d in used] + [abs(w) for _, w in whole], default=0.0)
        if largest == 0:
            return Multipliers(0)
        shift = max(0, digits - frexp(largest)[1])
        numerators = [(i, int(ldexp(y, shift + d))) for i, y, d in used]
        counts = [(k, int(ldexp(w, shift))) for k, w in whole]
        return Multipliers(shift, _nonzero(numerators), _nonzero(counts))

    def value(self, multipliers: Multipliers, box: Box, *, with_cost: bool = True) -> Value | None:
        """The bound that multipliers prove inside a box; None where they prove none."""
        finest = max((self._rows[i].digits for i, _ in multipliers.rows), default=0)
        digits = multipliers.shift + finest
        slopes: dict[int, int] = {}
        total = 0
        for i, numerator in ticking(multipliers.rows):
            row = self._rows[i]
            weight = numerator << (finest - row.digits)
            total -= weight * row.rhs
            _accumulate(slopes, row, weight)
        for k, numerator in multipliers.sums:
            row, weight = self._sums[k], numerator << finest
            limit = int(box.most[k] if weight > 0 else box.least[k])
            if limit == UNLIMITED:
                return None
            total -= weight * (limit - row.rhs)
            _accumulate(slopes, row, weight)
        low, high = box.low, box.high
        if with_cost:
            total += (self.model.constant + int(self.model.cost[low == 1].sum())) << digits
        for j, slope in ticking(slopes.items()):
            price = self._cost[j] << digits if with_cost else 0
            slopes[j] = reduced = slope + price
            total += reduced * int(low[j] if reduced >= 0 else high[j]) - price * int(low[j])
        return Value(total, digits, slopes)

    def fixed(self, multipliers: Multipliers, box: Box, most: int) -> Box | None:
        """The part of a box where the cost may be ``most`` or less, as far as slopes show it; None without a value."""
        value = self.value(multipliers, box)
        if value is None:
            return None
        room = (most << value.digits) - value.numerator
        low, high = box.low.copy(), box.high.copy()
        priced = np.flatnonzero((self.model.cost > 0) & self.model.integral).tolist()
        slopes = {j: self._cost[j] << value.digits for j in priced} | value.slopes
        for j, slope in ticking(slopes.items()):
            if self.model.integral[j] and abs(slope) > room and low[j] < high[j]:
                low[j] = high[j] = 0 if slope > 0 else 1
        return Box(low, high, box.least, box.most)


def _accumulate(slopes: dict[int, int], row: _Row, weight: int) -> None:
    for j, entry in zip(row.columns, row.entries, strict=True):
        slopes[j] = slopes.get(j, 0) + weight * entry


def _nonzero(pairs: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return tuple(pair for pair in pairs if pair[1])
