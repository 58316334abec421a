"""Rounded memory rows (family E6): what a memory row says of whole values, and a fractional point does not know.

The memory row of stage k is ``sum m_x S[x,k+1] <= r``. Choose values to count by what is missing of them, with
``s_x = 1 - S[x,k+1]`` and ``a_x = -m_x``; for the others let ``s_x = S[x,k+1]`` and ``a_x = m_x``. The row then reads
``sum a_x s_x <= b``, where b is r less the bytes of the chosen. For a divisor d > 0 let b = q d + f and
a_x = q_x d + f_x with 0 <= f, f_x < d. Then

    sum ((d - f) q_x + max(0, f_x - f)) s_x  <=  (d - f) q

for all whole numbers s_x >= 0: mixed-integer rounding (Nemhauser and Wolsey 1990). Which divisors and values to try is
from Marchand and Wolsey (2001): sizes of values that are held in part, and their halves; values held more than half.
``docs/formulations.md`` has the proof.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from hcp.graph.cancellation import tick
from hcp.graph.errors import GraphError
from hcp.graph.fields import Record
from hcp.graph.index import BoolArray, IntArray
from hcp.graph.ir import LARGEST_TOTAL, Graph
from hcp.solvers.cut_relaxation.cuts import CutModel, Family, Row
from hcp.solvers.formats import Format
from hcp.solvers.models.rows import Columns, FloatArray

FORMAT: Final = Format("rounded-memory", 1)

# A value counts as held in part from this share on, and up to all but this share.
_FRACTION: Final = 1e-6
# Sizes tried as divisors, the largest ones, and what they are divided by.
_MOST_SIZES: Final = 24
_PARTS: Final = (1, 2, 4, 8)
# Values, those held nearest to one half, for which the other way to count is tried. Trying all takes longer than the
# linear programs do and leads to the same bounds.
_MOST_FLIPS: Final = 12


@dataclass(frozen=True)
class RoundedMemory:
    """A memory row after rounding.

    Attributes:
        stage: The stage k whose memory row it is.
        divisor: Bytes, d.
        missing: The values that count by what is missing of them.
    """

    stage: int
    divisor: int
    missing: tuple[int, ...] = ()

    def is_valid(self, form: CutModel) -> bool:
        """Whether there is such a row, with such values in it, and the divisor is one."""
        index = form.grid.index
        if not (0 <= self.stage < len(form.chain) and 0 < self.divisor <= LARGEST_TOTAL):
            return False
        if not all(0 <= x < index.m for x in self.missing):
            return False
        return set(self._columns(form).tolist()) <= set(form.memory_row(self.stage).columns.tolist())

    def row(self, form: CutModel) -> Row:
        """The row, in the smallest integers."""
        memory = form.memory_row(self.stage)
        flipped = np.isin(memory.columns, self._columns(form))
        coefficients, rhs = _rounded(memory, flipped, self.divisor)
        unit = max(1, int(np.gcd.reduce(coefficients)))
        return Row(coefficients // unit, memory.columns, rhs // unit)

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores."""
        names = [graph.index.value_names[x] for x in self.missing]
        return {"family": str(FORMAT), "stage": self.stage, "divisor": self.divisor, "missing": names}

    def _columns(self, form: CutModel) -> Columns:
        return form.grid.saves[list(self.missing), self.stage + 1]


def _rounded(memory: Row, flipped: BoolArray, divisor: int) -> tuple[IntArray, int]:
    """Coefficients and right-hand side after rounding, in terms of the row's own columns."""
    sizes = np.where(flipped, -memory.coefficients, memory.coefficients)
    quotient, rest = divmod(memory.rhs + int(sizes[flipped].sum()), divisor)
    coefficients = sizes // divisor * (divisor - rest) + np.maximum(0, sizes % divisor - rest)
    rhs = quotient * (divisor - rest) - int(coefficients[flipped].sum())
    return np.where(flipped, -coefficients, coefficients), rhs


