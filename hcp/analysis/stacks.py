"""What a stack of equal layers is: which places of an order belong to which layer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

# In the place of a stack, section or layer: none of them.
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

    @property
    def spared(self) -> int:
        """Nodes of the equal layers without the outer ones, which what lies before or after the core may read."""
        return max(0, self.equal - 2 * max(1, self.reach)) * self.size

    def spots(self) -> Iterator[tuple[int, Spot]]:
        """The places in the order that belong to the stack, and where in it they are."""
        for number, section in enumerate(self.sections):
            for copy in range(self.layers):
                layer = section.first + section.step * copy
                for place in range(section.length):
                    yield section.start + copy * section.length + place, Spot(number, layer, place)

    def window(self, begin: int, count: int, merged: int) -> "Stack":
        """A stack of some of the layers, several of them together in one; none of them known to be equal.

        Args:
            begin: The first layer that it has.
            count: How many layers it has.
            merged: How many of this stack's layers make one of that.
        """
        last = begin + count * merged - 1
        sections = []
        for start, length, first, step in self.sections:
            skipped = begin - first if step > 0 else first - last
            sections.append(
                Section(start + skipped * length, length * merged, 0 if step > 0 else count - 1, step),
            )
        return Stack(count, tuple(sections), (0, 0), 0)
