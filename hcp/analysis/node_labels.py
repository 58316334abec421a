"""Labels of nodes: numbers that nodes share which do the same, and an order that does not depend on names."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from hcp.graph.cancellation import ticking
from hcp.graph.index import GraphIndex, IntArray
from hcp.graph.ir import Graph


def node_labels(graph: Graph) -> IntArray:
    """Per node of the index: a number that nodes share which do the same, whatever they are called and cost."""
    values = graph.values
    uses = Counter(node.op for node in graph.nodes)
    # Where most nodes have an op of their own these are names.
    named = 2 * sum(count == 1 for count in uses.values()) > len(graph.nodes)
    return _numbered(
        (
            "" if named else node.op,
            node.workspace,
            node.recomputable,
            tuple((value.bytes, value.resident) for value in node.outputs),
            tuple(values[name].bytes for name in node.inputs),
        )
        for node in graph.nodes
    )


def refined(index: GraphIndex, labels: IntArray) -> IntArray:
    """Labels that also tell nodes apart whose inputs or readers have different labels.

    One round of colour refinement (Weisfeiler and Leman 1968).
    """
    label = [*labels.tolist(), -1]
    producer: list[int] = index.producer.tolist()
    readers = index.readers.tolists()
    rows = zip(index.inputs.tolists(), index.outputs.tolists(), strict=True)
    return _numbered(
        (
            label[node],
            tuple(label[producer[value]] for value in inputs),
            tuple(tuple(sorted(label[reader] for reader in readers[value])) for value in outputs),
        )
        for node, (inputs, outputs) in enumerate(rows)
    )


def level_order(index: GraphIndex, labels: IntArray) -> list[int]:
    """A topological order that equal parts of a graph have alike, however the graph's own order mixes them.

    Nodes stand just before their first readers, by longest paths, and sinks just after what they read. Among
    nodes of one level the label decides, then the places of what reads them, then of what they read.
    """
    before, after, order = index.predecessors, index.successors, index.order.tolist()
    early = [0] * index.n
    for node in ticking(order):
        early[node] = 1 + max((early[maker] for maker in before[node]), default=-1)
    level = early.copy()
    for node in ticking(reversed(order)):
        if after[node]:
            level[node] = min(level[reader] for reader in after[node]) - 1
    levels: list[list[int]] = [[] for _ in range(max(level) + 1)]
    for node in order:
        levels[level[node]].append(node)
    label: list[int] = labels.tolist()
    _sort_levels(levels[::-1], label, after)
    _sort_levels(levels, label, before)
    return [node for row in levels for node in row]


def _sort_levels(levels: Sequence[list[int]], label: Sequence[int], neighbours: Sequence[Sequence[int]]) -> None:
    """Sorts each level by labels and by the places of neighbours, which all lie on levels before it."""
    place = [0] * len(label)
    count = 0
    for row in ticking(levels):
        row.sort(key=lambda node: (label[node], sorted(place[other] for other in neighbours[node])))
        for node in row:
            place[node] = count
            count += 1


def _numbered(keys: Iterable[object]) -> IntArray:
    """Numbers in the order of first occurrence."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in ticking(keys)], np.int64)
