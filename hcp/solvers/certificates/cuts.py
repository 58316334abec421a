"""Certificates that anyone can check in integer arithmetic, trusting no solver.

For ``min c z`` subject to ``A z <= b`` and ``0 <= z <= 1``, any ``y >= 0`` proves the bound
``-y b + sum_j min(0, c_j + (y A)_j)``. Here A, b, c are the integers of the cut relaxation, rebuilt from the graph, and
y are rationals with one denominator: the solver's dual values, rounded. Rounding can only weaken the bound.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, gcd

import numpy as np

from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph
from hcp.planning.solution import Quantity
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.cut_relaxation.model import CutModel, build_cut_model
from hcp.solvers.cut_relaxation.path_cuts import PathCut
from hcp.solvers.models.rows import FloatArray, Model

# What plan files call these certificates.
KIND = "cut-relaxation/1"

# Multipliers are rounded to this many binary digits below the largest one.
PRECISION_BITS = 40


@dataclass(frozen=True)
class CutCertificate:
    """Multipliers on the rows of a cut relaxation.

    Attributes:
        chain: Names of the chain's nodes.
        budget: Bytes for which the rows were built; the proof holds for every budget up to it.
        multipliers: Pairs (row, numerator).
        denominator: Of all multipliers.
        cuts: Path cuts, whose rows follow those of the plain relaxation.
        of_peak: False where the multipliers bound the cost; True where they show that no schedule meets ``budget``,
            so that the peak is at least one byte more.
    """

    chain: tuple[str, ...]
    budget: int
    multipliers: tuple[tuple[int, int], ...]
    denominator: int
    cuts: tuple[PathCut, ...] = ()
    of_peak: bool = False

    @property
    def of(self) -> Quantity:
        """What the multipliers bound."""
        return "peak" if self.of_peak else "cost"

    @property
    def scope(self) -> str:
        """The cut relaxation speaks of every schedule."""
        return ORDER_FREE

    def proven(self, graph: Graph, budget: int) -> int:
        """The bound on cost, or on the peak, that the multipliers prove; 0 where they prove nothing."""
        if budget > self.budget and not self.of_peak:
            return 0
        chain = tuple(graph.index.node_of.get(name, -1) for name in self.chain)
        if not is_chain(graph.index, chain) or not all(cut.is_valid(graph.index, len(chain)) for cut in self.cuts):
            return 0
        cut = build_cut_model(graph.index, self.budget, chain, self.cuts)
        value = combine(cut.model, dict(self.multipliers), self.denominator, with_cost=not self.of_peak)
        if self.of_peak:
            return self.budget + 1 if value > 0 else 0
        return round_up(value, graph)

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores, with names instead of numbers."""
        nodes, values = graph.index.node_names, graph.index.value_names
        return {
            "kind": KIND,
            "chain": list(self.chain),
            "budget_bytes": self.budget,
            "of_peak": self.of_peak,
            "denominator": self.denominator,
            "multipliers": [list(pair) for pair in self.multipliers],
            "cuts": [
                [nodes[cut.reader], cut.stage, cut.first, [[values[value], stage] for value, stage in cut.steps]]
                for cut in self.cuts
            ],
        }


def is_chain(index: GraphIndex, nodes: tuple[int, ...]) -> bool:
    """Whether these are nodes, each a proper ancestor of the next."""
    known = bool(nodes) and all(0 <= node < index.n for node in nodes)
    return known and all(index.ancestors[high] >> low & 1 for low, high in pairwise(nodes))


def certify_cost(graph: Graph, cut: CutModel, budget: int, multipliers: FloatArray) -> tuple[int, CutCertificate]:
    """The order-free cost bound that a relaxation's dual values prove, with its certificate."""
    certificate = _certificate(graph, cut, budget, multipliers, of_peak=False)
    value = combine(cut.model, dict(certificate.multipliers), certificate.denominator, with_cost=True)
    return round_up(value, graph), certificate


def certify_peak(graph: Graph, cut: CutModel, budget: int, multipliers: FloatArray) -> CutCertificate | None:
    """A proof that no schedule meets the budget for which ``cut`` was built, if the dual values give one."""
    certificate = _certificate(graph, cut, budget, multipliers, of_peak=True)
    value = combine(cut.model, dict(certificate.multipliers), certificate.denominator, with_cost=False)
    return certificate if value > 0 else None


def combine(model: Model, multipliers: dict[int, int], denominator: int, *, with_cost: bool) -> Fraction:
    """Evaluates ``-y b + sum_j min(0, c_j + (y A)_j)``, plus the constant, exactly; costs count as 0 without cost."""
    if any(numerator < 0 or not 0 <= row < model.shape[0] for row, numerator in multipliers.items()):
        return Fraction(0)
    column: dict[int, int] = {}
    fixed = 0
    start, items, entries = model.matrix.indptr, model.matrix.indices, model.matrix.data
    for row, numerator in multipliers.items():
        fixed -= numerator * int(model.rhs[row])
        span = slice(int(start[row]), int(start[row + 1]))
        for j, entry in zip(items[span].tolist(), entries[span].tolist(), strict=True):
            column[j] = column.get(j, 0) + numerator * entry
    for j, slope in column.items():
        fixed += min(0, slope + (denominator * int(model.cost[j]) if with_cost else 0))
    return Fraction(fixed, denominator) + (model.constant if with_cost else 0)


def rounded(multipliers: FloatArray) -> tuple[tuple[tuple[int, int], ...], int]:
    """Dual values as pairs (row, numerator) with one denominator, rounded down."""
    largest = float(np.max(multipliers, initial=0.0))
    # A power of two beyond the largest multiplier keeps every numerator within PRECISION_BITS digits.
    shift = PRECISION_BITS - int(np.ceil(np.log2(largest))) if largest > 0 else 0
    scale = 2.0 ** max(shift, 0)
    rows = np.flatnonzero(multipliers * scale >= 1)
    numerators = [int(multipliers[row] * scale) for row in rows]
    return tuple(zip(rows.tolist(), numerators, strict=True)), 2 ** max(shift, 0)


def round_up(value: Fraction, graph: Graph) -> int:
    """The least possible cost that is not below a bound: costs are sums of the nodes' costs."""
    unit = gcd(*(node.cost for node in graph.nodes)) or 1
    return max(ceil(value / unit) * unit, graph.base_cost)


def _certificate(graph: Graph, cut: CutModel, budget: int, multipliers: FloatArray, *, of_peak: bool) -> CutCertificate:
    pairs, denominator = rounded(multipliers)
    names = graph.index.node_names
    return CutCertificate(
        tuple(names[b] for b in cut.chain),
        budget,
        pairs,
        denominator,
        cut.cuts,
        of_peak,
    )
