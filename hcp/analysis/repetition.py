"""Repetition in a graph: stacks of equal layers, each layer in several sections of the order.

A training step of a model with L equal layers has a forward section, in which the layers come one after the other, and
a backward section, in which they come the other way round; often others, such as casts of the parameters before and
updates after. In each section a layer has as many nodes. Layers are equal where their nodes do the same, up to names
and costs, which are often measured, and read from the same places: of the layer itself, of a layer at a fixed distance,
or of what lies outside of the stack.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from hcp.analysis.periods import LEAST_COPIES, Periodic, periodic_parts
from hcp.graph.cancellation import ticking
from hcp.graph.index import GraphIndex, IntArray
from hcp.graph.ir import Graph

# Sections that cover a smaller part of the graph are left out.
LEAST_PART: Final = 0.01
# Sections belong to one stack where at most this many layers of the smaller one have no partner, as a part of them.
MOST_UNPAIRED: Final = 0.34

OUTSIDE: Final = -1


class Section(NamedTuple):
    """A contiguous part of the order in which the layers of a stack come one after the other.

    Attributes:
        start: Its first place in the order.
        length: Nodes of a layer.
        first: The stack's layer that comes first.
        step: 1 where layers come in their own order, -1 where they come the other way round.
    """

    start: int
    length: int
    first: int
    step: int


class Spot(NamedTuple):
    """Where a node is: its section of the stack, its layer and its place among the layer's nodes there."""

    section: int
    layer: int
    place: int


@dataclass(frozen=True)
class Stack:
    """Layers 0 .. layers - 1 of a graph, in several sections.

    Attributes:
        layers: How many.
        sections: In the order of the graph.
        core: The longest range of layers that are equal, first and end; before and after it others may differ.
        reach: How far apart in layers a core layer and what it reads are at most.
    """

    layers: int
    sections: tuple[Section, ...]
    core: tuple[int, int]
    reach: int

    @property
    def size(self) -> int:
        """Nodes of a layer."""
        return sum(section.length for section in self.sections)

    @property
    def equal(self) -> int:
        """How many layers are equal."""
        return self.core[1] - self.core[0]

    def spots(self) -> Iterator[tuple[int, Spot]]:
        """The places in the order that belong to the stack, and where in it they are."""
        for number, section in enumerate(self.sections):
            for copy in range(self.layers):
                layer = section.first + section.step * copy
                for place in range(section.length):
                    yield section.start + copy * section.length + place, Spot(number, layer, place)


@dataclass(frozen=True)
class Repetition:
    """What repeats in a graph.

    Attributes:
        graph: The computation.
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

    @property
    def covered(self) -> float:
        """The part of the nodes that lie in equal layers."""
        return sum(stack.equal * stack.size for stack in self.stacks) / self.graph.index.n

    def __str__(self) -> str:
        if not self.stacks:
            return "none found"
        stacks = (
            f"{stack.equal} equal layers of {stack.layers} with {stack.size} nodes in {len(stack.sections)} sections"
            for stack in self.stacks
        )
        return f"{'; '.join(stacks)}: {self.covered:.0%} of the nodes"


def find_repetition(graph: Graph) -> Repetition:
    """Finds stacks of equal layers along the graph's own order."""
    index = graph.index
    parts = periodic_parts(_labels(graph)[index.order], max(2 * LEAST_COPIES, int(LEAST_PART * index.n)))
    stacks = [_stack(index, [parts[i] for i in group], links) for group, links in _linked(index, parts)]
    found = [stack for stack in stacks if stack is not None]
    return Repetition(graph, tuple(sorted(found, key=lambda stack: -stack.equal * stack.size)))


def _labels(graph: Graph) -> IntArray:
    """Per node of the index: a number that nodes share which do the same, whatever they are called and cost."""
    numbers: dict[object, int] = {}
    values = graph.values
    labels = np.zeros(len(graph.nodes), np.int64)
    for place, node in enumerate(ticking(graph.nodes)):
        does = (
            node.op,
            node.workspace,
            node.recomputable,
            tuple((value.bytes, value.resident) for value in node.outputs),
            tuple(values[name].bytes for name in node.inputs),
        )
        labels[place] = numbers.setdefault(does, len(numbers))
    return labels


class _Link(NamedTuple):
    """How the copies of one part pair with those of another: copy c with copy ``step * c + shift`` of the other."""

    step: int
    shift: int


Links = dict[int, _Link]


