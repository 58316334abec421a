"""Certificates of conflict bounds; ``hcp.solvers.conflicts`` says what conflicts are and finds them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Final, NamedTuple

import numpy as np

from hcp.graph.cancellation import tick, ticking
from hcp.graph.errors import GraphError
from hcp.graph.fields import Record, as_list, shown
from hcp.graph.index import BoolArray, GraphIndex, IntArray
from hcp.graph.ir import Graph
from hcp.solvers.certificates.budgeted import BudgetCertificate
from hcp.solvers.certificates.multipliers import Multipliers, read_denominator, read_pairs, round_up
from hcp.solvers.formats import Format

# The version is that of the search's rules as well, and of the bound that a tree proves.
CONFLICT_FORMAT: Final = Format("conflicts", 2)


class Conflict(NamedTuple):
    """Nodes of which one runs again in every schedule within a budget.

    Attributes:
        nodes: By number, increasing.
        inputs: Whether that follows only because re-executions need their inputs.
    """

    nodes: tuple[int, ...]
    inputs: bool


# A tree in preorder: a node of the graph, which runs once in the first part and again in the second, or the multipliers
# of a part that is not divided.
Tree = tuple[int | Multipliers, ...]


@dataclass(frozen=True, kw_only=True)
class ConflictCertificate(BudgetCertificate):
    """A tree over which nodes run again, with multipliers on conflicts; ``proven`` searches each conflict again.

    Attributes:
        denominator: Of all multipliers.
        conflicts: By the numbers of nodes.
        tree: Bounds the cost in each of its parts.
    """

    format: ClassVar[Format] = CONFLICT_FORMAT
    denominator: int = 1
    conflicts: tuple[Conflict, ...]
    tree: Tree = ()

    @property
    def needs_inputs(self) -> bool:
        """Whether a conflict holds only because re-executions need their inputs, as fetches from a host do not."""
        return any(conflict.inputs for conflict in self.conflicts)

    def proven(self, graph: Graph, budget: int) -> int:
        """The bound on cost, or on the peak, that the conflicts prove; 0 where they prove nothing."""
        if not self.speaks_of(budget):
            return 0
        if self.of_peak and all(conflict.nodes for conflict in self.conflicts):
            return 0
        if not _hold(graph.index, self.budget, self.conflicts):
            return 0
        return self.budget + 1 if self.of_peak else self.value(graph)

    def value(self, graph: Graph) -> int:
        """The bound on the cost that the tree proves if the conflicts hold; 0 where it is damaged."""
        least = tree_value(graph.index.cost, self.conflicts, self.tree, self.denominator)
        return 0 if least is None else round_up(least + graph.base_cost, graph)

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores, with names instead of numbers."""
        names = graph.index.node_names
        return {
            "kind": str(self.format),
            "budget_bytes": self.budget,
            "of_peak": self.of_peak,
            "denominator": self.denominator,
            "conflicts": [
                {"nodes": [names[v] for v in conflict.nodes], "inputs": conflict.inputs} for conflict in self.conflicts
            ],
            "tree": [names[part] if isinstance(part, int) else [list(pair) for pair in part] for part in self.tree],
        }


def read_conflicts(record: Record, graph: Graph) -> ConflictCertificate:
    """A certificate of conflicts as its ``to_dict`` wrote it.

    Raises:
        GraphError: On anything else; says what is wrong.
    """
    index = graph.index
    return ConflictCertificate(
        budget=record.amount("budget_bytes"),
        of_peak=record.flag("of_peak", False),
        denominator=read_denominator(record),
        conflicts=tuple(_conflict(item, record.owner, index) for item in ticking(record.items("conflicts"))),
        tree=tuple(
            read_pairs(part, record.owner) if isinstance(part, list) else _node(part, record.owner, index)
            for part in ticking(record.items("tree"))
        ),
    )


def _conflict(item: object, owner: str, index: GraphIndex) -> Conflict:
    record = Record(item, f"a conflict of {owner}")
    names = as_list(record.get("nodes"), record.owner, "nodes")
    nodes = tuple(sorted({_node(name, record.owner, index) for name in names}))
    return Conflict(nodes, record.flag("inputs", False))


def _node(name: object, owner: str, index: GraphIndex) -> int:
    found = index.node_of.get(name) if isinstance(name, str) else None
    if found is None:
        raise GraphError(f"{owner} names {shown(name)}; expected the name of a node")
    return found


def _hold(index: GraphIndex, budget: int, conflicts: Iterable[Conflict]) -> bool:
    """Whether all these are conflicts."""
    # Here, since it loads a compiler and most plans have no conflicts to check.
    from hcp.solvers.conflicts.order_search import OrderSearch, OrderVerdict

    search, useful = OrderSearch(index, budget), repeatable(index)
    # Files may repeat them.
    for conflict in dict.fromkeys(conflicts):
        tick()
        if search(useful & ~_mask(index, conflict.nodes), traced=conflict.inputs) is not OrderVerdict.IMPOSSIBLE:
            return False
    return True


def repeatable(index: GraphIndex) -> BoolArray:
    """The nodes that may run again and whose outputs are read."""
    read = np.zeros(index.n, np.bool_)
    wanted = (np.diff(index.readers.start) > 0) & (index.producer >= 0)
    read[index.producer[wanted]] = True
    return read & index.recomputable


def _mask(index: GraphIndex, nodes: Sequence[int]) -> BoolArray:
    mask = np.zeros(index.n, np.bool_)
    mask[list(nodes)] = True
    return mask


def tree_value(cost: IntArray, conflicts: Sequence[Conflict], tree: Tree, denominator: int) -> Fraction | None:
    """The extra cost that a tree proves: the least of its parts; None where it is no tree."""
    least: Fraction | None = None
    # Of each part still to come, whether the nodes divided on run again.
    waiting: list[dict[int, bool]] = [{}]
    for part in tree:
        tick()
        if not waiting:
            return None
        fixed = waiting.pop()
        if isinstance(part, int):
            if part in fixed:
                return None
            waiting += [{**fixed, part: True}, {**fixed, part: False}]
            continue
        value = part_value(cost, conflicts, part, denominator, fixed)
        if value is None:
            return None
        least = value if least is None else min(least, value)
    return None if waiting else least


def part_value(
    cost: IntArray, conflicts: Sequence[Conflict], multipliers: Multipliers, denominator: int, fixed: dict[int, bool]
) -> Fraction | None:
    """The extra cost that multipliers prove where some nodes are known to run again or not; None for no multipliers.

    ``sum c_v z_v`` is at least ``sum y_i + sum (c_v - sum of y_i over conflicts with v) z_v``, as each conflict has one
    node with ``z_v = 1``.
    """
    slope: dict[int, int] = {v: 0 for v, again in fixed.items() if again}
    total = 0
    for row, numerator in multipliers:
        if numerator < 0 or not 0 <= row < len(conflicts):
            return None
        total += numerator
        for v in conflicts[row].nodes:
            slope[v] = slope.get(v, 0) - numerator
    for v, change in slope.items():
        again = fixed.get(v)
        reduced = change + denominator * int(cost[v])
        total += reduced if again else 0 if again is False else min(0, reduced)
    return Fraction(total, denominator)