class _Knapsack(NamedTuple):
    """A memory row at a point: what matters of it are the values that are held in part.

    Attributes:
        size: Of each of them.
        share: How much of each is held.
        room: Bytes left to them where what counts as missing, of all other values, is there.
    """

    size: IntArray
    share: FloatArray
    room: int

    def violation(self, flipped: BoolArray, divisors: IntArray) -> FloatArray:
        """By how much each divisor's row is violated, with the largest coefficient at 1."""
        size = np.where(flipped, -self.size, self.size)
        share = np.where(flipped, 1 - self.share, self.share)
        quotient, rest = np.divmod(self.room + int(size[flipped].sum()), divisors)
        each, scale = divisors[:, None], (divisors - rest)[:, None]
        coefficients = size // each * scale + np.maximum(0, size % each - rest[:, None])
        largest = np.maximum(np.abs(coefficients).max(axis=1), 1)
        found: FloatArray = (coefficients @ share - quotient * (divisors - rest)) / largest
        return found


def _separate(form: CutModel, point: FloatArray, least_violation: float) -> Sequence[RoundedMemory]:
    """The most violated rounding that is found of each memory row."""
    found = (_most_violated(form, stage, point, least_violation) for stage in range(len(form.chain)))
    return [each for each in found if each is not None]


def _most_violated(form: CutModel, stage: int, point: FloatArray, least_violation: float) -> RoundedMemory | None:
    tick()
    memory = form.memory_row(stage)
    share = point[memory.columns]
    partly = (share > _FRACTION) & (share < 1 - _FRACTION)
    if not partly.any():
        return None
    flipped = share > 0.5
    room = memory.rhs - int(memory.coefficients[flipped & ~partly].sum())
    knapsack = _Knapsack(memory.coefficients[partly], share[partly], room)
    divisors = _divisors(knapsack.size, int(np.gcd.reduce(memory.coefficients)))
    violation = knapsack.violation(flipped[partly], divisors)
    best = int(violation.argmax())
    flipped[partly] = _improved(knapsack, flipped[partly], divisors[best : best + 1])
    # Of values that share a column, the first one stands for all.
    columns, first = np.unique(form.grid.saves[:, stage + 1], return_index=True)
    missing = np.sort(first[np.searchsorted(columns, memory.columns[flipped])])
    rounded = RoundedMemory(stage, int(divisors[best]), tuple(missing.tolist()))
    coefficients, columns, rhs = rounded.row(form)
    excess = float(coefficients @ point[columns]) - rhs
    return rounded if excess > least_violation * max(1, int(np.abs(coefficients).max())) else None


def _divisors(sizes: IntArray, unit: int) -> IntArray:
    """What to divide by: sizes, parts of them, and the row's common divisor."""
    largest = np.unique(sizes)[-_MOST_SIZES:]
    parts = np.concatenate([largest // part for part in _PARTS])
    return np.unique(np.append(parts[parts > 0], unit))


def _improved(knapsack: _Knapsack, flipped: BoolArray, divisor: IntArray) -> BoolArray:
    """Counts more or fewer values by what is missing, those nearest to one half first, where that violates more."""
    best = float(knapsack.violation(flipped, divisor)[0])
    for place in np.argsort(np.abs(knapsack.share - 0.5), kind="stable")[:_MOST_FLIPS].tolist():
        other = flipped.copy()
        other[place] = not other[place]
        violation = float(knapsack.violation(other, divisor)[0])
        if violation > best:
            best, flipped = violation, other
    return flipped


def _read(record: Record, graph: Graph) -> RoundedMemory:
    value_of = graph.index.value_of
    missing = record.texts("missing")
    for name in missing:
        if name not in value_of:
            raise GraphError(f"{record.owner} has missing value {name!r}; expected values of the graph")
    stage, divisor = record.amount("stage"), record.amount("divisor")
    return RoundedMemory(stage, divisor, tuple(value_of[name] for name in missing))


FAMILY: Final = Family(FORMAT, _separate, _read)
