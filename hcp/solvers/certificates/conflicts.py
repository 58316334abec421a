"""Certificates of conflict bounds; ``hcp.solvers.conflicts`` says what conflicts are and finds them."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from scipy import sparse

from hcp.graph.errors import GraphError
from hcp.graph.fields import Record, as_list, shown
from hcp.graph.index import BoolArray, GraphIndex
from hcp.graph.ir import Graph
from hcp.solvers.certificates.multipliers import DualCertificate, dual_fields
from hcp.solvers.formats import Format
from hcp.solvers.models.rows import Model

# The version is that of the search's rules as well, and of ``conflict_model``.
CONFLICT_FORMAT: Final = Format("conflicts", 1)

Conflict = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ConflictCertificate(DualCertificate):
    """Multipliers on conflicts; ``proven`` searches each of them again.

    Attributes:
        conflicts: Names of the nodes of each. For the peak one of them is empty, which needs no multiplier.
    """

    format: ClassVar[Format] = CONFLICT_FORMAT
    conflicts: tuple[tuple[str, ...], ...]

    def rows(self, graph: Graph) -> Model:
        """One row a conflict, whose nodes all have to be there."""
        return conflict_model(graph, self._conflicts(graph.index))

    def rebuilt(self, graph: Graph) -> Model | None:
        """One row a conflict; None where one of them is none."""
        index = graph.index
        if not all(name in index.node_of for names in self.conflicts for name in names):
            return None
        # Here, since it loads a compiler and most plans have no conflicts to check.
        from hcp.solvers.conflicts.order_search import OrderSearch, OrderVerdict

        search, useful = OrderSearch(index, self.budget), repeatable(index)
        # Files may repeat them.
        for conflict in dict.fromkeys(tuple(sorted(set(nodes))) for nodes in self._conflicts(index)):
            if search(useful & ~_mask(index, conflict)) is not OrderVerdict.IMPOSSIBLE:
                return None
        return self.rows(graph)

    def evaluated(self, graph: Graph, model: Model) -> int:
        """The bound that multipliers on conflicts prove, or that an empty conflict does by itself."""
        if self.of_peak:
            return self.budget + 1 if () in self.conflicts else 0
        return super().evaluated(graph, model)

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores."""
        return {**super().to_dict(graph), "conflicts": [list(names) for names in self.conflicts]}

    def _conflicts(self, index: GraphIndex) -> tuple[Conflict, ...]:
        return tuple(tuple(index.node_of[name] for name in names) for names in self.conflicts)


def read_conflicts(record: Record, _: Graph) -> ConflictCertificate:
    """A certificate of conflicts as its ``to_dict`` wrote it."""
    conflicts = tuple(_names(item, record.owner) for item in record.items("conflicts"))
    return ConflictCertificate(**dual_fields(record), conflicts=conflicts)


def _names(item: object, owner: str) -> tuple[str, ...]:
    names = tuple(as_list(item, owner, "conflicts"))
    if not all(isinstance(name, str) for name in names):
        raise GraphError(f"{owner} has conflict {shown(item)}; expected a list of nodes' names")
    return tuple(str(name) for name in names)


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


def _mask(index: GraphIndex, nodes: Conflict) -> BoolArray:
    mask = np.zeros(index.n, np.bool_)
    mask[list(nodes)] = True
    return mask
