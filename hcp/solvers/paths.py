"""Path cuts (family E4): rows that follow a value's production back through the stages.

For a path of values x_m, ..., x_0, where x_m is read by w and each x_{l-1} by the producer of x_l, trace an execution of w
in stage k back through the instances it read. That walk goes back in time along saves S[x_l, j] and from a value to what
its producer read along runs R[p(x_l), j]. A staircase that separates it from the past is crossed at a save or a run, so
these sum up to at least R[w,k]; and w first executes at most once, so they sum up to at least its first executions in the
stages a .. k as well, where a is the stage that the staircase starts at.

A staircase starts at a value w reads with a save, S[x_m, a]. It then goes right, which costs the runs of that value's
producer in the stages passed; left, which is free; or down to a value the producer reads, which costs a save; until it
has passed stage k. The cheapest staircases under a point of the relaxation are found for all w at once by a shortest-path
pass over the nodes in topological order, one for each end stage.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hcp.graph.index import GraphIndex, IntArray

FloatArray = NDArray[np.float64]

# Cuts kept for an end stage in a round; more make the linear program slower than they make it stronger.
MOST_PER_STAGE = 3
# Staircases with more steps down than this are not followed.
LONGEST = 2000


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
) -> list[tuple[float, PathCut]]:
    """The most violated path cuts at a point, with their violations.

    Args:
        index: The graph.
        runs: R[v,k], (nodes, stages).
        births: C[v,k], (nodes, stages).
        saves: S[x,k], (values, stages).
        tolerance: Smaller violations do not count.
    """
    found: list[tuple[float, PathCut]] = []
    for stage in range(runs.shape[1]):
        amounts, readers, firsts, lengths, steps = _cheapest(
            stage,
            index.order,
            index.inputs.start,
            index.inputs.items,
            index.producer,
            runs,
            births,
            saves,
            tolerance,
        )
        for i in range(MOST_PER_STAGE):
            if lengths[i]:
                walk = tuple((int(x), int(j)) for x, j in steps[i, : lengths[i]])
                found.append((float(amounts[i]), PathCut(int(readers[i]), stage, bool(firsts[i]), walk)))
    return found


@njit(cache=True)  # type: ignore[untyped-decorator]
def _cheapest(
    stage: int,
    order: IntArray,
    start: IntArray,
    items: IntArray,
    producer: IntArray,
    runs: FloatArray,
    births: FloatArray,
    saves: FloatArray,
    tolerance: float,
) -> tuple[FloatArray, IntArray, NDArray[np.bool_], IntArray, IntArray]:
    """For one end stage: the most violated cuts of distinct readers."""
    nodes = len(order)
    cost = np.zeros((nodes, stage + 1))  # cheapest way on from the left end of a layer that starts here
    where = np.zeros((nodes, stage + 1), np.int64)  # after free steps to the left
    down = np.zeros((nodes, stage + 1), np.int64)  # the value to go down to, -1 for right
    for v in order:
        ahead = 0.0
        for j in range(stage, -1, -1):
            best = runs[v, j] + ahead
            choice = -1
            for i in range(start[v], start[v + 1]):
                y = items[i]
                if producer[y] >= 0:
                    other = saves[y, j] + cost[producer[y], j]
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

    amounts = np.full(MOST_PER_STAGE, tolerance)
    readers = np.zeros(MOST_PER_STAGE, np.int64)
    firsts = np.zeros(MOST_PER_STAGE, np.bool_)
    values = np.zeros(MOST_PER_STAGE, np.int64)
    entries = np.zeros(MOST_PER_STAGE, np.int64)
    lengths = np.zeros(MOST_PER_STAGE, np.int64)
    for w in range(nodes):
        if births[w, stage] <= tolerance:
            continue
        amount = tolerance
        first = False
        value = -1
        entry = 0
        for i in range(start[w], start[w + 1]):
            x = items[i]
            if producer[x] < 0:
                continue
            for a in range(stage + 1):
                crossed = saves[x, a] + cost[producer[x], a]
                in_run = runs[w, stage] - crossed
                in_first = births[w, stage] - (births[w, a - 1] if a else 0.0) - crossed
                if in_run > amount:
                    amount, first, value, entry = in_run, False, x, a
                if in_first > amount:
                    amount, first, value, entry = in_first, True, x, a
        if value < 0:
            continue
        worst = 0
        for i in range(1, MOST_PER_STAGE):
            if amounts[i] < amounts[worst]:
                worst = i
        if amount > amounts[worst]:
            amounts[worst], readers[worst], firsts[worst] = amount, w, first
            values[worst], entries[worst], lengths[worst] = value, entry, 1

    steps = np.zeros((MOST_PER_STAGE, LONGEST, 2), np.int64)
    for i in range(MOST_PER_STAGE):
        if not lengths[i]:
            continue
        steps[i, 0, 0], steps[i, 0, 1] = values[i], entries[i]
        v = producer[values[i]]
        j = where[v, entries[i]]
        while j <= stage:
            if down[v, j] < 0:
                j += 1
                continue
            if lengths[i] == LONGEST:
                lengths[i] = 0
                break
            y = down[v, j]
            steps[i, lengths[i], 0], steps[i, lengths[i], 1] = y, j
            lengths[i] += 1
            v = producer[y]
            j = where[v, j]
    return amounts, readers, firsts, lengths, steps
