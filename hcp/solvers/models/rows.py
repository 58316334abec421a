"""Rows of a model ``min c z + constant, A z <= b, 0 <= z <= 1`` with integer data, built a family at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hcp.graph.index import IntArray

# Column numbers of the constants 0 and 1: models fix many entries of their grids.
ZERO = -1
ONE = -2

Columns = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """``min c z + constant`` subject to ``A z <= b`` and ``0 <= z <= 1``; every entry is an integer.

    Attributes:
        matrix: A, in compressed rows.
        rhs: b, one a row.
        cost: c, one a column.
        constant: Added to the objective.
        integral: Columns that the integer form restricts to 0 and 1.
    """

    matrix: sparse.csr_matrix
    rhs: IntArray
    cost: IntArray
    constant: int
    integral: NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.matrix.shape[0]), int(self.matrix.shape[1])

    def value(self, point: FloatArray) -> int:
        """The objective at an integer point."""
        return int(self.cost[point > 0.5].sum()) + self.constant


class RowBuilder:
    """Collects rows given as parallel arrays of columns, moving the constant columns to the right-hand side."""

    def __init__(self) -> None:
        self._rows: list[IntArray] = []
        self._columns: list[Columns] = []
        self._coefficients: list[IntArray] = []
        self._rhs: list[IntArray] = []
        self._count = 0

    def add(self, *terms: tuple[int, Columns], rhs: int = 0) -> None:
        """Adds one row for each position of the arrays: the sum of coefficient * column is at most ``rhs``."""
        length = len(terms[0][1])
        here = np.arange(self._count, self._count + length)
        self._rhs.append(np.full(length, rhs, np.int64))
        for coefficient, columns in terms:
            self._rows.append(here)
            self._columns.append(np.asarray(columns, np.int64))
            self._coefficients.append(np.full(length, coefficient, np.int64))
        self._count += length

    def add_row(self, coefficients: IntArray, columns: Columns, rhs: int) -> None:
        """Adds a single row with its own coefficients."""
        self._rhs.append(np.array([rhs], np.int64))
        self._rows.append(np.full(len(columns), self._count, np.int64))
        self._columns.append(np.asarray(columns, np.int64))
        self._coefficients.append(np.asarray(coefficients, np.int64))
        self._count += 1

    def add_entries(self, rows: IntArray, columns: Columns, coefficients: IntArray, rhs: IntArray) -> None:
        """Adds ``len(rhs)`` rows, given as entries; ``rows`` counts from the first of them."""
        self._rhs.append(rhs)
        self._rows.append(self._count + rows)
        self._columns.append(columns)
        self._coefficients.append(coefficients)
        self._count += len(rhs)

    def build(self, columns: int, keep: int) -> tuple[sparse.csr_matrix, IntArray]:
        """The matrix and right-hand side, without the rows that hold for every 0 <= z <= 1.

        Args:
            columns: How many columns the model has.
            keep: This many of the last rows stay in any case.
        """
        row = np.concatenate(self._rows)
        column = np.concatenate(self._columns)
        coefficient = np.concatenate(self._coefficients)
        rhs = np.concatenate(self._rhs)
        one = column == ONE
        np.subtract.at(rhs, row[one], coefficient[one])
        free = column >= 0
        matrix = sparse.csr_matrix(
            (coefficient[free], (row[free], column[free])), shape=(self._count, columns), dtype=np.int64
        )
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        largest = np.asarray(matrix.maximum(0).sum(axis=1)).ravel()
        binding = largest > rhs
        binding[self._count - keep :] = True
        return matrix[binding], rhs[binding]
