"""Tiling: from schedules of few layers to one of all, by repeating what the few do.

A schedule of a small graph is cut up by layers: a first execution belongs to its own layer and section, a recomputation
to those of its next reader. What happens in the sections of one layer is a pattern. Every layer of the whole graph
takes a pattern, of whatever schedule, and does what it says, on itself and its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hcp.analysis.repetition import OUTSIDE, Repetition
from hcp.graph.cancellation import ticking
from hcp.graph.index import GraphIndex, IntArray
from hcp.planning.sequences import without_unread
from hcp.solvers.repetition.fold import Fold


class Segment(NamedTuple):
    """A part of the whole graph's order: what lies between sections, or a layer in one section of a stack.

    Attributes:
        stack, section, layer: ``OUTSIDE`` in each for what lies between; then ``place`` counts these.
        place: 0 for layers.
    """

    stack: int
    section: int
    layer: int
    place: int = 0

    @property
    def between(self) -> bool:
        """Whether it lies between sections."""
        return self.stack == OUTSIDE


class Move(NamedTuple):
    """An execution as seen from a layer: the node at ``start + layer * stride`` of the order.

    ``apart`` says how many layers away its node is; a stride of 0 is for nodes that are the same for all layers.
    """

    start: int
    stride: int
    apart: int


Piece = tuple[Move, ...]
# What happens in each section of a layer. Equal ones are the same pattern.
Pattern = tuple[Piece, ...]


@dataclass(frozen=True)
class Layout:
    """The segments of a graph's order.

    Attributes:
        repetition: What repeats in the graph.
    """

    repetition: Repetition

    @property
    def index(self) -> GraphIndex:
        """The graph's."""
        return self.repetition.graph.index

    @cached_property
    def segments(self) -> list[Segment]:
        """The parts of the order, one after the other."""
        return list(dict.fromkeys(self._segment_at))

    @cached_property
    def number(self) -> dict[Segment, int]:
        """Where each segment comes."""
        return {segment: place for place, segment in enumerate(self.segments)}

    @cached_property
    def segment_of(self) -> IntArray:
        """Per node of the graph's index its segment's number."""
        found = np.zeros(self.index.n, np.int64)
        found[self.index.order] = [self.number[segment] for segment in self._segment_at]
        return found

    @cached_property
    def _segment_at(self) -> list[Segment]:
        """Per place in the order its segment."""
        spot_of = self.repetition.spot_of
        found: list[Segment] = []
        between = 0
        for node in self.index.order.tolist():
            where = spot_of.get(node)
            if where is not None:
                found.append(Segment(where[0], where[1].section, where[1].layer))
                continue
            between += bool(found) and not found[-1].between
            found.append(Segment(OUTSIDE, OUTSIDE, OUTSIDE, between))
        return found


@dataclass(frozen=True)
class Template:
    """A schedule of few layers, cut up.

    Attributes:
        layout: Of the whole graph.
        fold: The graph with few layers.
        sequence: Nodes of its index in execution order.
    """

    layout: Layout
    fold: Fold
    sequence: tuple[int, ...]

    def pattern(self, stack: int, layer: int) -> Pattern:
        """What happens in each section of a layer that is left."""
        sections = range(len(self.fold.stacks[stack].stack.sections))
        return tuple(self.pieces.get(Segment(stack, section, layer), ()) for section in sections)

    def patterns(self, stack: int) -> list[Pattern]:
        """Those of the equal layers that are left, in their order."""
        return [self.pattern(stack, layer) for layer in self.fold.stacks[stack].patterns]

    @cached_property
    def pieces(self) -> dict[Segment, Piece]:
        """What happens in each segment that the small graph has."""
        steps: dict[Segment, list[Move]] = {}
        full_of = self.fold.full_of
        nodes = full_of[np.array(self.sequence, np.int64)].tolist()
        for node, home in zip(nodes, _homes(self.fold.small.index, self.sequence), strict=True):
            if home >= 0:
                segment = self.layout.segments[self.layout.segment_of[full_of[home]]]
                steps.setdefault(segment, []).append(self._move(node, segment))
        return {segment: tuple(moves) for segment, moves in steps.items()}

    def _move(self, node: int, segment: Segment) -> Move:
        """An execution as seen from a segment's layer."""
        where = self.layout.repetition.spot_of.get(node)
        if segment.between or where is None or where[0] != segment.stack:
            return Move(int(self.layout.index.position[node]), 0, 0)
        folded, spot = self.fold.stacks[segment.stack], where[1]
        section = folded.stack.sections[spot.section]
        apart = folded.place(spot.layer) - folded.place(segment.layer)
        stride = section.step * section.length
        return Move(section.start + (apart - section.first) * stride + spot.place, stride, apart)


