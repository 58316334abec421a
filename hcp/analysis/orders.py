"""Orders of a graph by simple rules: each a function from a graph and a seed to its nodes, by index."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Sequence
from math import exp
from random import Random
from typing import Final

import numpy as np

from hcp.graph.cancellation import tick
from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph

# The annealed order's work in node visits: a fraction of a second.
_VISITS: Final = 200_000
_MOVES_PER_NODE: Final = 100
_TRIES: Final = 6
# The randomised greedy order picks among this many best nodes.
_CHOICES: Final = 3


def given(graph: Graph, seed: int) -> list[int]:  # noqa: ARG001 - one signature for the table
    """The graph's own order."""
    order: list[int] = graph.index.order.tolist()
    return order


def depth_first(graph: Graph, seed: int) -> list[int]:  # noqa: ARG001
    """Every node as late as it is asked for: post-order from the sinks."""
    index = graph.index
    rank = {v: i for i, v in enumerate(index.order.tolist())}
    before = [sorted(row, key=rank.__getitem__) for row in index.predecessors]
    successors = index.successors
    found: list[int] = []
    done = [False] * index.n
    for sink in sorted((v for v in range(index.n) if not successors[v]), key=rank.__getitem__):
        stack = [sink]
        while stack:
            tick()
            v = stack[-1]
            missing = next((u for u in before[v] if not done[u]), None)
            if missing is not None:
                stack.append(missing)
                continue
            stack.pop()
            done[v] = True
            found.append(v)
    return found


def breadth_first(graph: Graph, seed: int) -> list[int]:  # noqa: ARG001
    """Every node as soon as it is ready, first come first served."""
    index = graph.index
    waiting = [len(row) for row in index.predecessors]
    successors = index.successors
    queue = deque(v for v in index.order.tolist() if not waiting[v])
    found = []
    while queue:
        tick()
        v = queue.popleft()
        found.append(v)
        for w in successors[v]:
            waiting[w] -= 1
            if not waiting[w]:
                queue.append(w)
    return found


def greedy_live_set(graph: Graph, seed: int) -> list[int]:  # noqa: ARG001
    """Of the nodes that are ready, the one that leaves the fewest bytes live."""
    return _greedy(graph.index, lambda ready: ready[0])


def random_greedy(graph: Graph, seed: int) -> list[int]:
    """The best of several greedy orders that draw among the best few ready nodes."""
    rng = Random(seed)
    index = graph.index
    tries = (_greedy(index, rng.choice) for _ in range(_TRIES))
    return min(tries, key=lambda order: order_peak(index, order))


def annealed(graph: Graph, seed: int) -> list[int]:
    """Simulated annealing on the peak: one node at a time moves to another place that its edges allow."""
    rng = Random(seed)
    index = graph.index
    successors = index.successors
    order = min((rule(graph, seed) for rule in (given, greedy_live_set)), key=lambda o: order_peak(index, o))
    peak = order_peak(index, order)
    best, best_peak = list(order), peak
    moves = min(_VISITS // index.n, _MOVES_PER_NODE * index.n) if index.n > 1 else 0
    for move in range(moves):
        tick()
        at = rng.randrange(index.n)
        v = order.pop(at)
        place = {u: i for i, u in enumerate(order)}
        low = max((place[u] + 1 for u in index.predecessors[v]), default=0)
        high = min((place[w] for w in successors[v]), default=len(order))
        to = rng.randint(low, high)
        order.insert(to, v)
        after = order_peak(index, order)
        temperature = 0.03 * best_peak * (1 - move / moves) + 1e-9
        if after <= peak or rng.random() < exp((peak - after) / temperature):
            peak = after
            if peak < best_peak:
                best, best_peak = list(order), peak
        else:
            order.pop(to)
            order.insert(at, v)
    return best


def order_peak(index: GraphIndex, order: Sequence[int]) -> int:
    """Most bytes held while a node runs, where every node runs once in this order."""
    nodes = np.array(order, np.int64)
    place = np.empty(index.n, np.int64)
    place[nodes] = np.arange(index.n)
    read = np.flatnonzero(np.diff(index.readers.start))
    last = np.maximum.reduceat(place[index.readers.items], index.readers.start[read]) if len(read) else read
    read, last = read[index.droppable[read]], last[index.droppable[read]]
    # Before each step, what is live: all that was kept so far but what has had its last reader.
    change = np.zeros(index.n + 1, np.int64)
    change[0] = index.base_bytes
    np.add.at(change, last + 1, -index.size[read])
    np.add.at(change, place[index.producer[read]] + 1, index.size[read])
    change[1:] += index.kept[nodes]
    return int((np.cumsum(change)[:-1] + index.needs[nodes]).max())


class _Ready:
    """The nodes of a growing order that can come next, by the bytes that they leave live.

    Attributes:
        sorted: Of each: the bytes more that are live when it has run, the bytes that it needs to run beside what is
            live, its rank in the graph's own order, and the node; sorted.
    """

    def __init__(self, index: GraphIndex) -> None:
        size: list[int] = index.size.tolist()
        resident: list[bool] = index.resident.tolist()
        self.readers = index.readers.tolists()
        self.reads = [[x for x in row if not resident[x]] for row in index.inputs.tolists()]
        outputs = index.outputs.tolists()
        self.size = size
        self.left = [len(row) for row in self.readers]
        self.needs: list[int] = index.needs.tolist()
        self.kept = [sum(size[x] for x in row if resident[x] or self.readers[x]) for row in outputs]
        self.rank = {v: i for i, v in enumerate(index.order.tolist())}
        self.sorted: list[tuple[int, int, int, int]] = []
        self._nodes: set[int] = set()

    def add(self, node: int) -> None:
        """Takes a node that has become ready."""
        self._nodes.add(node)
        insort(self.sorted, self._key(node))

    def run(self, node: int) -> None:
        """Runs a node that is ready."""
        self._remove(node)
        for x in self.reads[node]:
            if self.left[x] == 2:
                # Its only reader left frees it from now on.
                waiting = [v for v in self.readers[x] if v in self._nodes]
                for v in waiting:
                    self._remove(v)
                self.left[x] = 1
                for v in waiting:
                    self.add(v)
            else:
                self.left[x] -= 1

    def _remove(self, node: int) -> None:
        del self.sorted[bisect_left(self.sorted, self._key(node))]
        self._nodes.remove(node)

    def _key(self, node: int) -> tuple[int, int, int, int]:
        gain = self.kept[node] - sum([self.size[x] for x in self.reads[node] if self.left[x] == 1])
        return gain, self.needs[node], self.rank[node], node


def _greedy(index: GraphIndex, pick: Callable[[Sequence[int]], int]) -> list[int]:
    """An order by one of the best few nodes that are ready at each step."""
    waiting = [len(row) for row in index.predecessors]
    successors = index.successors
    ready = _Ready(index)
    for v in range(index.n):
        if not waiting[v]:
            ready.add(v)
    found = []
    while ready.sorted:
        tick()
        v = pick([node for *_, node in ready.sorted[:_CHOICES]])
        ready.run(v)
        found.append(v)
        for w in successors[v]:
            waiting[w] -= 1
            if not waiting[w]:
                ready.add(w)
    return found
