"""Which layers of a stack are equal: those whose nodes read, and are read, in the same way."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from hcp.analysis.periods import LARGE_PART, LEAST_COPIES, LEAST_PERIOD, Periodic, periodic_parts
from hcp.analysis.stacks import Spot, Stack
from hcp.graph.cancellation import ticking
from hcp.graph.index import GraphIndex, IntArray

# Nodes outside that read from a stack's layers, as a part of its nodes: where there are more, the layers are no whole.
MOST_READERS: Final = 0.25
# A layer read by more of the others, as a part of them, holds what all share; it is left outside.
MOST_LAYERS: Final = 0.5


class _Layers(NamedTuple):
    """Layer by layer of a stack.

    Attributes:
        kinds: Numbers that equal layers share.
        reach: How many layers away from it a layer reads.
        chained: Whether it reads another layer of the same section.
        readers: The nodes outside that read from it.
        layers: The layers that read from it.
    """

    kinds: list[int]
    reach: list[int]
    chained: list[bool]
    readers: list[set[int]]
    layers: list[set[int]]

    @property
    def window(self) -> tuple[int, int]:
        """The layers between those that hold what all share, first and end."""
        count = len(self.kinds)
        shared = [layer for layer in range(count) if len(self.layers[layer]) > max(LEAST_COPIES, MOST_LAYERS * count)]
        begin = max((layer + 1 for layer in shared if layer < count // 2), default=0)
        return begin, min((layer for layer in shared if layer >= count // 2), default=count)


@dataclass(frozen=True)
class LayerComparison:
    """Compares the layers of stacks along an order.

    Attributes:
        order: Nodes, place by place.
        label: Per node; equal layers have nodes of equal labels.
        inputs, outputs: Per node.
        readers: Per value.
        producer: Per value.
    """

    order: list[int]
    label: list[int]
    inputs: list[list[int]]
    outputs: list[list[int]]
    readers: list[list[int]]
    producer: list[int]

    @classmethod
    def of(cls, index: GraphIndex, labels: IntArray) -> "LayerComparison":
        """For a graph's own order."""
        return cls(
            index.order.tolist(),
            labels.tolist(),
            index.inputs.tolists(),
            index.outputs.tolists(),
            index.readers.tolists(),
            index.producer.tolist(),
        )

    def equal_stacks(self, stack: Stack) -> Iterator[Stack]:
        """The stacks of equal layers within a stack, as far as they are worth having.

        Where layers of several kinds come in turn, those together are one layer; where others come between, there are
        several stacks.
        """
        if not self._large(stack.size, stack.layers * stack.size):
            return
        layers = self._layers(stack)
        begin, end = layers.window
        if end - begin < LEAST_COPIES:
            return
        if end - begin < stack.layers:
            stack = stack.window(begin, end - begin, 1)
            layers = self._layers(stack)
        parts = periodic_parts(np.array(layers.kinds, np.int64))
        # Layers between two parts go half to either.
        middles = [(part.stop + after.start) // 2 for part, after in pairwise(parts)]
        borders = [0, *middles, stack.layers]
        for place, part in enumerate(parts):
            found = self._restricted(stack, layers, part, (borders[place], borders[place + 1]))
            if found is not None:
                yield found

    def _restricted(self, stack: Stack, layers: _Layers, part: Periodic, window: tuple[int, int]) -> Stack | None:
        """The stack of a periodic part of the layers, with layers around it that lie in a window."""
        begin, end = window
        if part.period > 1 or (begin, end) != (0, stack.layers):
            # Where the turn may start at several layers: so that most layers around belong to the stack.
            starts = (begin + (part.start + phase - begin) % part.period for phase in range(part.slack + 1))
            begin = min(starts, key=lambda start: -((end - start) // part.period))
            stack = stack.window(begin, (end - begin) // part.period, part.period)
            layers = self._layers(stack)
        first, last = _longest(layers.kinds)
        found = Stack(stack.layers, stack.sections, (first, last), max(layers.reach[first:last]))
        return found if self._worth_having(found, layers) else None

    def _worth_having(self, stack: Stack, layers: _Layers) -> bool:
        first, last = stack.core
        nodes = stack.equal * stack.size
        return (
            stack.equal >= LEAST_COPIES
            and stack.spared > 0
            and self._large(stack.size, nodes)
            # Else they lie side by side, and one after the other only in this order.
            and all(layers.chained[first:last])
            and len(set().union(*layers.readers[first:last])) <= MOST_READERS * nodes
        )

    def _large(self, size: int, nodes: int) -> bool:
        return size >= LEAST_PERIOD or nodes >= LARGE_PART * len(self.order)

    def _layers(self, stack: Stack) -> _Layers:
        spot_of = {self.order[place]: spot for place, spot in stack.spots()}
        rows: list[list[object]] = [[] for _ in range(stack.layers)]
        reach, chained = [0] * stack.layers, [False] * stack.layers
        outside: list[set[int]] = [set() for _ in range(stack.layers)]
        inside: list[set[int]] = [set() for _ in range(stack.layers)]
        for node, spot in ticking(sorted(spot_of.items(), key=lambda item: item[1])):
            row = rows[spot.layer]
            for value in self.inputs[node]:
                source = spot_of.get(self.producer[value])
                row.append((spot.section, spot.place, self._source(value, spot, source)))
                if source is not None:
                    inside[source.layer].add(spot.layer)
                    apart = abs(source.layer - spot.layer)
                    reach[spot.layer] = max(reach[spot.layer], apart)
                    chained[spot.layer] |= apart > 0 and source.section == spot.section
            for number, value in enumerate(self.outputs[node]):
                others = [reader for reader in self.readers[value] if reader not in spot_of]
                outside[spot.layer].update(others)
                row.append((spot.section, spot.place, number, *sorted(self.label[reader] for reader in others)))
        names: dict[tuple[object, ...], int] = {}
        return _Layers([names.setdefault(tuple(row), len(names)) for row in rows], reach, chained, outside, inside)

    def _source(self, value: int, spot: Spot, source: Spot | None) -> object:
        """Where a node's input comes from, as seen from its layer."""
        maker = self.producer[value]
        if source is None:
            # Of the graph's inputs, such as parameters, each layer has its own.
            return maker
        return source.section, source.layer - spot.layer, source.place, self.outputs[maker].index(value)


def _longest(kinds: list[int]) -> tuple[int, int]:
    """The longest range of one kind, first and end."""
    begin, end, start = 0, 0, 0
    for place, kind in enumerate(kinds):
        if kind != kinds[start]:
            start = place
        if place + 1 - start > end - begin:
            begin, end = start, place + 1
    return begin, end
