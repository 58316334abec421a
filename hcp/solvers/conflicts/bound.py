"""The conflict relaxation (family E5): which nodes have to run again, whatever the order.

A *conflict* is a set of nodes one of which runs again in every schedule within the budget: the nodes outside of a
set F for which ``order_search.py`` finds no way. With z_v = 1 where node v runs again, ``min c z`` subject to a sum of
at least 1 over each conflict bounds the extra cost; only nodes that may run again and have an output that is read get
into conflicts, since running others again changes nothing. An empty conflict shows that no schedule is within the
budget at all.

Conflicts are found where the current solution violates them and made small by letting as many further nodes run again
as the search allows, cheap ones first: an implicit hitting set problem (Moreno-Centeno and Karp 2013). The solution is
that of the linear relaxation while it violates conflicts, and a cheapest hitting set (``hitting.py``) from then on.
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
from hcp.planning.parameters import Count, Params, Range, Whole
from hcp.planning.solution import Bound
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.certificates.conflicts import Conflict, ConflictCertificate, Tree, repeatable
from hcp.solvers.conflicts.hitting import HittingSet, HittingSets
from hcp.solvers.conflicts.order_search import MOST_WORK, OrderSearch, OrderVerdict
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
        parts: The tree for a cheapest hitting set divides so many parts at most.
        first_work: Sets of nodes that a search keeps, times nodes, at most. Where searches give up and nothing is
            found, hitting sets are tried with the most that certificates allow.
        patience: So many searches in a row give up before it is left at that.
    """

    thresholds: tuple[Annotated[float, Range(0, 1, above=True)], ...] = (1e-6, 0.3, 0.5, 0.7, 1 - 1e-6)
    parts: Count = 300
    first_work: Whole = 4_000_000
    patience: Whole = 4


DEFAULT_CONFLICTS: Final = ConflictParams()


def conflict_bound(
    graph: Graph, budget: int, deadline: Deadline, params: ConflictParams = DEFAULT_CONFLICTS, *, inputs: bool = True
) -> Bound | None:
    """The best bound that conflicts found in time prove: on the cost, or on the peak if no schedule fits the budget.

    Args:
        graph: The graph.
        budget: Bytes.
        deadline: Of the search; the best so far is returned then.
        params: Parameters.
        inputs: Whether re-executions need their inputs; values that are fetched from a host do not.

    Returns:
        None while the search for conflicts is being compiled, or where there is none.
    """
    found = Conflicts(graph, budget, params)
    found.search(deadline, inputs=False)
    if inputs:
        found.search(deadline)
        found.search(deadline, exact=True)
    return found.bound


