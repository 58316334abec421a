"""Folding: the same graph with fewer of its equal layers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hcp.analysis.repetition import Repetition, Spot, Stack
from hcp.graph.cancellation import ticking
from hcp.graph.errors import GraphError
from hcp.graph.index import IntArray
from hcp.graph.ir import Graph, Node
from hcp.schedule.replay import keep_everything_usage


@dataclass(frozen=True)
class FoldedStack:
    """A stack without a range of its equal layers.

    Attributes:
        stack: The whole one.
        dropped: The layers that are left out, first and end.
    """

    stack: Stack
    dropped: tuple[int, int]

    @property
    def missing(self) -> int:
        """How many layers are left out."""
        return self.dropped[1] - self.dropped[0]

    @property
    def kept(self) -> list[int]:
        """The layers that are left."""
        return [layer for layer in range(self.stack.layers) if not self.drops(layer)]

    @property
    def patterns(self) -> list[int]:
        """The equal layers that are left: each is a pattern for those that are not."""
        begin, end = self.stack.core
        return [layer for layer in self.kept if begin <= layer < end]

    def drops(self, layer: int) -> bool:
        """Whether a layer is left out."""
        return self.dropped[0] <= layer < self.dropped[1]

    def place(self, layer: int) -> int:
        """Where a layer that is left comes among these."""
        return layer if layer < self.dropped[0] else layer - self.missing

    def across(self, layer: int, reader: int) -> int:
        """The layer that takes the place of one left out, for a reader that is left."""
        return layer + self.missing if reader < self.dropped[0] else layer - self.missing


@dataclass(frozen=True)
class Fold:
    """A graph and the same graph with fewer layers, whose nodes and values keep their names.

    Attributes:
        repetition: Of the whole graph.
        stacks: What is left of each of its stacks.
        small: The graph with fewer layers.
    """

    repetition: Repetition
    stacks: tuple[FoldedStack, ...]
    small: Graph

    @property
    def full(self) -> Graph:
        """The whole graph."""
        return self.repetition.graph

    @cached_property
    def full_of(self) -> IntArray:
        """Per node of the small graph's index: the number of the same node in the whole graph's."""
        numbers = self.full.index.node_of
        return np.array([numbers[name] for name in self.small.index.node_names], np.int64)

    @cached_property
    def share(self) -> float:
        """The part of the layers' nodes that is left."""
        whole = sum(folded.stack.layers * folded.stack.size for folded in self.stacks)
        return 1 - sum(folded.missing * folded.stack.size for folded in self.stacks) / whole

    def budget(self, budget: int, fixed: float | None = None, allowance: float = 1.0) -> int:
        """A budget for the small graph that leaves a layer as much as in the whole one.

        Args:
            budget: Of the whole graph.
            fixed: Bytes that do not grow with the layers; None for those of keep-everything.
            allowance: Factor on what a layer may keep.
        """
        if fixed is None:
            most = keep_everything_usage(self.full).peak
            fixed = self.fixed(keep_everything_usage(self.small).peak, most)
        wanted = int(fixed + (budget - fixed) * self.share * allowance)
        return max(wanted, self.small.index.least_bytes)

    def fixed(self, small: int, full: int) -> float:
        """Bytes that do not grow with the layers, where so many are held at worst with few layers and with all."""
        return small - (full - small) / (1 - self.share) * self.share


def fold(repetition: Repetition, layers: int) -> Fold | None:
    """Leaves so many equal layers of each stack that has more; None where nothing would be left out.

    Args:
        repetition: What repeats in a graph.
        layers: Equal layers to leave; as many as a layer reaches, on either side of what is left out, stay in any case.
    """
    stacks = tuple(_folded(stack, layers) for stack in repetition.stacks)
    if not any(stack.missing for stack in stacks):
        return None
    small = _without(repetition, stacks)
    return None if small is None else Fold(repetition, stacks, small)


def _folded(stack: Stack, layers: int) -> FoldedStack:
    begin, end = stack.core
    least = max(stack.reach, 1)
    first = begin + max(least, layers - layers // 2)
    last = end - max(least, layers // 2)
    return FoldedStack(stack, (first, max(first, last)))


def _without(repetition: Repetition, stacks: Sequence[FoldedStack]) -> Graph | None:
    """The graph without what the stacks drop; None where that is no graph."""
    graph, spot_of = repetition.graph, repetition.spot_of
    nodes: list[Node] = []
    for number, node in enumerate(ticking(graph.nodes)):
        here = spot_of.get(number)
        if here is not None and stacks[here[0]].drops(here[1].layer):
            continue
        inputs = _inputs(repetition, stacks, node, here)
        if inputs is None:
            return None
        nodes.append(replace(node, inputs=inputs))
    left = {node.name for node in nodes}
    read = {name for node in nodes for name in node.inputs}
    try:
        return Graph(
            tuple(nodes),
            tuple(value for value in graph.inputs if value.name in read),
            tuple(name for name in graph.order if name in left),
            graph.name,
            graph.cost_unit,
        )
    except GraphError:
        return None


def _inputs(
    repetition: Repetition, stacks: Sequence[FoldedStack], node: Node, here: tuple[int, Spot] | None
) -> tuple[str, ...] | None:
    """What a node reads where layers are left out; None where a layer that takes the place of one has no such value.

    A node of the same stack reads from the layer that takes the place; what lies outside and reads every layer reads
    fewer of them.
    """
    index = repetition.graph.index
    found = []
    for name in node.inputs:
        value = index.value_of[name]
        maker = int(index.producer[value])
        source = repetition.spot_of.get(maker)
        if source is None or not stacks[source[0]].drops(source[1].layer):
            found.append(name)
        elif here is not None and here[0] == source[0]:
            layer = stacks[source[0]].across(source[1].layer, here[1].layer)
            other = repetition.node_at.get((source[0], source[1]._replace(layer=layer)))
            output = index.outputs[maker].tolist().index(value)
            if other is None or output >= len(index.outputs[other]):
                return None
            found.append(index.value_names[index.outputs[other][output]])
    return tuple(found)
