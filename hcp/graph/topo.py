"""Orders and parts of graphs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush

from hcp.graph.errors import GraphError
from hcp.graph.ir import Graph


def topological_order(graph: Graph, priority: Mapping[str, int] | None = None) -> tuple[str, ...]:
    """All nodes, every one after the nodes that it reads from; among ready nodes the least priority comes first.

    Args:
        graph: The computation.
        priority: By node name; the place in the graph's own order where not given, which gives that order back.
    """
    names, place = graph.index.node_names, {name: i for i, name in enumerate(graph.order)}
    rank = place if priority is None else priority
    waiting = [len(row) for row in graph.index.predecessors]
    readers: list[list[int]] = [[] for _ in names]
    for v, row in enumerate(graph.index.predecessors):
        for u in row:
            readers[u].append(v)
    ready = [(rank[names[v]], place[names[v]], v) for v in range(len(names)) if not waiting[v]]
    heapify(ready)
    found = []
    while ready:
        _, _, v = heappop(ready)
        found.append(names[v])
        for w in readers[v]:
            waiting[w] -= 1
            if not waiting[w]:
                heappush(ready, (rank[names[w]], place[names[w]], w))
    return tuple(found)


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
    made = {value.name for node in graph.nodes if node.name in kept for value in node.outputs}
    read = dict.fromkeys(value for node in graph.nodes if node.name in kept for value in node.inputs)
    leaving = {value for value in made if any(reader not in kept for reader in graph.readers[value])}
    outside = [graph.values[value] for value in read if value not in made]
    return Graph(
        nodes=tuple(
            replace(
                node,
                outputs=tuple(replace(v, resident=v.resident or v.name in leaving) for v in node.outputs),
            )
            for node in graph.nodes
            if node.name in kept
        ),
        inputs=tuple(
            value if value.name not in graph.producer else replace(value, kind="input", resident=True)
            for value in outside
        ),
        order=tuple(step for step in graph.order if step in kept),
        name=name or graph.name,
        cost_unit=graph.cost_unit,
    )


def _known(graph: Graph, name: str) -> str:
    if name not in graph.node:
        raise GraphError(f"there is no node {name!r} in graph {graph.name!r}; give names of its nodes")
    return name