class Conflicts:
    """Conflicts found so far, and the cheapest nodes that meet them.

    Attributes:
        found: The conflicts; an empty one ends the search.
        point: Of the linear relaxation that they make.
        best: What proves the best bound on the cost.
    """

    def __init__(self, graph: Graph, budget: int, params: ConflictParams = DEFAULT_CONFLICTS) -> None:
        self.graph = graph
        self.budget = budget
        self.params = params
        self.found: list[Conflict] = []
        self.point: FloatArray = np.zeros(graph.index.n)
        self.best: ConflictCertificate | None = None
        self._deadline = Deadline()
        self._inputs = False
        self._work = params.first_work
        self._given_up = 0
        self._useful = repeatable(graph.index)
        self._orders = OrderSearch(graph.index, budget)
        cheap_first = np.argsort(graph.index.cost, kind="stable")
        self._cheap_first: IntArray = cheap_first[self._useful[cheap_first]]

    @property
    def bound(self) -> Bound | None:
        """What the conflicts prove."""
        if self.hopeless:
            certificate = ConflictCertificate(budget=self.budget, of_peak=True, conflicts=(self.found[-1],))
            return Bound(self.budget + 1, "peak", ORDER_FREE, certificate, SOURCE)
        if self.best is None:
            return None
        return Bound(self.best.value(self.graph), "cost", ORDER_FREE, self.best, SOURCE)

    @property
    def hopeless(self) -> bool:
        """Whether no schedule fits the budget."""
        return bool(self.found) and not self.found[-1].nodes

    def search(self, deadline: Deadline, *, inputs: bool = True, exact: bool = False) -> None:
        """Finds conflicts until none is violated, or the time is up; none while the search is being compiled.

        Args:
            deadline: Of the search.
            inputs: Whether re-executions need their inputs, where they may have them for nothing otherwise. There are
                more conflicts then.
            exact: Whether cheapest hitting sets have to violate conflicts, or the linear relaxation alone.
        """
        self._deadline, self._inputs = deadline, inputs
        with suppress(Cancelled), deadline.enforced():
            while not (deadline.over or self.hopeless) and ORDER_SEARCH.ready():
                self._given_up = 0
                conflict = self.violated(self.point) or (self.missed() if exact else None)
                if conflict is None and exact and self._given_up and self._work < MOST_WORK:
                    self._work = MOST_WORK
                    continue
                if conflict is None:
                    return
                self.found.append(conflict)
                found = self.solved(0) if conflict.nodes else None
                if found is None:
                    return
                self.point = found.point

    def missed(self) -> Conflict | None:
        """A conflict that a cheapest hitting set does not meet, where the linear relaxation violates none."""
        if not self.found:
            return None
        found = self.solved(self.params.parts)
        return None if found is None else self.beyond(found.chosen & self._useful)

    def solved(self, parts: int) -> HittingSet | None:
        """A hitting set of all conflicts, after so many divisions at most; keeps what it proves."""
        sets = HittingSets(self.graph, self.found, self._deadline)
        found = sets.search(parts)
        if found is not None and (self.best is None or found.bound > self.best.value(self.graph)):
            self.best = self.certificate(tuple(self.found), sets.denominator, found.tree)
        return found

    def violated(self, point: FloatArray) -> Conflict | None:
        """A small conflict of which a point holds less than 1, if one is found."""
        tried: list[BoolArray] = []
        for threshold in self.params.thresholds:
            free = self._useful & (point >= threshold)
            if point[self._useful & ~free].sum() >= 1 - 1e-6 or any((free == other).all() for other in tried):
                continue
            tried.append(free)
            conflict = self.beyond(free)
            # Searches with fewer nodes that may run again take longer.
            if conflict is not None or self._given_up:
                return conflict
        return None

    def beyond(self, free: BoolArray) -> Conflict | None:
        """A small conflict without nodes of a set, if one is found."""
        # The more nodes may run again, the sooner a search ends: the set itself comes last where all take long.
        at_last = self._work > self.params.first_work
        verdict = OrderVerdict.UNKNOWN if at_last else self.verdict(free)
        if verdict is OrderVerdict.POSSIBLE or (verdict is OrderVerdict.UNKNOWN and not self._inputs):
            return None
        larger = self.grown(free, self._cheap_first[~free[self._cheap_first]])
        if at_last and larger is free:
            verdict = self.verdict(free)
        if self._deadline.over or (verdict is not OrderVerdict.IMPOSSIBLE and larger is free):
            # A large conflict adds little, and its check takes long.
            return None
        return Conflict(tuple(np.flatnonzero(self._useful & ~larger).tolist()), self._inputs)

    def grown(self, free: BoolArray, block: IntArray) -> BoolArray:
        """As many nodes of a block as may run again without making an order possible, halving where all is too much."""
        if not len(block) or self._deadline.over or self._given_up > self.params.patience:
            return free
        more = free.copy()
        more[block] = True
        if self.verdict(more) is OrderVerdict.IMPOSSIBLE:
            return more
        if len(block) == 1:
            return free
        half = len(block) // 2
        return self.grown(self.grown(free, block[:half]), block[half:])

    def verdict(self, free: BoolArray) -> OrderVerdict:
        """Whether some order fits."""
        self._deadline.spend(UNITS_PER_SEARCH)
        found = self._orders(free, traced=self._inputs, work=self._work)
        if found is OrderVerdict.UNKNOWN:
            self._given_up += 1
        elif found is OrderVerdict.IMPOSSIBLE:
            self._given_up = 0
        return found

    def certificate(self, conflicts: tuple[Conflict, ...], denominator: int, tree: Tree) -> ConflictCertificate:
        """A tree with the conflicts that its multipliers mention."""
        used = sorted({row for part in tree if not isinstance(part, int) for row, _ in part})
        place = {row: i for i, row in enumerate(used)}
        renumbered = tuple(
            part if isinstance(part, int) else tuple((place[row], numerator) for row, numerator in part)
            for part in tree
        )
        return ConflictCertificate(
            budget=self.budget,
            denominator=denominator,
            conflicts=tuple(conflicts[row] for row in used),
            tree=renumbered,
        )
