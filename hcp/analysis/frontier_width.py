"""The frontier of an order: what is live from step to step when every node runs once and nothing is recomputed.

The width of a frontier bounds nothing but its own order: a schedule that recomputes can hold less.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hcp.graph.cancellation import ticking
from hcp.graph.ir import Graph


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One step of an order.

    Attributes:
        step: Position in the order.
        node: What runs.
        running: Bytes held while it runs: what is live before it, its outputs and its workspace.
        live_bytes: Bytes of what is live after it.
        spans: Per value that is ever live between two steps, the first step after which it is and the step that ends
            that; shared by all snapshots of an order.
    """

    step: int
    node: str
    running: int
    live_bytes: int
    spans: Mapping[str, tuple[int, int]] = field(repr=False, compare=False)

    @property
    def live(self) -> frozenset[str]:
        """The values that are live after it: inputs, residents so far, and what later nodes read."""
        return frozenset(name for name, (first, end) in self.spans.items() if first <= self.step < end)


@dataclass(frozen=True, slots=True)
class FrontierSummary:
    """A frontier in numbers, all in bytes.

    Attributes:
        peak: Most bytes while a node runs; what keep-everything takes in this order.
        peak_node: The first node that reaches it.
        width: Most bytes live between two nodes.
        tail: Bytes live after the last node.
        average: Mean of the bytes live after each node.
    """

    peak: int
    peak_node: str
    width: int
    tail: int
    average: float


def frontier_profile(graph: Graph, order: Sequence[str] | None = None) -> tuple[Snapshot, ...]:
    """A snapshot a step.

    Args:
        graph: The computation.
        order: All nodes, in a topological order; the graph's own where not given.
    """
    return tuple(_snapshots(graph, graph.order if order is None else order))


def summarize_frontier(snapshots: Sequence[Snapshot]) -> FrontierSummary:
    """The summary of a profile."""
    worst = max(snapshots, key=lambda snapshot: snapshot.running)
    return FrontierSummary(
        peak=worst.running,
        peak_node=worst.node,
        width=max(snapshot.live_bytes for snapshot in snapshots),
        tail=snapshots[-1].live_bytes,
        average=sum(snapshot.live_bytes for snapshot in snapshots) / len(snapshots),
    )


def compute_frontier_width(graph: Graph, order: Sequence[str] | None = None) -> int:
    """Most bytes live between two nodes of an order; the graph's own where not given."""
    return summarize_frontier(frontier_profile(graph, order)).width


def _snapshots(graph: Graph, order: Sequence[str]) -> Iterator[Snapshot]:
    last = {value: step for step, name in enumerate(order) for value in graph.node[name].inputs}
    end = len(order)
    spans = {value.name: (0, end if value.resident else last.get(value.name, end)) for value in graph.inputs}
    held = sum(value.bytes for value in graph.inputs)
    for step, name in enumerate(ticking(order)):
        node = graph.node[name]
        running = held + node.workspace + sum(value.bytes for value in node.outputs)
        for value in node.outputs:
            if value.resident or value.name in last:
                spans[value.name] = step, end if value.resident else last[value.name]
                held += value.bytes
        for read in node.inputs:
            if last[read] == step and not graph.values[read].resident:
                held -= graph.values[read].bytes
        yield Snapshot(step, name, running, held, spans)