def _linked(index: GraphIndex, parts: Sequence[Periodic]) -> list[tuple[list[int], Links]]:
    """Groups of parts whose copies pair, each with how they pair with the group's first, which covers most.

    Copies pair where values go between them: of the distances, and of the mirrored ones, the most common counts.
    """
    part_of, copy_of = np.full(index.n, OUTSIDE), np.zeros(index.n, np.int64)
    for number, part in enumerate(parts):
        nodes = index.order[part.start : part.stop]
        part_of[nodes] = number
        copy_of[nodes] = np.arange(len(nodes)) // part.period
    votes: dict[tuple[int, int], tuple[Counter[int], Counter[int]]] = {}
    for reader, row in enumerate(ticking(index.predecessors)):
        for maker in row:
            pair = (int(part_of[maker]), int(part_of[reader]))
            if pair[0] >= 0 and pair[1] >= 0 and pair[0] != pair[1]:
                same, mirrored = votes.setdefault(pair, (Counter(), Counter()))
                same[int(copy_of[reader] - copy_of[maker])] += 1
                mirrored[int(copy_of[reader] + copy_of[maker])] += 1
    pairing: dict[int, dict[int, _Link]] = {}
    for (a, b), (same, mirrored) in votes.items():
        (shift, alike), (total, turned) = same.most_common(1)[0], mirrored.most_common(1)[0]
        # From b to a: copy c of b pairs with c - shift, or with total - c.
        link = _Link(1, -shift) if alike >= turned else _Link(-1, total)
        if max(alike, turned) >= LEAST_COPIES:
            pairing.setdefault(a, {})[b] = link
            pairing.setdefault(b, {})[a] = _Link(link.step, -link.step * link.shift)
    return _grouped(parts, pairing)


def _grouped(parts: Sequence[Periodic], pairing: dict[int, dict[int, _Link]]) -> list[tuple[list[int], Links]]:
    """Connected groups of parts with about as many copies, each part with its link to the first of its group."""
    groups: list[tuple[list[int], Links]] = []
    taken: set[int] = set()
    for root in sorted(range(len(parts)), key=lambda part: -parts[part].period * parts[part].copies):
        if root in taken:
            continue
        links = {root: _Link(1, 0)}
        waiting = [root]
        while waiting:
            here = waiting.pop()
            for other, link in pairing.get(here, {}).items():
                if other in links or other in taken or not _alike(parts[root], parts[other]):
                    continue
                mine = links[here]
                links[other] = _Link(mine.step * link.step, mine.step * link.shift + mine.shift)
                waiting.append(other)
        taken |= set(links)
        groups.append((sorted(links), links))
    return groups


def _alike(a: Periodic, b: Periodic) -> bool:
    few, many = sorted((a.copies, b.copies))
    return many - few <= MOST_UNPAIRED * few


def _stack(index: GraphIndex, parts: Sequence[Periodic], links: Links) -> Stack | None:
    """The layers that all parts have; None where too few of them are equal."""
    pairs = list(zip(parts, (links[i] for i in sorted(links)), strict=True))
    spans = [sorted((link.shift, link.step * (part.copies - 1) + link.shift)) for part, link in pairs]
    low, high = max(span[0] for span in spans), min(span[1] for span in spans)
    if high - low + 1 < LEAST_COPIES:
        return None
    sections = []
    for part, link in pairs:
        skipped = low - link.shift if link.step > 0 else link.shift - high
        first = 0 if link.step > 0 else high - low
        sections.append(Section(part.start + skipped * part.period, part.period, first, link.step))
    plain = Stack(high - low + 1, tuple(sections), (0, 0), 0)
    begin, end, reach = _equal_layers(index, plain)
    if end - begin < LEAST_COPIES:
        return None
    return Stack(plain.layers, plain.sections, (begin, end), reach)


def _equal_layers(index: GraphIndex, stack: Stack) -> tuple[int, int, int]:
    """The longest range of layers that read from the same places, and how many layers away these are at most."""
    spot_of = {int(index.order[place]): spot for place, spot in stack.spots()}
    reads: list[list[object]] = [[] for _ in range(stack.layers)]
    reach = [0] * stack.layers
    for node, (section, layer, place) in sorted(spot_of.items(), key=lambda item: item[1]):
        for value in index.inputs[node].tolist():
            maker = int(index.producer[value])
            source = spot_of.get(maker)
            if source is None:
                # Of the graph's inputs, such as parameters, each layer has its own.
                reads[layer].append((section, place, maker))
                continue
            output = index.outputs[maker].tolist().index(value)
            apart = source.layer - layer
            reach[layer] = max(reach[layer], abs(apart))
            reads[layer].append((section, place, source.section, apart, source.place, output))
    names: dict[tuple[object, ...], int] = {}
    kinds = [names.setdefault(tuple(row), len(names)) for row in reads]
    begin, end, start = 0, 0, 0
    for layer in range(stack.layers):
        if kinds[layer] != kinds[start]:
            start = layer
        if layer + 1 - start > end - begin:
            begin, end = start, layer + 1
    return begin, end, max(reach[begin:end], default=0)
