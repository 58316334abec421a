"""Orders and parts of graphs."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from heapq import heapify, heappop, heappush
from typing import Any

from hcp.graph.errors import GraphError
from hcp.graph.ir import Graph, Node, Value


def topological_order(graph: Graph, priority: Mapping[str, int] | None = None) -> tuple[str, ...]:
    """All nodes, every one after the nodes that it reads from; among ready nodes the least priority comes first.

    Args:
        graph: The computation.
        priority: By node name; the place in the graph's own order where not given, which gives that order back.
    """
    names, place = graph.index.node_names, {name: i for i, name in enumerate(graph.order)}
    rank = place if priority is None else priority
    found = least_first(graph.index.predecessors, [(rank[name], place[name]) for name in names])
    return tuple(names[v] for v in found)


def least_first(predecessors: Sequence[Collection[int]], ranks: Sequence[Any]) -> list[int]:
    """The positions of a list, every one after its predecessors; among ready ones the least by rank comes first.

    Args:
        predecessors: Of each position, each named once.
        ranks: Of each position; of equal ones the earlier position comes first.
    """
    waiting = [len(row) for row in predecessors]
    readers: list[list[int]] = [[] for _ in predecessors]
    for v, row in enumerate(predecessors):
        for u in row:
            readers[u].append(v)
    ready = [(ranks[v], v) for v, count in enumerate(waiting) if not count]
    heapify(ready)
    found = []
    while ready:
        _, v = heappop(ready)
        found.append(v)
        for w in readers[v]:
            waiting[w] -= 1
            if not waiting[w]:
                heappush(ready, (ranks[w], w))
    return found


def is_topological(graph: Graph, order: Sequence[str]) -> bool:
    """Whether an order runs every node once, and after all that it reads from."""
    place = {name: i for i, name in enumerate(order)}
    if len(order) != len(graph.nodes) or place.keys() != graph.node.keys():
        return False
    return all(place[before] < place[after] for before, after in graph.edges)


def ancestors(graph: Graph, names: Iterable[str]) -> frozenset[str]:
    """These nodes and all that they depend on."""
    index = graph.index
    mask = 0
    for name in names:
        v = index.node_of[_known(graph, name)]
        mask |= index.ancestors[v] | 1 << v
    return frozenset(name for name, v in index.node_of.items() if mask >> v & 1)


def descendants(graph: Graph, names: Iterable[str]) -> frozenset[str]:
    """These nodes and all that depend on them."""
    index = graph.index
    mask = sum(1 << index.node_of[name] for name in {_known(graph, name) for name in names})
    return frozenset(name for name, v in index.node_of.items() if (index.ancestors[v] | 1 << v) & mask)


def induced_subgraph(graph: Graph, names: Iterable[str], name: str | None = None) -> Graph:
    """The part of a graph that these nodes are.

    What they read from outside becomes an input, and what outside nodes read of them stays to the end, so that a
    schedule of the part delivers it. Order, kinds and sizes are the graph's.

    Args:
        graph: The computation.
        names: The nodes to keep, at least one.
        name: The part's name; the graph's where not given.

    Raises:
        GraphError: If a name is no node, or there is none.
    """
    kept = {_known(graph, wanted) for wanted in names}
    nodes = [node for node in graph.nodes if node.name in kept]
    made = {value.name for node in nodes for value in node.outputs}
    leaving = {value for value in made if not kept.issuperset(graph.readers[value])}
    outside = dict.fromkeys(value for node in nodes for value in node.inputs if value not in made)
    return Graph(
        nodes=tuple(_keeping(node, leaving) for node in nodes),
        inputs=tuple(_given(graph, value) for value in outside),
        order=tuple(step for step in graph.order if step in kept),
        name=name or graph.name,
        cost_unit=graph.cost_unit,
    )


def _keeping(node: Node, leaving: Set[str]) -> Node:
    """The node, with those of its outputs resident that leave the part."""
    return replace(node, outputs=tuple(replace(v, resident=v.resident or v.name in leaving) for v in node.outputs))


def _given(graph: Graph, name: str) -> Value:
    """A value as an input of a part that does not make it."""
    value = graph.values[name]
    return replace(value, kind="input", resident=True) if name in graph.producer else value


def _known(graph: Graph, name: str) -> str:
    if name not in graph.node:
        raise GraphError(f"there is no node {name!r} in graph {graph.name!r}; give names of its nodes")
    return name
