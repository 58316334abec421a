"""The seam for families of valid inequalities: what a cut is, who finds cuts, and the model that they are added to.

A family is one file with a class of its cuts, their separation and a ``Family``, and an entry in ``families.py``;
``docs/adding-a-bound.md`` leads through it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

import numpy as np
from scipy import sparse

from hcp.graph.fields import Record
from hcp.graph.index import IntArray
from hcp.graph.ir import Graph
from hcp.solvers.cut_relaxation.grid import Grid
from hcp.solvers.formats import Format
from hcp.solvers.models.rows import Columns, FloatArray, Model, RowBuilder

# The block of memory rows, one a chain node.
MEMORY: Final = "memory"


class Row(NamedTuple):
    """The inequality ``sum of coefficients * columns <= rhs``; columns may repeat and be constants."""

    coefficients: IntArray
    columns: Columns
    rhs: int


class Cut(Protocol):
    """A valid inequality: it holds for every schedule within the budget that a cut relaxation is built for.

    Cuts are values: equal ones are the same row, and they can be hashed.
    """

    def is_valid(self, form: "CutModel", /) -> bool:
        """Whether this is a cut of a relaxation at all: files are checked with it, in integers and without a solver."""
        ...

    def row(self, form: "CutModel", /) -> Row:
        """The row that it stands for; only asked of valid ones."""
        ...

    def to_dict(self, graph: Graph, /) -> dict[str, object]:
        """What a plan file stores, with names instead of numbers; ``family`` is the family's format."""
        ...


class Separator(Protocol):
    """Finds cuts that a point violates."""

    def __call__(self, form: "CutModel", point: FloatArray, least_violation: float, /) -> Sequence[Cut]:
        """Some of the most violated cuts of the plain relaxation at a point.

        Args:
            form: The relaxation.
            point: One number a column.
            least_violation: Smaller violations do not count; they are measured with the largest coefficient at 1.
        """
        ...


@dataclass(frozen=True)
class Family:
    """A family of valid inequalities.

    Attributes:
        format: What plan files call its cuts; its version goes up with every change of their rows.
        separate: Finds cuts.
        read: Makes a cut from what its ``to_dict`` wrote. Whether it is valid is asked afterwards.
    """

    format: Format
    separate: Separator
    read: Callable[[Record, Graph], Cut]


@dataclass(frozen=True)
class CutModel:
    """A cut relaxation and what its columns mean.

    Attributes:
        model: The plain rows, of which the block ``MEMORY`` has one a chain node; then one row for each cut.
        grid: The meaning of the columns; flows come after them.
        cuts: Those added.
    """

    model: Model
    grid: Grid
    cuts: tuple[Cut, ...] = ()

    @property
    def chain(self) -> tuple[int, ...]:
        """The nodes at which time is divided into stages."""
        return self.grid.chain

    def memory_row(self, stage: int) -> Row:
        """The memory row of a stage: its columns differ, all are those of values live after it, and have bytes."""
        matrix = self.model.matrix
        number = self.model.blocks[MEMORY].start + stage
        span = slice(int(matrix.indptr[number]), int(matrix.indptr[number + 1]))
        return Row(matrix.data[span], matrix.indices[span].astype(np.int64), int(self.model.rhs[number]))

    def cut_rows(self, cuts: Sequence[Cut]) -> tuple[sparse.csr_matrix, IntArray]:
        """Cuts as rows of this model."""
        rows = RowBuilder()
        rows.begin("cuts", whole=True)
        for cut in cuts:
            rows.add_row(*cut.row(self))
        matrix, rhs, *_ = rows.build(self.model.shape[1])
        return matrix, rhs

    def with_cuts(self, cuts: Sequence[Cut]) -> "CutModel":
        """The model with cuts added at the end."""
        if not cuts:
            return self
        rows, rhs = self.cut_rows(cuts)
        matrix = sparse.vstack([self.model.matrix, rows], format="csr")
        model = replace(self.model, matrix=matrix, rhs=np.append(self.model.rhs, rhs))
        return replace(self, model=model, cuts=(*self.cuts, *cuts))
