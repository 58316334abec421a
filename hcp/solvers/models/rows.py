"""Rows of a model ``min c z + constant, A z <= b, 0 <= z <= 1`` with integer data, built a family at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hcp.graph.cancellation import tick
from hcp.graph.index import IntArray

# Column numbers of the constants 0 and 1: models fix many entries of their grids.
ZERO = -1
ONE = -2

Columns = NDArray[np.int64]
FloatArray = NDArray[np.float64]


# Numbers of the node, the value and the stage of rows that are added together; an absent part is NONE in all of them.
NONE = -1
Parts = tuple[IntArray | int, IntArray | int, IntArray | int]
_NO_PARTS: Parts = (NONE, NONE, NONE)


class RowKey(NamedTuple):
    """What a row is called, whatever its number: its block, and what it is about."""

    block: str
    node: int
    value: int
    stage: int


def _no_rows() -> IntArray:
    return np.zeros((0, 3), np.int64)


@dataclass(frozen=True)
class Model:
    """``min c z + constant`` subject to ``A z <= b`` and ``0 <= z <= 1``; every entry is an integer.

    Attributes:
        matrix: A, in compressed rows.
        rhs: b, one a row.
        cost: c, one a column.
        constant: Added to the objective.
        integral: Columns that the integer program restricts to 0 and 1.
        blocks: The rows of blocks that have a name.
        parts: Of every row the node, the value and the stage that it is about, NONE where it has none; (rows, 3).
            Rows that were added later, such as cuts, are not in it.
    """

    matrix: sparse.csr_matrix
    rhs: IntArray
    cost: IntArray
    constant: int
    integral: NDArray[np.bool_]
    blocks: Mapping[str, slice] = field(default_factory=dict)
    parts: IntArray = field(default_factory=_no_rows)

    @cached_property
    def row_of(self) -> Mapping[RowKey, int]:
        """The number of every row that has a key."""
        found: dict[RowKey, int] = {}
        for block, span in self.blocks.items():
            keys = map(RowKey._make, zip(repeat(block), *self.parts[span].T.tolist(), strict=False))
            found.update(zip(keys, range(span.start, span.stop), strict=True))
        return found

    def keys(self, rows: Sequence[int]) -> tuple[RowKey, ...]:
        """The keys of rows in named blocks."""
        block_of = {number: name for name, span in self.blocks.items() for number in range(span.start, span.stop)}
        return tuple(RowKey(block_of[row], *self.parts[row].tolist()) for row in rows)

    def restricted(self, rows: Sequence[int]) -> "Model":
        """The model with some of its rows alone, in the order given; they are in no block."""
        chosen = np.array(rows, np.int64)
        return replace(self, matrix=self.matrix[chosen], rhs=self.rhs[chosen], blocks={}, parts=_no_rows())

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.matrix.shape[0]), int(self.matrix.shape[1])

    def value(self, point: FloatArray) -> int:
        """The objective at an integer point."""
        return int(self.cost[point > 0.5].sum()) + self.constant


class Rows(NamedTuple):
    """A matrix and its right-hand side, with the rows of each named block."""

    matrix: sparse.csr_matrix
    rhs: IntArray
    blocks: dict[str, slice]
    parts: IntArray


class _Block(NamedTuple):
    start: int
    whole: bool


class RowBuilder:
    """Collects rows given as parallel arrays of columns, moving the constant columns to the right-hand side.

    Args:
        whole: Whether to keep rows that hold for every 0 <= z <= 1, in all blocks: files may name them.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole
        self._rows: list[IntArray] = []
        self._columns: list[Columns] = []
        self._coefficients: list[IntArray] = []
        self._rhs: list[IntArray] = []
        self._parts: list[IntArray] = []
        self._count = 0
        self._blocks: dict[str, _Block] = {}

    def begin(self, block: str, *, whole: bool = False) -> None:
        """Begins a named block, which ends where the next one begins.

        Args:
            block: Its name.
            whole: Whether to keep rows that hold for every 0 <= z <= 1, so that a row's number says which it is.
        """
        self._blocks[block] = _Block(self._count, whole or self._whole)

    def add(self, *terms: tuple[int, Columns], rhs: int = 0, about: Parts = _NO_PARTS) -> None:
        """Adds one row for each position of the arrays: the sum of coefficient * column is at most ``rhs``.

        Args:
            terms: Pairs of a coefficient and the columns that have it.
            rhs: Of all rows.
            about: Node, value and stage of each row, by which files name it.
        """
        tick()
        length = len(terms[0][1])
        here = np.arange(self._count, self._count + length)
        self._rhs.append(np.full(length, rhs, np.int64))
        for coefficient, columns in terms:
            self._rows.append(here)
            self._columns.append(np.asarray(columns, np.int64))
            self._coefficients.append(np.full(length, coefficient, np.int64))
        self._name(length, about)

    def add_row(self, coefficients: IntArray, columns: Columns, rhs: int, about: Parts = _NO_PARTS) -> None:
        """Adds a single row with its own coefficients."""
        tick()
        self._rhs.append(np.array([rhs], np.int64))
        self._rows.append(np.full(len(columns), self._count, np.int64))
        self._columns.append(np.asarray(columns, np.int64))
        self._coefficients.append(np.asarray(coefficients, np.int64))
        self._name(1, about)

    def add_entries(self, rows: IntArray, columns: Columns, coefficients: IntArray, rhs: IntArray) -> None:
        """Adds ``len(rhs)`` rows, given as entries; ``rows`` counts from the first of them."""
        tick()
        self._rhs.append(rhs)
        self._rows.append(self._count + rows)
        self._columns.append(columns)
        self._coefficients.append(coefficients)
        self._name(len(rhs), _NO_PARTS)

    def _name(self, length: int, about: Parts) -> None:
        parts = np.empty((length, 3), np.int64)
        for place, part in enumerate(about):
            parts[:, place] = part
        self._parts.append(parts)
        self._count += length

    def build(self, columns: int) -> Rows:
        """The rows over so many columns, without those that hold for every 0 <= z <= 1, but for whole blocks."""
        row = np.concatenate(self._rows)
        column = np.concatenate(self._columns)
        coefficient = np.concatenate(self._coefficients)
        rhs = np.concatenate(self._rhs)
        one = column == ONE
        np.subtract.at(rhs, row[one], coefficient[one])
        tick()
        free = column >= 0
        matrix = sparse.csr_matrix(
            (coefficient[free], (row[free], column[free])), shape=(self._count, columns), dtype=np.int64
        )
        tick()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        tick()
        largest = np.asarray(matrix.maximum(0).sum(axis=1)).ravel()
        binding = largest > rhs
        ends = [*(block.start for block in self._blocks.values()), self._count][1:]
        for (start, whole), end in zip(self._blocks.values(), ends, strict=True):
            if whole:
                binding[start:end] = True
        place = np.concatenate(([0], np.cumsum(binding))).tolist()
        blocks = {
            name: slice(place[block.start], place[end])
            for (name, block), end in zip(self._blocks.items(), ends, strict=True)
        }
        return Rows(matrix[binding], rhs[binding], blocks, np.concatenate(self._parts)[binding])
