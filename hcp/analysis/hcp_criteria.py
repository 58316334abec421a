"""Is a graph height-compressible? What its shape says about a balanced interval tree, before one is planned.

Height compression (see ``hcp.heuristics.interval_plan``) cuts the rise of an order, its nodes up to the peak of
keep-everything, into k blocks and holds at most ceil(log2 k) frontiers at block boundaries at a time. It pays where the
frontiers *inside the rise*, what rise nodes before a cut made and rise nodes behind it read, are small beside the peak.

Claim: the balanced interval tree over k blocks of the rise needs no more than

    staying + ceil(log2 k) * boundary + width + block + node

bytes, where the fall reads the blocks in reverse: what the fall holds in any case (gradients, residents, inputs), the
frontiers held, the frontier where it is computing, a block's values that can be dropped, and a running node. Reason:
what is at hand and read again belongs to a held frontier, to the frontier at the node that runs, to the block that is
served, to the fall, or is that node's own.
And each node of the rise runs at most 2 + ceil(log2 k) times: in the sweep, when its own block is served, and at most
once a level of the tree for the blocks behind it. Where the fall reads earlier blocks out of turn, as with long skips,
these are estimates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from hcp.analysis.frontier_width import frontier_profile
from hcp.graph.cancellation import ticking
from hcp.graph.index import IntArray
from hcp.graph.ir import Graph


@dataclass(frozen=True)
class RiseProfile:
    """The rise of an order in bytes; cut i lies before the node at position i.

    Attributes:
        length: Nodes up to the peak of keep-everything.
        frontier: Per cut, bytes that can be dropped, made before it and read behind it by nodes of the rise.
        made: Per position, droppable bytes that its node makes.
        node: Most bytes of a rise node's outputs and workspace.
        staying: Most bytes that are held in any case: inputs, residents, what the fall makes, and its running node.
        peak: Keep-everything's peak.
    """

    length: int
    frontier: tuple[int, ...]
    made: tuple[int, ...]
    node: int
    staying: int
    peak: int

    @cached_property
    def _frontier(self) -> IntArray:
        return np.array(self.frontier, np.int64)

    @cached_property
    def _total(self) -> IntArray:
        """Per cut, droppable bytes made before it, and those made in all."""
        return np.array([0, *accumulate(self.made)], np.int64)

    @cached_property
    def width(self) -> int:
        """The widest frontier."""
        return max(self.frontier)

    def predicted_peak(self, blocks: int) -> int:
        """The claim's bytes for equal blocks by number of nodes."""
        starts = -(-np.arange(blocks + 1) * self.length // blocks)
        boundary = int(self._frontier[starts[1:-1]].max(initial=0))
        block = int(np.diff(self._total[starts]).max())
        return self.staying + log2_ceiling(blocks) * boundary + self.width + block + self.node

    def best_blocks(self) -> int:
        """The number of blocks with the least predicted peak; the fewest among equals."""
        return min(range(1, self.length + 1), key=self.predicted_peak)


@dataclass(frozen=True)
class HcpCriteria:
    """How well a graph lends itself to height compression in one order.

    Attributes:
        compressible: Whether the predicted peak is below half of keep-everything's.
        frontier_ratio: The widest frontier inside the rise over keep-everything's peak.
        depth: Nodes on a longest path.
        fan_out: Most readers of a value.
        skip_length: Longest distance, in nodes of the rise, between a value's production and its last reader there.
        blocks: The number of blocks that the prediction is for.
        predicted_peak: Bytes that the balanced interval tree needs at most.
        predicted_runs: Times that a node of the rise runs at most.
        base_peak: Keep-everything's peak in bytes.
    """

    compressible: bool
    frontier_ratio: float
    depth: int
    fan_out: int
    skip_length: int
    blocks: int
    predicted_peak: int
    predicted_runs: int
    base_peak: int


def evaluate_hcp(graph: Graph, order: Sequence[str] | None = None) -> HcpCriteria:
    """The criteria of a graph in an order, its own where not given."""
    order = graph.order if order is None else order
    rise = rise_profile(graph, order)
    blocks = rise.best_blocks()
    predicted = rise.predicted_peak(blocks)
    return HcpCriteria(
        compressible=2 * predicted < rise.peak,
        frontier_ratio=rise.width / rise.peak if rise.peak else 0.0,
        depth=_depth(graph),
        fan_out=max((len(readers) for readers in graph.readers.values()), default=0),
        skip_length=_skip_length(graph, order[: rise.length]),
        blocks=blocks,
        predicted_peak=predicted,
        predicted_runs=2 + log2_ceiling(blocks),
        base_peak=rise.peak,
    )


def rise_profile(graph: Graph, order: Sequence[str]) -> RiseProfile:
    """The rise of an order."""
    profile = frontier_profile(graph, order)
    peak = max(snapshot.running for snapshot in profile)
    length = next(snapshot.step for snapshot in profile if snapshot.running == peak) + 1
    rise, fall = order[:length], order[length:]
    inside = {read: step for step, name in enumerate(rise) for read in graph.node[name].inputs}
    change = [0] * (length + 1)
    made = []
    lasting: set[str] = set()
    for step, name in enumerate(ticking(rise)):
        node = graph.node[name]
        droppable = [v for v in node.outputs if not v.resident and node.recomputable]
        lasting.update(value.name for value in node.outputs if value not in droppable)
        made.append(sum(value.bytes for value in droppable))
        for value in droppable:
            if value.name in inside:
                change[step + 1] += value.bytes
                change[inside[value.name] + 1] -= value.bytes
    return RiseProfile(
        length=length,
        frontier=tuple(accumulate(change))[:length],
        made=tuple(made),
        node=max(_own_bytes(graph, name) for name in rise),
        staying=_staying(graph, lasting, fall),
        peak=peak,
    )


def log2_ceiling(number: int) -> int:
    """The least e with 2^e >= number >= 1."""
    return (number - 1).bit_length()


def _own_bytes(graph: Graph, name: str) -> int:
    node = graph.node[name]
    return node.workspace + sum(value.bytes for value in node.outputs)


def _staying(graph: Graph, lasting: set[str], fall: Sequence[str]) -> int:
    """Most bytes beside what can be dropped of the rise, from the start to the end of the fall."""
    held = sum(value.bytes for value in graph.inputs) + sum(graph.values[name].bytes for name in lasting)
    most = held
    last = {read: step for step, name in enumerate(fall) for read in graph.node[name].inputs}
    live: set[str] = set()
    for step, name in enumerate(ticking(fall)):
        most = max(most, held + _own_bytes(graph, name))
        for value in graph.node[name].outputs:
            if value.resident or value.name in last:
                live.add(value.name)
                held += value.bytes
        for read in graph.node[name].inputs:
            if read in live and last[read] == step and not graph.values[read].resident:
                live.remove(read)
                held -= graph.values[read].bytes
    return most


def _depth(graph: Graph) -> int:
    depth: list[int] = [0] * graph.index.n
    for v in ticking(graph.index.order.tolist()):
        depth[v] = 1 + max((depth[u] for u in graph.index.predecessors[v]), default=0)
    return max(depth)


def _skip_length(graph: Graph, rise: Sequence[str]) -> int:
    place = {name: step for step, name in enumerate(rise)}
    spans = (
        place[name] - place[graph.producer[read]]
        for name in rise
        for read in graph.node[name].inputs
        if read in graph.producer and not graph.values[read].resident
    )
    return max(spans, default=0)
