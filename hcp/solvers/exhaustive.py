"""The oracle for tiny graphs: exact search over (computed nodes, live values), and nothing clever.

Dijkstra's algorithm over states, where an edge is "free some values, then run one node". First executions are free of
charge, since every schedule pays for them: the distance is the extra cost. What keeps the state space small, and why
it loses no optimum:

- Values are freed only where a node would not fit otherwise, and then the values kept are a largest set (by
  inclusion) that fits. Having more live is never worse: whatever is too much can be freed later.
- For the same reason a state whose live values are a subset of an earlier expanded state's is dropped, where both have
  computed the same nodes.
- Before a node runs again its own live outputs are freed: the fresh ones take their place anyway.
- A value that cannot be read any more is freed at once, and a node whose readable outputs are all live, or that has
  none but resident ones, is not run again: that would leave the state as it is, or smaller.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Final

import numpy as np

from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, NotApplicable, Problem
from hcp.planning.solution import TIMED_OUT, Bound, Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay

_CLOCK_EVERY: Final = 1024


@dataclass(frozen=True)
class Exhaustive:
    """Finds the cheapest schedule, or proves that there is none.

    Attributes:
        max_nodes: Larger graphs are refused.
    """

    max_nodes: int = 12

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Solves the problem; honours a fixed order, in which first executions then happen.

        Raises:
            NotApplicable: If the graph has more than ``max_nodes`` nodes.
        """
        graph = problem.graph
        if len(graph.nodes) > self.max_nodes:
            raise NotApplicable(
                f"solver 'exhaustive' takes at most {self.max_nodes} nodes and graph {graph.name!r} has "
                f"{len(graph.nodes)}; use 'cpsat' or 'auto'"
            )
        return Tracker(problem, limits, control, "exhaustive").run(_planned)


def _planned(tracker: Tracker) -> Solution:
    problem = tracker.problem
    found = _Search(problem.graph, problem.order).run(problem.budget, tracker.deadline)
    if found.complete and found.computes is None:
        scope = problem.scopes[-1]
        return tracker.infeasible(None, f"exhaustive search: no schedule ({scope}) stays within {problem.budget} bytes")
    least = problem.graph.base_cost + found.extra
    tracker.add_bound(Bound(least, "cost", problem.scopes[-1], source="exhaustive search"))
    if found.computes is not None:
        tracker.offer(Schedule.from_computes(problem.graph, found.computes))
    return tracker.solution("" if found.complete else TIMED_OUT)


def least_peak(graph: Graph, order: tuple[str, ...] | None = None) -> int:
    """The smallest budget in bytes that any schedule meets, in any order or with first executions in ``order``.

    Exhaustive: for tiny graphs only.
    """
    search = _Search(graph, order, costs=[0] * len(graph.nodes))
    low, high = 0, replay(graph, keep_everything(graph, order)).peak
    while low < high:
        middle = (low + high) // 2
        computes = search.run(middle, deadline=Deadline()).computes
        if computes is None:
            low = middle + 1
        else:
            high = replay(graph, Schedule.from_computes(graph, computes)).peak
    return low


@dataclass(frozen=True)
class _Found:
    """``extra`` is the least extra cost, or a lower bound on it where the search is not complete."""

    computes: tuple[str, ...] | None
    extra: int
    complete: bool


# Computed nodes and live readable values that are not resident, as bits.
_State = tuple[int, int]


