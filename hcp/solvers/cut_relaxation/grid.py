"""Stages of a chain, and the columns that say what runs and what is live in them.

Take a chain b_0 < b_1 < ... < b_{K-1} of the graph. In every schedule, whatever its order and however often it
recomputes, the first executions t_0 < t_1 < ... of the chain happen in that order. Stage k is the time (t_{k-1}, t_k],
stage K the rest. For a node v and a value x with producer p,

    R[v,k] = v runs at least once in stage k,   F[v,k] = v's first execution is in stage k,
    C[v,k] = F[v,0] + ... + F[v,k],             S[x,k] = x is live just after t_{k-1}.

Entries that every useful schedule has at 0 or 1 are constants and no columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hcp.graph.cancellation import ticking
from hcp.graph.index import BoolArray, GraphIndex, IntArray
from hcp.solvers.models.rows import ONE, ZERO, Columns, FloatArray

Terms = list[tuple[int, Columns]]


class ColumnKey(NamedTuple):
    """What a column is called, whatever its number: ``"C"``, ``"R"`` or ``"S"``, its node or value, and its stage."""

    kind: str
    item: int
    stage: int


@dataclass(frozen=True)
class Grid:
    """The columns of a cut relaxation, and which entries are constants.

    Attributes:
        index: The graph.
        chain: Nodes b_0 .. b_{K-1}.
        first, last: Per node, the stages between which it first executes.
        horizon: Per node, the last stage in which running it can be of use.
        once: Per node, whether it never needs to run twice.
        births: C[v,k], columns, (nodes, K + 1).
        runs: R[v,k], columns, for nodes that may run twice; others have R[v,k] = C[v,k] - C[v,k-1]. (nodes, K + 1)
        saves: S[x,k], columns, (values, K + 1).
        reach: Per value, the last stage that it can be of use to enter with.
        count: Number of columns.
    """

    index: GraphIndex
    chain: tuple[int, ...]
    first: IntArray
    last: IntArray
    horizon: IntArray
    once: BoolArray
    births: Columns
    runs: Columns
    saves: Columns
    reach: IntArray
    count: int

    @cached_property
    def keys(self) -> tuple[ColumnKey, ...]:
        """The key of every column; C where a value's column is that of the births of its producer."""
        found: dict[int, ColumnKey] = {}
        for kind, columns in (("C", self.births), ("R", self.runs), ("S", self.saves)):
            for item, stage in np.argwhere(columns >= 0).tolist():
                found.setdefault(int(columns[item, stage]), ColumnKey(kind, item, stage))
        return tuple(found[column] for column in range(self.count))

    @cached_property
    def column_of(self) -> Mapping[ColumnKey, int]:
        """The number of every column."""
        return {key: column for column, key in enumerate(self.keys)}

    def at(self, point: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """R, C and S at a point: floats of shapes (nodes, K + 1), (nodes, K + 1), (values, K + 1)."""
        # The constants are the last two entries: column -1 is zero, column -2 is one.
        padded = np.append(point, (1.0, 0.0))
        born = padded[self.births]
        single = np.diff(born, axis=1, prepend=0.0)
        return np.where(self.once[:, None], single, padded[self.runs]), born, padded[self.saves]

    def before(self, node: IntArray, stage: IntArray) -> Columns:
        """Columns C[node, stage - 1] for parallel arrays; zero before stage 0."""
        return np.where(stage > 0, self.births[node, np.maximum(stage - 1, 0)], ZERO)

    def run_terms(self, sign: int, node: IntArray, stage: IntArray) -> Terms:
        """Terms of ``sign * R[node, stage]`` for parallel arrays of nodes and stages."""
        single = self.once[node]
        now = np.where(single, self.births[node, stage], self.runs[node, stage])
        return [(sign, now), (-sign, np.where(single, self.before(node, stage), ZERO))]


def build_grid(index: GraphIndex, chain: tuple[int, ...]) -> Grid:
    """Lays out the columns for a chain of nodes, each a proper ancestor of the next."""
    stages = len(chain)
    first, last = stage_windows(index, chain)
    once = single_runs(index)
    horizon = horizons(index, last, once)
    count = 0

    def block(free: BoolArray) -> Columns:
        nonlocal count
        columns = np.full(free.shape, ZERO, np.int64)
        amount = int(free.sum())
        columns[free] = np.arange(count, count + amount)
        count += amount
        return columns

    k = np.arange(stages + 1)
    births = block((k >= first[:, None]) & (k < last[:, None]))
    births[k >= last[:, None]] = ONE
    repeatable = ~once[:, None]
    certain = repeatable & (first == last)[:, None] & (k == first[:, None])
    runs = block(repeatable & (k >= first[:, None]) & (k <= horizon[:, None]) & ~certain)
    runs[certain] = ONE

    made = index.producer >= 0
    maker = np.where(made, index.producer, 0)
    reach = np.array([max(horizon[index.readers[x]], default=-1) for x in range(index.m)], np.int64)
    saves = block(index.droppable[:, None] & (k > first[maker][:, None]) & (k <= reach[:, None]))
    kept = np.flatnonzero(made & index.resident)
    saves[kept, 1:] = births[maker[kept], :-1]
    return Grid(index, chain, first, last, horizon, once, births, runs, saves, reach, count)


def stage_windows(index: GraphIndex, chain: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Per node: the first and the last stage in which it can first execute."""
    first = np.zeros(index.n, np.int64)
    last = np.full(index.n, len(chain), np.int64)
    above = [index.ancestors[b] for b in chain]
    for node in ticking(range(index.n)):
        mine = index.ancestors[node]
        for stage, b in enumerate(chain):
            if mine >> b & 1:
                first[node] = stage + 1
            elif node == b or above[stage] >> node & 1:
                last[node] = stage
                break
    return first, last


def single_runs(index: GraphIndex) -> BoolArray:
    """Per node: whether some optimal schedule runs it once (family E3)."""
    once = ~index.recomputable
    for node in ticking(reversed(index.order.tolist())):
        outputs = index.outputs[node]
        if all(index.resident[x] or not len(index.readers[x]) for x in outputs):
            once[node] = True
            continue
        readers = np.concatenate([index.readers[x] for x in outputs])
        if (readers == readers[0]).all() and once[readers[0]]:
            once[node] = True
    return once


def horizons(index: GraphIndex, last: IntArray, once: BoolArray) -> IntArray:
    """Per node: the last stage in which running it can be of use to a first execution or to a reader."""
    horizon = last.copy()
    for node in ticking(reversed(index.order.tolist())):
        if not once[node]:
            for x in index.outputs[node]:
                if not index.resident[x]:
                    horizon[node] = max(horizon[node], horizon[index.readers[x]].max(initial=0))
    return horizon
