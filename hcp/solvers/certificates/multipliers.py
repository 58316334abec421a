"""Dual multipliers: what they prove is evaluated in integer arithmetic, trusting no solver.

For ``min c z`` subject to ``A z <= b`` and ``0 <= z <= 1``, any ``y >= 0`` proves the bound
``-y b + sum_j min(0, c_j + (y A)_j)``. Here A, b, c are the integers of a relaxation, rebuilt from the graph, and y are
rationals with one denominator: the solver's dual values, rounded. Rounding can only weaken the bound.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, frexp, ldexp
from typing import ClassVar, Final, TypedDict

import numpy as np

from hcp.graph.cancellation import tick
from hcp.graph.errors import GraphError
from hcp.graph.fields import Record, shown, whole
from hcp.graph.ir import Graph
from hcp.solvers.certificates.budgeted import BudgetCertificate
from hcp.solvers.formats import Format
from hcp.solvers.models.rows import FloatArray, Model

# Multipliers are rounded to PRECISION_BITS binary digits below the largest one, and further where the entries of their
# rows are large: until what an entry loses is below one unit of cost by LOSS_BITS binary digits.
PRECISION_BITS: Final = 40
LOSS_BITS: Final = 20

Multipliers = tuple[tuple[int, int], ...]


class DualFields(TypedDict):
    """The fields that all certificates by multipliers have."""

    budget: int
    multipliers: Multipliers
    denominator: int
    of_peak: bool


@dataclass(frozen=True, kw_only=True)
class DualCertificate(BudgetCertificate, ABC):
    """Multipliers on the rows of a relaxation, which a subclass names the parts of and rebuilds.

    Attributes:
        format: What plan files call the certificates of the class.
        multipliers: Pairs (row, numerator); rows count in the order in which the certificate names them.
        denominator: Of all multipliers.
    """

    format: ClassVar[Format]
    multipliers: Multipliers
    denominator: int

    @abstractmethod
    def rebuilt(self, graph: Graph) -> Model | None:
        """The rows, from the graph and what the certificate says; None where it says nothing that makes sense."""

    def proven(self, graph: Graph, budget: int) -> int:
        """The bound on cost, or on the peak, that the multipliers prove; 0 where they prove nothing."""
        if not self.speaks_of(budget):
            return 0
        model = self.rebuilt(graph)
        return 0 if model is None else self.evaluated(graph, model)

    def evaluated(self, graph: Graph, model: Model) -> int:
        """The bound that the multipliers prove with given rows; 0 where they prove nothing."""
        value = combine(model, dict(self.multipliers), self.denominator, with_cost=not self.of_peak)
        if self.of_peak:
            return self.budget + 1 if value > 0 else 0
        return round_up(value, graph)

    def to_dict(self, graph: Graph) -> dict[str, object]:  # noqa: ARG002 - subclasses name parts of it
        """What a plan file stores; ``dual_fields`` reads it."""
        return {
            "kind": str(self.format),
            "budget_bytes": self.budget,
            "of_peak": self.of_peak,
            "denominator": self.denominator,
            "multipliers": [list(pair) for pair in self.multipliers],
        }


def dual_fields(record: Record) -> DualFields:
    """The common fields of what a certificate's ``to_dict`` wrote.

    Raises:
        GraphError: If one is missing or of another type.
    """
    return {
        "budget": record.amount("budget_bytes"),
        "multipliers": read_pairs(record.items("multipliers"), record.owner),
        "denominator": read_denominator(record),
        "of_peak": record.flag("of_peak", False),
    }


def read_denominator(record: Record) -> int:
    """The denominator of a certificate's multipliers.

    Raises:
        GraphError: If it is none.
    """
    denominator = record.get("denominator")
    if not isinstance(denominator, int) or not whole(denominator) or denominator <= 0:
        raise GraphError(f"{record.owner} has denominator {shown(denominator)}; expected a whole number above zero")
    return denominator


def read_pairs(items: Iterable[object], owner: str) -> Multipliers:
    """Pairs of a row and a numerator.

    Raises:
        GraphError: If one is something else, or a row has two.
    """
    multipliers = tuple(_pair(item, owner) for item in items)
    if len({row for row, _ in multipliers}) < len(multipliers):
        raise GraphError(f"{owner} has two multipliers of one row; give each row one")
    return multipliers


def _pair(item: object, owner: str) -> tuple[int, int]:
    match item:
        case [int(row), int(numerator)] if whole(row, numerator):
            return row, numerator
    raise GraphError(f"{owner} has multiplier {shown(item)}; expected [row, numerator]")


def combine(model: Model, multipliers: dict[int, int], denominator: int, *, with_cost: bool) -> Fraction:
    """Evaluates ``-y b + sum_j min(0, c_j + (y A)_j)``, plus the constant, exactly; costs count as 0 without cost."""
    if any(numerator < 0 or not 0 <= row < model.shape[0] for row, numerator in multipliers.items()):
        return Fraction(0)
    column: dict[int, int] = {}
    fixed = 0
    start, items, entries = model.matrix.indptr, model.matrix.indices, model.matrix.data
    for row, numerator in multipliers.items():
        tick()
        fixed -= numerator * int(model.rhs[row])
        span = slice(int(start[row]), int(start[row + 1]))
        for j, entry in zip(items[span].tolist(), entries[span].tolist(), strict=True):
            column[j] = column.get(j, 0) + numerator * entry
    for j, slope in column.items():
        fixed += min(0, slope + (denominator * int(model.cost[j]) if with_cost else 0))
    return Fraction(fixed, denominator) + (model.constant if with_cost else 0)


def rounded(multipliers: FloatArray, model: Model) -> tuple[Multipliers, int]:
    """Dual values of a model's rows as pairs (row, numerator) with one denominator, rounded down."""
    used = np.flatnonzero(multipliers > 0)
    if not len(used):
        return (), 1
    rows = model.matrix[used]
    weight = max(int(abs(rows).max()) if rows.nnz else 0, int(np.abs(model.rhs[used]).max()))
    digits = PRECISION_BITS - frexp(float(multipliers.max()))[1]
    shift = max(digits, LOSS_BITS + weight.bit_length(), 0)
    numerators = ((row, int(ldexp(float(multipliers[row]), shift))) for row in used.tolist())
    return tuple((row, numerator) for row, numerator in numerators if numerator), 1 << shift


def round_up(value: Fraction, graph: Graph) -> int:
    """The least possible cost that is not below a bound: costs are sums of the nodes' costs."""
    unit = graph.cost_divisor
    return max(ceil(value / unit) * unit, graph.base_cost)
