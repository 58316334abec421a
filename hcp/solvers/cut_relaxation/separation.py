"""The search for violated path cuts: the cheapest staircases under a point of the relaxation.

They are found for all readers at once by a shortest-path pass over the nodes in topological order, one for each end
stage; ``path_cuts.py`` says what a staircase is.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from hcp.graph.index import BoolArray, GraphIndex, IntArray
from hcp.graph.instances import chain
from hcp.solvers.models.rows import FloatArray

# A reader, an end stage, whether it is about first executions, and the steps of the staircase.
Staircase = tuple[int, int, bool, tuple[tuple[int, int], ...]]

# Cuts kept for an end stage in a round; more make the linear program slower than they make it stronger.
MOST_PER_STAGE = 3


def separate(
    index: GraphIndex, runs: FloatArray, births: FloatArray, saves: FloatArray, tolerance: float
) -> list[Staircase]:
    """The staircases of the most violated path cuts at a point, at most ``MOST_PER_STAGE`` an end stage.

    Args:
        index: The graph.
        runs: R[v,k], (nodes, stages).
        births: C[v,k], (nodes, stages).
        saves: S[x,k], (values, stages).
        tolerance: Smaller violations do not count.
    """
    point = _Point(index.order, index.inputs.start, index.inputs.items, index.producer, runs, births, saves)
    found: list[Staircase] = []
    for stage in range(runs.shape[1]):
        ways = _cheapest_ways(point, stage)
        picked = _most_violated(point, ways.cost, stage, tolerance)
        for reader, first, value, entry in zip(*(column.tolist() for column in picked[1:]), strict=True):
            if value >= 0:
                steps = _walk(point, ways, stage, value, entry)
                walk = tuple((int(x), int(j)) for x, j in steps)
                found.append((reader, stage, first, walk))
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


compiled_function = _cheapest_ways


def compile_all() -> None:
    """Calls what is compiled once, for ``hcp.planning.compilation``."""
    graph = chain(2)
    # Nothing is saved between the stages in which both run: a cut is violated.
    runs = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert separate(graph.index, runs, runs, np.zeros((2, 2)), 1e-3)
