"""Path cuts (family E4): rows that follow a value's production back through the stages.

For a path of values x_m, ..., x_0, where x_m is read by w and each x_{l-1} by the producer of x_l, trace an execution
of w in stage k back through the instances it read. That walk goes back in time along saves S[x_l, j] and from a value
to what its producer read along runs R[p(x_l), j]. A staircase that separates it from the past is crossed at a save or a
run, so these sum up to at least R[w,k]; and w first executes at most once, so they sum up to at least its first
executions in the stages a .. k as well, where a is the stage that the staircase starts at.

A staircase starts at a value w reads with a save, S[x_m, a]. It then goes right, which costs the runs of that value's
producer in the stages passed; left, which is free; or down to a value the producer reads, which costs a save; until it
has passed stage k. The cheapest staircases under a point of the relaxation are found for all w at once by a
shortest-path pass over the nodes in topological order, one for each end stage.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hcp.graph.index import BoolArray, GraphIndex, IntArray

FloatArray = NDArray[np.float64]

# Cuts kept for an end stage in a round; more make the linear program slower than they make it stronger.
MOST_PER_STAGE = 3


@dataclass(frozen=True)
class PathCut:
    """A staircase.

    Attributes:
        reader: The node w whose execution is traced back.
        stage: The end stage k.
        first: Whether w's first executions in the stages from the first step's to ``stage`` are bounded; else its runs
            in ``stage``.
        steps: Pairs (value, stage) at which the staircase enters a value's layer, x_m first.
    """

    reader: int
    stage: int
    first: bool
    steps: tuple[tuple[int, int], ...]

    def runs(self, index: GraphIndex) -> list[tuple[int, int]]:
        """Pairs (node, stage) of the runs the staircase crosses."""
        ends = [stage for _, stage in self.steps[1:]] + [self.stage + 1]
        return [
            (int(index.producer[value]), j)
            for (value, start), end in zip(self.steps, ends, strict=True)
            for j in range(start, end)
        ]

    def is_valid(self, index: GraphIndex, stages: int) -> bool:
        """Whether this is a staircase of the graph at all; certificates from elsewhere are checked with it."""
        reader, values = self.reader, [value for value, _ in self.steps]
        if not (0 <= reader < index.n and 0 <= self.stage <= stages and values):
            return False
        for value, stage in self.steps:
            if not (0 <= value < index.m and 0 <= stage <= self.stage):
                return False
            if value not in index.inputs[reader] or index.producer[value] < 0:
                return False
            reader = int(index.producer[value])
        return True


def separate(
    index: GraphIndex, runs: FloatArray, births: FloatArray, saves: FloatArray, tolerance: float
) -> list[PathCut]:
    """The most violated path cuts at a point, at most ``MOST_PER_STAGE`` an end stage.

    Args:
        index: The graph.
        runs: R[v,k], (nodes, stages).
        births: C[v,k], (nodes, stages).
        saves: S[x,k], (values, stages).
        tolerance: Smaller violations do not count.
    """
    point = _Point(index.order, index.inputs.start, index.inputs.items, index.producer, runs, births, saves)
    found: list[PathCut] = []
    for stage in range(runs.shape[1]):
        ways = _cheapest_ways(point, stage)
        picked = _most_violated(point, ways.cost, stage, tolerance)
        for reader, first, value, entry in zip(*(column.tolist() for column in picked[1:]), strict=True):
            if value >= 0:
                steps = _walk(point, ways, stage, value, entry)
                walk = tuple((int(x), int(j)) for x, j in steps)
                found.append(PathCut(reader, stage, first, walk))
    return found


class _Point(NamedTuple):
    """A graph and a point of its relaxation, as compiled code takes them."""

    order: IntArray
    start: IntArray
    items: IntArray
    producer: IntArray
    runs: FloatArray
    births: FloatArray
    saves: FloatArray


class _Ways(NamedTuple):
    """Shortest ways past the end stage from the left end of each node's layer, per node and stage entered.

    ``cost``; ``where``, the stage after free steps to the left; ``down``, at each stage, the value to go down to, or -1
    for a step to the right.
    """

    cost: FloatArray
    where: IntArray
    down: IntArray


class _Picked(NamedTuple):
    """The most violated cuts of distinct readers; value -1 where there are fewer."""

    amount: FloatArray
    reader: IntArray
    first: BoolArray
    value: IntArray
    entry: IntArray


@njit(cache=True)
def _cheapest_ways(point: _Point, stage: int) -> _Ways:
    nodes = len(point.order)
    cost = np.zeros((nodes, stage + 1))
    where = np.zeros((nodes, stage + 1), np.int64)
    down = np.zeros((nodes, stage + 1), np.int64)
    for v in point.order:
        ahead = 0.0
        for j in range(stage, -1, -1):
            best = point.runs[v, j] + ahead
            choice = -1
            for i in range(point.start[v], point.start[v + 1]):
                y = point.items[i]
                if point.producer[y] >= 0:
                    other = point.saves[y, j] + cost[point.producer[y], j]
                    if other < best:
                        best = other
                        choice = y
            cost[v, j] = best
            down[v, j] = choice
            ahead = best
        least = 0
        for j in range(stage + 1):
            if cost[v, j] < cost[v, least]:
                least = j
            where[v, j] = least
        for j in range(stage, -1, -1):
            cost[v, j] = cost[v, where[v, j]]
    return _Ways(cost, where, down)


@njit(cache=True)
def _most_violated(point: _Point, cost: FloatArray, stage: int, tolerance: float) -> _Picked:
    amounts = np.full(MOST_PER_STAGE, tolerance)
    readers = np.zeros(MOST_PER_STAGE, np.int64)
    firsts = np.zeros(MOST_PER_STAGE, np.bool_)
    values = np.full(MOST_PER_STAGE, -1, np.int64)
    entries = np.zeros(MOST_PER_STAGE, np.int64)
    for w in range(len(point.order)):
        if point.births[w, stage] <= tolerance:
            continue
        worst = amounts.argmin()
        for i in range(point.start[w], point.start[w + 1]):
            x = point.items[i]
            p = point.producer[x]
            if p < 0:
                continue
            for a in range(stage + 1):
                crossed = point.saves[x, a] + cost[p, a]
                in_run = point.runs[w, stage] - crossed
                in_first = point.births[w, stage] - crossed
                if a:
                    in_first -= point.births[w, a - 1]
                if max(in_run, in_first) > amounts[worst]:
                    amounts[worst], readers[worst], firsts[worst] = max(in_run, in_first), w, in_first > in_run
                    values[worst], entries[worst] = x, a
    return _Picked(amounts, readers, firsts, values, entries)


@njit(cache=True)
def _walk(point: _Point, ways: _Ways, stage: int, value: int, entry: int) -> IntArray:
    """The steps of the cheapest staircase that enters a value's layer at a stage."""
    steps = [(value, entry)]
    v = point.producer[value]
    j = ways.where[v, entry]
    while j <= stage:
        y = ways.down[v, j]
        if y < 0:
            j += 1
            continue
        steps.append((y, j))
        v = point.producer[y]
        j = ways.where[v, j]
    return np.array(steps)
