"""Trees of balanced separators, from the tree decompositions that networkx finds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hcp.graph.cancellation import tick

if TYPE_CHECKING:
    import networkx as nx

    Bag = frozenset[int]


@dataclass(frozen=True)
class Separators:
    """A separator and the parts that it leaves, each with a separator of its own.

    Attributes:
        separator: The nodes that separate the parts.
        parts: Sets of nodes without edges between them; empty where there is nothing left to separate.
        nodes: The separator's nodes and the parts'.
    """

    separator: frozenset[int]
    parts: tuple["Separators", ...]
    nodes: frozenset[int]

    @property
    def depth(self) -> int:
        """Separators on the longest path from here down."""
        return 1 + max((part.depth for part in self.parts), default=0)

    @property
    def width(self) -> int:
        """Nodes of the largest separator."""
        return max(len(self.separator), *(part.width for part in self.parts), 0)


def separator_tree(predecessors: Sequence[Sequence[int]], rule: Literal["degree", "fill"]) -> Separators:
    """A tree of balanced separators of a DAG.

    Args:
        predecessors: Per node, the nodes it has an edge from.
        rule: Which heuristic elimination order the decomposition comes from: minimum degree or minimum fill-in.
    """
    import networkx as nx
    from networkx.algorithms.approximation.treewidth import MinDegreeHeuristic, min_fill_in_heuristic, treewidth_decomp

    graph = nx.Graph()
    graph.add_nodes_from(range(len(predecessors)))
    graph.add_edges_from((u, v) for v, row in enumerate(predecessors) for u in row)
    choose = MinDegreeHeuristic(graph).best_node if rule == "degree" else min_fill_in_heuristic

    def eliminated(rest: "nx.Graph") -> int | None:
        tick()
        node: int | None = choose(rest)
        return node

    return _separate(_as_tree(treewidth_decomp(graph, eliminated)[1]), frozenset())


def _as_tree(decomposition: "nx.Graph") -> "nx.Graph":
    """One tree of a decomposition that may be a forest: graphs need not be connected."""
    import networkx as nx

    parts = [min(part, key=sorted) for part in nx.connected_components(decomposition)]
    decomposition.add_edges_from((parts[0], other) for other in parts[1:])
    return decomposition


def _separate(tree: "nx.Graph", above: frozenset[int]) -> Separators:
    """Splits a tree of bags at its centroid; nodes of the separators above are left out."""
    import networkx as nx

    tick()
    bag = _centroid(tree)
    rest = tree.subgraph(set(tree) - {bag})
    own = bag - above
    known = above | bag
    parts = [_separate(rest.subgraph(part), known) for part in nx.connected_components(rest)]
    # Bags that hold nothing new separate nothing.
    filled = tuple(sorted((part for part in parts if part.nodes), key=lambda part: min(part.nodes)))
    return Separators(own, filled, own.union(*(part.nodes for part in filled)))


def _centroid(tree: "nx.Graph") -> "Bag":
    """The bag whose removal leaves the smallest largest part."""
    import networkx as nx

    root = min(tree, key=sorted)
    order = list(nx.dfs_preorder_nodes(tree, root))
    parent = {child: above for above, child in nx.dfs_edges(tree, root)}
    size = dict.fromkeys(order, 1)
    largest = dict.fromkeys(order, 0)
    for bag in reversed(order):
        if bag in parent:
            size[parent[bag]] += size[bag]
            largest[parent[bag]] = max(largest[parent[bag]], size[bag])
    return min(order, key=lambda bag: (max(largest[bag], len(order) - size[bag]), sorted(bag)))