class _Search:
    """The state space of one graph; nodes and values are bits."""

    def __init__(self, graph: Graph, order: tuple[str, ...] | None, costs: Sequence[int] | None = None) -> None:
        index = graph.index
        outputs = index.outputs.tolists()
        self.names = index.node_names
        self.all = (1 << index.n) - 1
        self.size: list[int] = index.size.tolist()
        self.reads, self.needs = _requirements(index)
        self.readers = [_mask(row) for row in index.readers.tolists()]
        readable = _mask(x for x in np.flatnonzero(index.droppable).tolist() if self.readers[x])
        self.makes = [_mask(row) & readable for row in outputs]
        self.fresh = [int(index.size[row].sum()) + int(index.workspace[v]) for v, row in enumerate(outputs)]
        self.held: list[int] = index.kept.tolist()
        self.base = index.base_bytes
        self.once = _mask(np.flatnonzero(~index.recomputable).tolist())
        self.cost: list[int] = index.cost.tolist() if costs is None else list(costs)
        self.order = None if order is None else [index.node_of[name] for name in order]

    def run(self, budget: int, deadline: Deadline) -> _Found:
        """Searches for the cheapest way to have computed everything."""
        start: _State = (0, 0)
        came_from: dict[_State, tuple[_State, int] | None] = {start: None}
        distance = {start: 0}
        expanded: dict[int, list[int]] = {}
        tie = count()
        # Among equals the state with more nodes computed first: it is nearer to the end.
        queue: list[tuple[int, int, int, _State]] = [(0, 0, next(tie), start)]
        extra = 0
        pops = 0
        while queue:
            extra, _, _, state = heappop(queue)
            computed, live = state
            if computed == self.all:
                return _Found(self._path(came_from, state), extra, True)
            peers = expanded.setdefault(computed, [])
            if any(live | peer == peer for peer in peers):
                continue
            peers.append(live)
            pops += 1
            if pops % _CLOCK_EVERY == 0 and deadline.over:
                return _Found(None, extra, False)
            for node, after in self._steps(state, budget):
                total = extra + (self.cost[node] if computed >> node & 1 else 0)
                if total < distance.get(after, total + 1):
                    distance[after] = total
                    came_from[after] = (state, node)
                    heappush(queue, (total, -after[0].bit_count(), next(tie), after))
        return _Found(None, extra, True)

    def _steps(self, state: _State, budget: int) -> Iterator[tuple[int, _State]]:
        computed, live = state
        held = self.base + sum(self.held[v] for v in _bits(computed))
        for node in self._runnable(computed, live):
            after = computed | 1 << node
            room = budget - held - self.fresh[node]
            must = self.reads[node]
            may = live & ~must & ~self.makes[node]
            room -= self._bytes(must)
            if room < 0:
                continue
            for kept in self._largest(list(_bits(may)), room):
                yield node, (after, self._useful(after, must | kept | self.makes[node]))

    def _runnable(self, computed: int, live: int) -> Iterator[int]:
        fresh = self.all & ~computed if self.order is None else 1 << self.order[computed.bit_count()]
        again = computed & ~self.once
        for node in _bits(fresh | again):
            if self.reads[node] & ~live or self.needs[node] & ~computed:
                continue
            # Running it again must bring something.
            if computed >> node & 1 and not self.makes[node] & ~live:
                continue
            yield node

    def _useful(self, computed: int, live: int) -> int:
        """The live values that a node yet to run, or free to run again, reads."""
        finished = computed & self.once
        return _mask(x for x in _bits(live) if self.readers[x] & ~finished)

    def _largest(self, values: list[int], room: int) -> Iterator[int]:
        """Every set of values that fits and to which no other value can be added."""
        total = sum(self.size[x] for x in values)
        if total <= room:
            yield _mask(values)
            return
        yield from self._largest_from(values, 0, 0, room, None)

    def _largest_from(
        self, values: list[int], position: int, kept: int, room: int, smallest_left_out: int | None
    ) -> Iterator[int]:
        if position == len(values):
            if smallest_left_out is None or smallest_left_out > room:
                yield kept
            return
        value = values[position]
        size = self.size[value]
        if size <= room:
            yield from self._largest_from(values, position + 1, kept | 1 << value, room - size, smallest_left_out)
        if size > 0:
            left_out = size if smallest_left_out is None else min(size, smallest_left_out)
            yield from self._largest_from(values, position + 1, kept, room, left_out)

    def _bytes(self, values: int) -> int:
        return sum(self.size[x] for x in _bits(values))

    def _path(self, came_from: dict[_State, tuple[_State, int] | None], state: _State) -> tuple[str, ...]:
        names: list[str] = []
        step = came_from[state]
        while step is not None:
            state, node = step
            names.append(self.names[node])
            step = came_from[state]
        return tuple(reversed(names))


def _requirements(index: GraphIndex) -> tuple[list[int], list[int]]:
    """Per node: the droppable values that have to be live for it, and the nodes that have to have run.

    The latter make the residents that it reads, which are live once they have been made.
    """
    reads, needs = [], []
    for inputs in index.inputs.tolists():
        reads.append(_mask(x for x in inputs if index.droppable[x]))
        needs.append(_mask(int(index.producer[x]) for x in inputs if index.resident[x] and index.producer[x] >= 0))
    return reads, needs


def _mask(bits: Iterator[int] | Sequence[int]) -> int:
    mask = 0
    for bit in bits:
        mask |= 1 << bit
    return mask


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
