"""What the segment strategies share: where a graph turns from growing to consuming, and what crosses segments.

Chen et al. cut the *forward* pass into segments. A graph here has no marked forward, so its rise stands for it: the
order's nodes up to the peak of keep-everything. From there on, in the fall, nodes mostly consume what the rise left.
Any rule built on this gives legal schedules on any graph; it is a good rule where the graph is a training graph.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property

from hcp.graph.cancellation import ticking
from hcp.graph.ir import Graph
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.rematerialize import Retention, lasting, rematerialize
from hcp.schedule.replay import replay


@dataclass(frozen=True)
class Walk:
    """A graph's order, split at the peak of keep-everything.

    Attributes:
        graph: The computation.
        order: All nodes, in a topological order.
        turn: Number of nodes in the rise, where it is known better; None for the nodes up to the peak.
    """

    graph: Graph
    order: tuple[str, ...]
    turn: int | None = None

    @cached_property
    def nodes(self) -> list[int]:
        """The order as node indices."""
        return [self.graph.index.node_of[name] for name in self.order]

    @cached_property
    def rise(self) -> int:
        """Number of nodes in the rise: up to the peak of keep-everything, that node included, unless given."""
        if self.turn is not None:
            return self.turn
        return replay(self.graph, keep_everything(self.graph, self.order)).peak_step + 1

    @cached_property
    def made_in_fall(self) -> set[int]:
        """The values (by index) that nodes of the fall create: gradients, in a training graph. No rule drops them."""
        outputs = self.graph.index.outputs
        return {x for v in self.nodes[self.rise :] for x in outputs[v].tolist()}

    @cached_property
    def spans(self) -> list[tuple[int, int, int]]:
        """Per value made in the rise and read in it: its index, its position and its last reader's position there."""
        index = self.graph.index
        position = {v: i for i, v in enumerate(self.nodes)}
        found = []
        for x in ticking(range(index.m)):
            made = position[int(index.producer[x])] if index.producer[x] >= 0 else self.rise
            reads = [position[v] for v in index.readers[x].tolist()]
            inside = [i for i in reads if i < self.rise]
            if made < self.rise and inside:
                found.append((x, made, max(inside)))
        return found

    def crossing(self, segments: Sequence[int]) -> set[int]:
        """The values that a rise node of a later segment reads; ``segments`` labels the positions of the rise."""
        return {x for x, made, last in self.spans if segments[made] != segments[last]}

    @cached_property
    def made_in_rise(self) -> set[int]:
        """The values (by index) that nodes of the rise create and that can be computed again."""
        outputs = self.graph.index.outputs
        return {x for v in self.nodes[: self.rise] for x in outputs[v].tolist()} - lasting(self.graph.index)

    def serving(self, segments: Sequence[int], dropped: Set[int]) -> list[int]:
        """Per position of the fall: the latest segment whose dropped values are still to be read from there on.

        Args:
            segments: The segment of each position of the rise.
            dropped: Values made in the rise.
        """
        index = self.graph.index
        position = {v: i for i, v in enumerate(self.nodes)}
        needed = []
        latest = 0
        for v in ticking(reversed(self.nodes[self.rise :])):
            for x in index.inputs[v].tolist():
                if x in dropped:
                    latest = max(latest, segments[position[int(index.producer[x])]])
            needed.append(latest)
        return needed[::-1]


def checkpoint_segments(walk: Walk, segments: Sequence[int]) -> list[Schedule]:
    """Retains what crosses segments of the rise, drops the rest after its segment, recomputes it in the fall.

    The last segment is not dropped: the fall begins with it. Two variants: values recomputed in the fall stay to
    their last use, or go when the fall is done with the segment that was being served.

    Args:
        walk: The graph and its order.
        segments: The segment of each position of the rise: 0, 1, ... in increasing order.
    """
    count = segments[-1] + 1
    fall = len(walk.order) - walk.rise
    retained = walk.crossing(segments) | walk.made_in_fall
    serving = walk.serving(segments, walk.made_in_rise - retained)
    carried = [retained] * count
    variants = [[*segments, *[count - 1] * fall], [*segments, *serving]]
    return [rematerialize(walk.graph, walk.order, Retention(epochs, carried)) for epochs in variants]


def geometric(first: int, last: int, ratio: float) -> list[int]:
    """Increasing whole numbers from ``first`` to ``last``, each about ``ratio`` times the one before."""
    found = [first]
    while found[-1] < last:
        found.append(min(last, max(found[-1] + 1, int(found[-1] * ratio))))
    return found
