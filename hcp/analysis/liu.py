"""The order of least peak on trees.

After Liu: An application of generalized tree pebbling to sparse matrix factorization (SIAM Journal on Algebraic
Discrete Methods 8(3), 1987).

A subtree's order is cut into hill-valley segments: up to the last of its highest points, on to the last of its lowest
points after that, and so on. Hills fall and valleys rise from segment to segment. The segments of a node's children are
independent sequences, merged by falling hill minus valley; then comes the node. This is optimal for every subtree at
once. (The tests compare it with all orders of small trees.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hcp.graph.cancellation import ticking
from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph


@dataclass(frozen=True)
class _Segment:
    """Nodes to run without a break; bytes relative to where the segment begins."""

    nodes: tuple[int, ...]
    hill: int
    valley: int


def tree_order(graph: Graph, seed: int) -> list[int] | None:  # noqa: ARG001 - one signature for the table
    """An order of least peak; None where the graph is no forest towards its sinks.

    Every node may feed one other node, and no node may produce residents, which would outlive their subtree.
    """
    index = graph.index
    parents = [{v for x in row for v in index.readers[x].tolist()} for row in index.outputs.tolists()]
    if any(len(row) > 1 for row in parents) or (index.resident & (index.producer >= 0)).any():
        return None
    segments: list[list[_Segment]] = [[] for _ in range(index.n)]
    for v in ticking(index.order.tolist()):
        merged = _merged([segments[u] for u in index.predecessors[v]])
        segments[v] = _hills_and_valleys([*merged, _join(index, v, merged)])
    roots = [segments[v] for v in range(index.n) if not parents[v]]
    return [v for segment in _merged(roots) for v in segment.nodes]


def _join(index: GraphIndex, node: int, before: Sequence[_Segment]) -> _Segment:
    """A node's own segment after those of its children, whose values it reads and leaves behind."""
    outputs = index.outputs[node]
    read_later = [x for x in outputs.tolist() if len(index.readers[x])]
    hill = int(index.size[outputs].sum()) + int(index.workspace[node])
    held = sum(segment.valley for segment in before)
    return _Segment((node,), hill, int(index.size[read_later].sum()) - held)


def _merged(sequences: Sequence[Sequence[_Segment]]) -> list[_Segment]:
    # A sort is stable, and within a sequence the key falls already.
    return sorted((s for sequence in sequences for s in sequence), key=lambda s: s.valley - s.hill)


def _hills_and_valleys(steps: Sequence[_Segment]) -> list[_Segment]:
    """The same steps in canonical segments."""
    hills, valleys = [], []
    base = 0
    for step in steps:
        hills.append(base + step.hill)
        base += step.valley
        valleys.append(base)
    found = []
    begin, before = 0, 0
    while begin < len(steps):
        last = range(begin, len(steps))
        top = max(last, key=lambda i: (hills[i], i))
        end = min(range(top, len(steps)), key=lambda i: (valleys[i], -i))
        nodes = tuple(v for i in range(begin, end + 1) for v in steps[i].nodes)
        found.append(_Segment(nodes, hills[top] - before, valleys[end] - before))
        before = valleys[end]
        begin = end + 1
    return found
