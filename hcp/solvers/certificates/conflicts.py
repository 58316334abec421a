"""Certificates of conflict bounds; ``hcp.solvers.conflicts`` says what conflicts are and finds them."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from hcp.graph.index import BoolArray, GraphIndex
from hcp.graph.ir import Graph
from hcp.planning.solution import Quantity
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.certificates.cuts import combine, round_up
from hcp.solvers.models.rows import Model

# What plan files call these certificates.
CONFLICT_KIND = "conflicts/1"

Conflict = tuple[int, ...]


@dataclass(frozen=True)
class ConflictCertificate:
    """Multipliers on conflicts; ``proven`` searches each of them again.

    Attributes:
        budget: Bytes for which they were found; the proof holds for every budget up to it.
        conflicts: Names of the nodes of each.
        multipliers: Pairs (conflict, numerator).
        denominator: Of all multipliers.
        of_peak: False where the multipliers bound the cost; True where the one conflict is empty, so that the peak is
            at least one byte more than the budget.
    """

    budget: int
    conflicts: tuple[tuple[str, ...], ...]
    multipliers: tuple[tuple[int, int], ...]
    denominator: int
    of_peak: bool = False

    @property
    def of(self) -> Quantity:
        """What the conflicts bound."""
        return "peak" if self.of_peak else "cost"

    @property
    def scope(self) -> str:
        """Conflicts speak of every schedule."""
        return ORDER_FREE

    def proven(self, graph: Graph, budget: int) -> int:
        """The bound on cost, or on the peak, that the conflicts prove; 0 where they prove nothing."""
        index = graph.index
        if budget > self.budget and not self.of_peak:
            return 0
        number = index.node_of
        if not all(name in number for names in self.conflicts for name in names):
            return 0
        conflicts = tuple(tuple(number[name] for name in names) for names in self.conflicts)
        # Here, since it loads a compiler and most plans have no conflicts to check.
        from hcp.solvers.conflicts.order_search import OrderSearch, Verdict

        search, useful = OrderSearch(index, self.budget), repeatable(index)
        for conflict in conflicts:
            if search(useful & ~_mask(index, conflict)) is not Verdict.IMPOSSIBLE:
                return 0
        if self.of_peak:
            return self.budget + 1 if () in conflicts else 0
        return bound_on_cost(graph, conflicts, self.multipliers, self.denominator)

    def to_dict(self, graph: Graph) -> dict[str, object]:  # noqa: ARG002 - the names are the graph's already
        """What a plan file stores."""
        return {
            "kind": CONFLICT_KIND,
            "budget_bytes": self.budget,
            "of_peak": self.of_peak,
            "conflicts": [list(names) for names in self.conflicts],
            "denominator": self.denominator,
            "multipliers": [list(pair) for pair in self.multipliers],
        }


def repeatable(index: GraphIndex) -> BoolArray:
    """The nodes that may run again and whose outputs are read."""
    read = np.zeros(index.n, np.bool_)
    wanted = (np.diff(index.readers.start) > 0) & (index.producer >= 0)
    read[index.producer[wanted]] = True
    return read & index.recomputable


def conflict_model(graph: Graph, conflicts: tuple[Conflict, ...]) -> Model:
    """The model over all nodes, one row a conflict."""
    index = graph.index
    start = np.concatenate(([0], np.cumsum([len(conflict) for conflict in conflicts], dtype=np.int64)))
    items = np.array([v for conflict in conflicts for v in conflict], np.int64)
    matrix = sparse.csr_matrix(
        (np.full(len(items), -1, np.int64), items, start), shape=(len(conflicts), index.n), dtype=np.int64
    )
    rhs = np.full(len(conflicts), -1, np.int64)
    return Model(matrix, rhs, index.cost, graph.base_cost, np.ones(index.n, np.bool_))


def bound_on_cost(
    graph: Graph, conflicts: tuple[Conflict, ...], multipliers: tuple[tuple[int, int], ...], denominator: int
) -> int:
    """The cost that multipliers on conflicts prove, exactly."""
    value = combine(conflict_model(graph, conflicts), dict(multipliers), denominator, with_cost=True)
    return round_up(value, graph)


def _mask(index: GraphIndex, nodes: Conflict) -> BoolArray:
    mask = np.zeros(index.n, np.bool_)
    mask[list(nodes)] = True
    return mask
