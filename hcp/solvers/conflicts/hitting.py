"""The cheapest nodes that meet every conflict: a minimum hitting set, by branch and bound over linear relaxations.

Each part of the tree fixes whether some nodes run again. Its bound is evaluated in integers from the multipliers of its
linear program, as the certificate's will be; nothing trusts the solver. Parts are divided best first, so that the least
bound of those that are not divided holds at any time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from heapq import heappop, heappush
from math import ldexp
from typing import Final

import numpy as np
from scipy import sparse

from hcp.graph.index import BoolArray
from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.solvers.certificates.conflicts import Conflict, Tree, part_value
from hcp.solvers.certificates.multipliers import LOSS_BITS, Multipliers, round_up
from hcp.solvers.models.highs import LinearProgram, LpStatus
from hcp.solvers.models.rows import FloatArray, Model

# A part whose point is this close to whole numbers has no better ones to divide it on.
_WHOLE: Final = 1e-6


@dataclass
class _Part:
    """A part of the tree.

    Attributes:
        fixed: Whether nodes run again.
        multipliers: Of its bound.
        bound: On the cost.
        point: Of its linear program.
        divided: The node it is divided on, and its halves: without that node running again, and with it.
    """

    fixed: dict[int, bool]
    multipliers: Multipliers
    bound: int
    point: FloatArray
    divided: "tuple[int, _Part, _Part] | None" = None


@dataclass(frozen=True)
class HittingSet:
    """What is known of the cheapest nodes that meet every conflict.

    Attributes:
        bound: On the cost of a schedule, by the tree.
        tree: As a certificate holds it.
        point: The solution of the linear relaxation.
        chosen: Nodes that meet all conflicts, the cheapest known.
    """

    bound: int
    tree: Tree
    point: FloatArray
    chosen: BoolArray


@dataclass
class HittingSets:
    """Looks for them.

    Attributes:
        graph: Whose nodes have costs.
        conflicts: Not empty ones.
        deadline: Of all searches.
    """

    graph: Graph
    conflicts: Sequence[Conflict]
    deadline: Deadline
    _best: BoolArray = field(init=False)
    _best_cost: int = field(init=False)

    def __post_init__(self) -> None:
        self._best = np.ones(self.graph.index.n, np.bool_)
        self._best_cost = self._cost(self._best)

    @property
    def denominator(self) -> int:
        """Of all multipliers."""
        return 1 << self._digits

    def search(self, most: int) -> HittingSet | None:
        """Divides parts until the best set is known to be a cheapest one, or so often; None if time is up at once."""
        root = self._part({}, None)
        if root is None:
            return None
        waiting = [(root.bound, 0, root)]
        for count in range(most):
            bound, _, part = waiting[0]
            divided = self._divided(part) if bound < self._best_cost else None
            if divided is None:
                break
            heappop(waiting)
            for place, half in enumerate(divided):
                heappush(waiting, (half.bound, 2 * count + place + 1, half))
        bound = min(self._best_cost, waiting[0][0])
        return HittingSet(bound, tuple(_preorder(root)), root.point, self._best)

    def _divided(self, part: _Part) -> tuple[_Part, _Part] | None:
        """The halves of a part, which notes them; None where the time is up."""
        open_nodes = [v for v in self._met if v not in part.fixed]
        if not open_nodes:
            return None
        # The node that costs most of those that are neither in nor out; else the one that is most in.
        cost, point = self.graph.index.cost, part.point
        node = max(open_nodes, key=lambda v: (min(point[v], 1 - point[v]) * cost[v] * (point[v] > _WHOLE), point[v]))
        without, again = (self._part({**part.fixed, node: choice}, part) for choice in (False, True))
        if without is None or again is None:
            return None
        part.divided = node, without, again
        return without, again

    def _part(self, fixed: dict[int, bool], parent: _Part | None) -> _Part | None:
        """A part with its bound, which is no worse than its parent's; None where the time is up."""
        for row, conflict in enumerate(self.conflicts):
            if all(fixed.get(v) is False for v in conflict.nodes):
                # No set meets this one: the bound may be anything.
                enough = ((row, self._best_cost * self.denominator),)
                return _Part(fixed, enough, self._bound(enough, fixed), np.zeros(self.graph.index.n))
        low, high = np.zeros(self.graph.index.n), np.ones(self.graph.index.n)
        for v, again in fixed.items():
            low[v] = high[v] = float(again)
        self._program.limit(low, high, np.zeros(0), np.zeros(0))
        result = self._program.solve(self.deadline)
        if result.status is not LpStatus.OPTIMAL:
            return None
        self._round(result.point)
        found = self._rounded(result.multipliers)
        choices = [found, (), *([] if parent is None else [parent.multipliers])]
        best = max(choices, key=lambda pairs: self._value(pairs, fixed))
        return _Part(fixed, best, self._bound(best, fixed), result.point)

    def _rounded(self, multipliers: FloatArray) -> Multipliers:
        numerators = ((row, int(ldexp(float(multipliers[row]), self._digits))) for row in range(len(self.conflicts)))
        return tuple((row, numerator) for row, numerator in numerators if numerator > 0)

    def _value(self, pairs: Multipliers, fixed: dict[int, bool]) -> Fraction:
        value = part_value(self.graph.index.cost, self.conflicts, pairs, self.denominator, fixed)
        assert value is not None
        return value

    def _bound(self, pairs: Multipliers, fixed: dict[int, bool]) -> int:
        return round_up(self._value(pairs, fixed) + self.graph.base_cost, self.graph)

    def _round(self, point: FloatArray) -> None:
        """Makes a set of a point: what is in it, then the cheapest that meet the other conflicts, less the needless."""
        cost = self.graph.index.cost
        chosen = point > 1 - _WHOLE
        for conflict in sorted(self.conflicts, key=lambda each: -point[list(each.nodes)].max()):
            nodes = np.array(conflict.nodes)
            if not chosen[nodes].any():
                chosen[nodes[np.argmin(cost[nodes] * (1 - point[nodes]))]] = True
        for v in sorted(np.flatnonzero(chosen).tolist(), key=lambda v: -int(cost[v])):
            chosen[v] = not all(chosen[list(each.nodes)].sum() > 1 for each in self.conflicts if v in each.nodes)
        total = self._cost(chosen)
        if total < self._best_cost:
            self._best, self._best_cost = chosen, total

    def _cost(self, chosen: BoolArray) -> int:
        return self.graph.base_cost + int(self.graph.index.cost[chosen].sum())

    @cached_property
    def _digits(self) -> int:
        return LOSS_BITS + (self.graph.index.n * len(self.conflicts)).bit_length()

    @cached_property
    def _met(self) -> list[int]:
        return sorted({v for conflict in self.conflicts for v in conflict.nodes})

    @cached_property
    def _program(self) -> LinearProgram:
        index = self.graph.index
        start = np.cumsum([0, *(len(conflict.nodes) for conflict in self.conflicts)])
        items = np.array([v for conflict in self.conflicts for v in conflict.nodes], np.int64)
        entries = np.full(len(items), -1, np.int64)
        matrix = sparse.csr_matrix((entries, items, start), shape=(len(self.conflicts), index.n), dtype=np.int64)
        rhs = np.full(len(self.conflicts), -1, np.int64)
        model = Model(matrix, rhs, index.cost, self.graph.base_cost, np.ones(index.n, np.bool_))
        return LinearProgram(model)


def _preorder(root: _Part) -> list[int | Multipliers]:
    found: list[int | Multipliers] = []
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.divided is None:
            found.append(part.multipliers)
            continue
        node, without, again = part.divided
        found.append(node)
        waiting += [again, without]
    return found
