"""The conflict relaxation (family E5): which nodes have to run again, whatever the order.

A *conflict* is a set of nodes one of which runs again in every schedule within the budget: the nodes outside of a
set F for which ``order_search.py`` finds no way. With z_v = 1 where node v runs again, ``min c z`` subject to a sum of
at least 1 over each conflict bounds the extra cost; only nodes that may run again and have an output that is read get
into conflicts, since running others again changes nothing. An empty conflict shows that no schedule is within the
budget at all.

Conflicts are found where the current solution violates them and made small by letting as many further nodes run again
as the search allows, cheap ones first: an implicit hitting set problem, here in its linear relaxation.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np

from hcp.graph.cancellation import Cancelled
from hcp.graph.index import BoolArray, IntArray
from hcp.graph.ir import Graph
from hcp.planning.compilation import ORDER_SEARCH
from hcp.planning.deadline import Deadline
from hcp.planning.parameters import Params, Range
from hcp.planning.solution import Bound
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.certificates.conflicts import Conflict, ConflictCertificate, conflict_model, repeatable
from hcp.solvers.certificates.multipliers import Multipliers, rounded
from hcp.solvers.conflicts.order_search import OrderSearch, OrderVerdict
from hcp.solvers.models.highs import LinearProgram, LpStatus
from hcp.solvers.models.rows import FloatArray

SOURCE = "conflict relaxation"

# Of work, for one search.
UNITS_PER_SEARCH = 0.02


@dataclass(frozen=True)
class ConflictParams(Params):
    """Parameters of the conflict relaxation.

    Attributes:
        thresholds: Tried in turn until a conflict is found: nodes whose recomputation has at least this value in the
            relaxation's solution may run again.
    """

    thresholds: tuple[Annotated[float, Range(0, 1, above=True)], ...] = (1e-6, 0.3, 0.5, 0.7, 1 - 1e-6)


DEFAULT_CONFLICTS: Final = ConflictParams()


def conflict_bound(
    graph: Graph, budget: int, deadline: Deadline, params: ConflictParams = DEFAULT_CONFLICTS
) -> Bound | None:
    """The best bound that conflicts found in time prove: on the cost, or on the peak if no schedule fits the budget.

    None while the search for them is being compiled.
    """
    if not ORDER_SEARCH.ready():
        return None
    finder = _Finder(graph, budget, deadline, params)
    with suppress(Cancelled), deadline.enforced():
        while not deadline.over and finder.grow():
            pass
    return finder.bound()


class _Finder:
    """Finds conflicts, and solves the relaxation that they make.

    Attributes:
        conflicts: Found so far; an empty one ends the search.
        solution: Of the relaxation, one number a node.
        multipliers: One number a conflict.
    """

    def __init__(self, graph: Graph, budget: int, deadline: Deadline, params: ConflictParams) -> None:
        self.graph = graph
        self.index = graph.index
        self.params = params
        self.budget = budget
        self.deadline = deadline
        self.useful = repeatable(graph.index)
        self.conflicts: list[Conflict] = []
        self.solution: FloatArray = np.zeros(graph.index.n)
        self.multipliers: FloatArray = np.zeros(0)
        self._search = OrderSearch(graph.index, budget)
        cheap_first = np.argsort(graph.index.cost, kind="stable")
        self._cheap_first: IntArray = cheap_first[self.useful[cheap_first]]

    def grow(self) -> bool:
        """Adds a conflict that the solution violates, and solves again; False where that leads no further."""
        conflict = self.violated(self.solution)
        if conflict is None:
            return False
        if not conflict:
            self.conflicts.append(conflict)
            return False
        result = LinearProgram(conflict_model(self.graph, (*self.conflicts, conflict))).solve(self.deadline)
        if result.status is not LpStatus.OPTIMAL:
            return False
        self.conflicts.append(conflict)
        self.solution, self.multipliers = result.point, result.multipliers
        return True

    def bound(self) -> Bound | None:
        """What the conflicts prove."""
        if not self.conflicts:
            return None
        if not self.conflicts[-1]:
            return Bound(self.budget + 1, "peak", ORDER_FREE, self.certificate(of_peak=True), SOURCE)
        pairs, denominator = rounded(self.multipliers, conflict_model(self.graph, tuple(self.conflicts)))
        certificate = self.certificate(pairs, denominator)
        value = certificate.evaluated(self.graph, certificate.rows(self.graph))
        return Bound(value, "cost", ORDER_FREE, certificate, SOURCE)

    def violated(self, solution: FloatArray) -> Conflict | None:
        """A small conflict of which the solution holds less than 1, if one is found."""
        for threshold in self.params.thresholds:
            free = self.useful & (solution >= threshold)
            if solution[self.useful & ~free].sum() < 1 - 1e-6 and self.impossible(free):
                rest = self._cheap_first[~free[self._cheap_first]]
                return tuple(np.flatnonzero(self.useful & ~self.grown(free, rest)).tolist())
        return None

    def grown(self, free: BoolArray, block: IntArray) -> BoolArray:
        """As many nodes of a block as may run again without making an order possible, halving where all is too much."""
        if not len(block) or self.deadline.over:
            return free
        more = free.copy()
        more[block] = True
        if self.impossible(more):
            return more
        if len(block) == 1:
            return free
        half = len(block) // 2
        return self.grown(self.grown(free, block[:half]), block[half:])

    def impossible(self, free: BoolArray) -> bool:
        self.deadline.spend(UNITS_PER_SEARCH)
        return self._search(free) is OrderVerdict.IMPOSSIBLE

    def certificate(
        self, pairs: Multipliers = (), denominator: int = 1, *, of_peak: bool = False
    ) -> ConflictCertificate:
        """The conflicts that hold the bound up, with their multipliers."""
        used = (len(self.conflicts) - 1,) if of_peak else tuple(row for row, _ in pairs)
        names = tuple(tuple(self.index.node_names[v] for v in self.conflicts[row]) for row in used)
        renumbered = tuple((place, numerator) for place, (_, numerator) in enumerate(pairs))
        return ConflictCertificate(
            budget=self.budget, multipliers=renumbered, denominator=denominator, of_peak=of_peak, conflicts=names
        )
