"""Repetition in a graph: stacks of equal layers, each layer in several sections of the order.

A training step of a model with L equal layers has a forward section, in which the layers come one after the other, and
a backward section, in which they come the other way round; often others, such as casts of the parameters before and
updates after. In each section a layer has as many nodes. Layers are equal where their nodes do the same, up to names
and costs, which are often measured; where they read from the same places, of the layer itself, of a layer at a fixed
distance, or of what lies outside of the stack; and where nodes outside that do the same read from them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from hcp.analysis.layers import LayerComparison
from hcp.analysis.node_labels import level_order, node_labels, refined
from hcp.analysis.periods import periodic_parts
from hcp.analysis.sections import stacks_of_parts
from hcp.analysis.stacks import OUTSIDE, Section, Spot, Stack
from hcp.graph.index import IntArray
from hcp.graph.ir import Graph

__all__ = ["OUTSIDE", "Repetition", "Section", "Spot", "Stack", "find_repetition", "stacks_text"]

# Where more of the nodes can be spared, no other labels and orders are tried.
ENOUGH: Final = 0.5


@dataclass(frozen=True)
class Repetition:
    """What repeats in a graph.

    Attributes:
        graph: The computation; its order is the one in which sections are contiguous.
        stacks: Disjoint; the one that covers most comes first.
    """

    graph: Graph
    stacks: tuple[Stack, ...]

    @cached_property
    def spot_of(self) -> dict[int, tuple[int, Spot]]:
        """Per node of the graph's index that belongs to a stack: the stack's number and where in it the node is."""
        order = self.graph.index.order
        return {
            int(order[place]): (number, spot)
            for number, stack in enumerate(self.stacks)
            for place, spot in stack.spots()
        }

    @cached_property
    def node_at(self) -> dict[tuple[int, Spot], int]:
        """The node of the graph's index at each place of each stack."""
        return {where: node for node, where in self.spot_of.items()}

    @property
    def covered(self) -> float:
        """The part of the nodes that lie in equal layers."""
        return _equal_nodes(self.stacks) / self.graph.index.n

    @property
    def spared(self) -> int:
        """How many nodes the stacks' ``spared`` are together."""
        return sum(stack.spared for stack in self.stacks)

    def __str__(self) -> str:
        return stacks_text(self.stacks, self.graph.index.n)


def stacks_text(stacks: Sequence[Stack], nodes: int) -> str:
    """Stacks in words, of a graph of so many nodes."""
    if not stacks:
        return "none found"
    rows = (
        f"{stack.equal} equal layers of {stack.layers} with {_count(stack.size, 'node')} in "
        f"{_count(len(stack.sections), 'section')}"
        for stack in stacks
    )
    return f"{'; '.join(rows)}: {_equal_nodes(stacks) / nodes:.0%} of the nodes"


def find_repetition(graph: Graph, *, reorder: bool = False) -> Repetition:
    """Finds stacks of equal layers along an order.

    Args:
        graph: The computation.
        reorder: Whether another order is tried where there is little along the graph's own. The nodes of
            the graph that is returned keep their numbers, so sequences of them mean the same in both.
    """
    best: Repetition | None = None
    for found in _attempts(graph, reorder):
        if best is None or found.spared > best.spared:
            best = found
        if best.spared >= ENOUGH * graph.index.n:
            break
    return best if best is not None else Repetition(graph, ())


def _attempts(graph: Graph, reorder: bool) -> Iterator[Repetition]:
    labels = node_labels(graph)
    finer = refined(graph.index, labels)
    yield _along(graph, labels)
    yield _along(graph, finer)
    if reorder:
        names = graph.index.node_names
        other = replace(graph, order=tuple(names[node] for node in level_order(graph.index, finer)))
        yield _along(other, labels)
        yield _along(other, finer)


def _along(graph: Graph, labels: IntArray) -> Repetition:
    """The stacks along the graph's own order of nodes with such labels."""
    index = graph.index
    plain = stacks_of_parts(index, periodic_parts(labels[index.order]))
    comparison = LayerComparison.of(index, labels)
    stacks = [found for stack in plain for found in comparison.equal_stacks(stack)]
    return Repetition(graph, tuple(sorted(stacks, key=lambda stack: -stack.equal * stack.size)))


def _equal_nodes(stacks: Sequence[Stack]) -> int:
    return sum(stack.equal * stack.size for stack in stacks)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