@dataclass(frozen=True)
class Tiling:
    """What schedules of the whole graph are made of.

    Attributes:
        base: What happens between sections, and in layers that are like no other.
        patterns: Per stack, those that its equal layers may take, without repetition.
    """

    base: Template
    patterns: tuple[tuple[Pattern, ...], ...]

    @classmethod
    def of(cls, templates: Sequence[Template], most: int) -> "Tiling":
        """The patterns of several templates, in the order of their layers; the last template is the base.

        Args:
            templates: Of one graph.
            most: Patterns of each stack, about; those of earlier templates go first.
        """
        chosen = []
        for stack in range(len(templates[-1].fold.stacks)):
            found: dict[Pattern, float] = {}
            for template in reversed(templates):
                rows = template.patterns(stack)
                if found and len(found) + len(rows) > most:
                    break
                for place, pattern in enumerate(rows):
                    found.setdefault(pattern, (place + 0.5) / len(rows))
            chosen.append(tuple(sorted(found, key=found.__getitem__)))
        return cls(templates[-1], tuple(chosen))

    def tiled(self, counts: Sequence[Sequence[int]]) -> IntArray:
        """The whole graph's sequence, legal, in which each pattern comes so many times, in their order."""
        layout = self.base.layout
        arranged = [self._arranged(stack, row) for stack, row in enumerate(counts)]
        places: list[int] = []
        for segment in layout.segments:
            if segment.between:
                places += [move.start for move in self.base.pieces.get(segment, ())]
                continue
            layers = self.base.fold.stacks[segment.stack].stack.layers
            places += [
                move.start + segment.layer * move.stride
                for move in arranged[segment.stack][segment.layer][segment.section]
                if not move.stride or 0 <= segment.layer + move.apart < layers
            ]
        return completed(layout.index, layout.index.order[places])

    def owners(self, sequence: IntArray) -> IntArray:
        """Per step of a tiled sequence the number of a segment: of the last one in which a node ran first."""
        firsts = np.zeros(len(sequence), np.bool_)
        firsts[np.unique(sequence, return_index=True)[1]] = True
        owners: IntArray = np.maximum.accumulate(np.where(firsts, self.base.layout.segment_of[sequence], -1))
        return owners

    def _arranged(self, stack: int, counts: Sequence[int]) -> list[Pattern]:
        """Per layer of a stack its pattern."""
        whole = self.base.fold.stacks[stack].stack
        begin, end = whole.core
        equal = [pattern for pattern, often in zip(self.patterns[stack], counts, strict=True) for _ in range(often)]
        others = [self.base.pattern(stack, layer) for layer in (*range(begin), *range(end, whole.layers))]
        return [*others[:begin], *equal, *others[begin:]]


def _homes(index: GraphIndex, sequence: Sequence[int]) -> list[int]:
    """Per execution the node whose segment it belongs to; -1 where nobody reads what it makes again."""
    steps = list(sequence)
    firsts = set(np.unique(steps, return_index=True)[1].tolist())
    reads, makes = index.inputs.tolists(), index.outputs.tolists()
    homes = [-1] * len(steps)
    reader: dict[int, int] = {}
    for step in ticking(range(len(steps) - 1, -1, -1)):
        node = steps[step]
        later = [reader.pop(value) for value in makes[node] if value in reader]
        homes[step] = node if step in firsts else homes[min(later)] if later else -1
        for value in reads[node]:
            reader[value] = step
    return homes


def completed(index: GraphIndex, sequence: IntArray) -> IntArray:
    """A sequence in which everything runs once at least, after what it reads, and nothing runs for nobody."""
    before, recomputable = index.predecessors, index.recomputable.tolist()
    ran = [False] * index.n
    found: list[int] = []

    def run_first(node: int) -> None:
        waiting = [node]
        while waiting:
            missing = [maker for maker in before[waiting[-1]] if not ran[maker]]
            if missing:
                waiting += missing
                continue
            last = waiting.pop()
            if not ran[last]:
                ran[last] = True
                found.append(last)

    for node in ticking(sequence.tolist()):
        if not ran[node]:
            run_first(node)
        elif recomputable[node]:
            found.append(node)
    for node in index.order.tolist():
        run_first(node)
    return np.array(without_unread(index, found), np.int64)
