"""The cut relaxation: order-free lower bounds from a chain of nodes.

Take a chain b_0 < b_1 < ... < b_{K-1} of the graph. In every schedule, whatever its order and however often it
recomputes, the first executions t_0 < t_1 < ... of the chain happen in that order. Stage k is the time (t_{k-1}, t_k],
stage K the rest. For a node v and a value x with producer p,

    R[v,k] = v runs at least once in stage k,   F[v,k] = v's first execution is in stage k,
    C[v,k] = F[v,0] + ... + F[v,k],             S[x,k] = x is live just after t_{k-1}.

Every row below holds for every schedule that makes no useless recomputation, and removing those raises neither cost nor
peak; so the optimum, of the linear and of the integer form, is an order-free lower bound on the cost.

    cover       R[v,k] = 0 before every chain node above v has run; C[v,k] = 1 once a chain node below v has run
    needs       R[w,k] <= R[p,k] + S[x,k]                  for w reading x
    carry       S[x,k+1] <= S[x,k] + R[p,k]
    memory      bytes of the live values not touched by b_k <= budget - workspace, inputs and outputs of b_k
    E1 flows    F[w,k] + Q[k+1] <= Q[k] + R[p,k], 0 <= Q[k] <= S[x,k]: w's one first execution in any interval of
                stages needs x live on entering it, or produced inside
    E2 births   C[w,k], R[w,k] and S[x,k+1] are each <= C[p,k]; equal for S where x is resident
    E3 once     R = F for nodes that never need to run twice: all outputs resident or unread, or a single reader
                that itself runs once (keep only the last execution before that reader)
    E4 paths    see ``paths.py``; added where a solution of the linear form violates them

Proofs are in ``docs/formulations.md``. Entries that are fixed to 0 or 1 are no columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hcp.graph.index import GraphIndex, IntArray
from hcp.solvers.paths import PathCut
from hcp.solvers.rows import ONE, ZERO, Columns, Model, RowBuilder


@dataclass(frozen=True)
class CutModel:
    """A cut relaxation and what its columns mean.

    Attributes:
        model: The matrices.
        chain: Nodes b_0 .. b_{K-1}.
        memory_rows: The memory rows in the model, one a chain node.
        first, last: Per node, the stages between which it first executes.
        horizon: Per node, the last stage in which running it can be of use.
        once: Per node, whether it never needs to run twice.
        cuts: Path cuts, one row each, after the memory rows.
        births: C[v,k], columns, (nodes, K + 1).
        runs: R[v,k], columns, for nodes that may run twice; others have R[v,k] = C[v,k] - C[v,k-1]. (nodes, K + 1)
        saves: S[x,k], columns, (values, K + 1).
    """

    model: Model
    chain: tuple[int, ...]
    memory_rows: slice
    cuts: tuple[PathCut, ...]
    first: IntArray
    last: IntArray
    horizon: IntArray
    once: NDArray[np.bool_]
    births: Columns
    runs: Columns
    saves: Columns

    def at(self, point: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """R, C and S at a point: floats of shapes (nodes, K + 1), (nodes, K + 1), (values, K + 1)."""
        # The constants are the last two entries: column -1 is zero, column -2 is one.
        padded = np.append(point, (1.0, 0.0))
        born = padded[self.births]
        single = np.diff(born, axis=1, prepend=0.0)
        return np.where(self.once[:, None], single, padded[self.runs]), born, padded[self.saves]

    def cut_rows(self, index: GraphIndex, cuts: Sequence[PathCut]) -> tuple[sparse.csr_matrix, IntArray]:
        """Path cuts as rows of this model."""
        rows = RowBuilder()
        for cut in cuts:
            _add_path_cut(rows, self, index, cut)
        return rows.build(self.model.shape[1], keep=len(cuts))


def build_cut_model(
    index: GraphIndex, budget: int, chain: tuple[int, ...], cuts: Sequence[PathCut] = ()
) -> CutModel:
    """Builds the cut relaxation of a graph for a chain of its nodes.

    Args:
        index: The graph.
        budget: Bytes.
        chain: Nodes, each a proper ancestor of the next.
        cuts: Path cuts to add, in the chain's stages.
    """
    stages = len(chain)
    first, last = stage_windows(index, chain)
    once = single_runs(index)
    horizon = horizons(index, last, once, stages)
    grid = _Columns()
    k = np.arange(stages + 1)

    def block(rows: int, free: NDArray[np.bool_]) -> Columns:
        columns = np.full((rows, stages + 1), ZERO, np.int64)
        columns[free] = grid.take(int(free.sum()))
        return columns

    births = block(index.n, (k >= first[:, None]) & (k < last[:, None]))
    births[k >= last[:, None]] = ONE
    repeatable = ~once
    single = (first == last)[:, None] & (k == first[:, None])
    runs = block(
        index.n, repeatable[:, None] & (k >= first[:, None]) & (k <= horizon[:, None]) & ~single
    )
    runs[single & repeatable[:, None]] = ONE

    made = index.producer >= 0
    maker = np.where(made, index.producer, 0)
    reach = np.array([max((int(horizon[w]) for w in index.readers[x]), default=-1) for x in range(index.m)], np.int64)
    held = made & ~index.resident
    saves = block(index.m, held[:, None] & (k > first[maker][:, None]) & (k <= reach[:, None]))
    kept = np.flatnonzero(made & index.resident)
    saves[kept, 1:] = births[maker[kept], :-1]

    rows = RowBuilder()
    _add_births(rows, births, runs, first, last, repeatable)
    _add_reads(rows, index, births, runs, saves, first, horizon, once)
    _add_carries(rows, index, births, runs, saves, once, reach)
    flows = _add_flows(rows, grid, index, births, runs, saves, first, last, once)
    _add_memory(rows, index, saves, budget, chain)

    if not grid.count:
        grid.take(1)  # solvers want a column even where everything is fixed
    # Memory rows stay whatever the budget, so that row numbers do not depend on it.
    matrix, rhs = rows.build(grid.count, keep=stages)
    cost = np.zeros(grid.count, np.int64)
    free = runs >= 0
    cost[runs[free]] = np.broadcast_to(index.cost[:, None], runs.shape)[free]
    constant = int(index.cost[once].sum()) + int(index.cost[np.nonzero(runs == ONE)[0]].sum())
    integral = np.ones(grid.count, np.bool_)
    integral[flows] = False
    plain = CutModel(
        Model(matrix, rhs, cost, constant, integral),
        chain,
        slice(len(rhs) - stages, len(rhs)),
        (),
        first,
        last,
        horizon,
        once,
        births,
        runs,
        saves,
    )
    return plain if not cuts else with_cuts(plain, index, cuts)


def with_cuts(plain: CutModel, index: GraphIndex, cuts: Sequence[PathCut]) -> CutModel:
    """The model with path cuts added at the end."""
    rows, rhs = plain.cut_rows(index, cuts)
    matrix = sparse.vstack([plain.model.matrix, rows], format="csr")
    model = replace(plain.model, matrix=matrix, rhs=np.append(plain.model.rhs, rhs))
    return replace(plain, model=model, cuts=(*plain.cuts, *cuts))


class _Columns:
    """Hands out column numbers."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, amount: int) -> Columns:
        self.count += amount
        return np.arange(self.count - amount, self.count)


def stage_windows(index: GraphIndex, chain: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Per node: the first and the last stage in which it can first execute."""
    first = np.zeros(index.n, np.int64)
    last = np.full(index.n, len(chain), np.int64)
    above = [index.ancestors[b] for b in chain]
    for node in range(index.n):
        mine = index.ancestors[node]
        for stage, b in enumerate(chain):
            if mine >> b & 1:
                first[node] = stage + 1
            elif node == b or above[stage] >> node & 1:
                last[node] = stage
                break
    return first, last


def single_runs(index: GraphIndex) -> NDArray[np.bool_]:
    """Per node: whether some optimal schedule runs it once (family E3)."""
    once = ~index.recomputable
    for node in reversed(index.order.tolist()):
        outputs = index.outputs[node]
        if all(index.resident[x] or not len(index.readers[x]) for x in outputs):
            once[node] = True
            continue
        readers = {int(w) for x in outputs for w in index.readers[x]}
        if len(readers) == 1 and once[next(iter(readers))]:
            once[node] = True
    return once


def horizons(index: GraphIndex, last: IntArray, once: NDArray[np.bool_], stages: int) -> IntArray:
    """Per node: the last stage in which running it can be of use to a first execution or to a reader."""
    horizon = np.minimum(last, stages)
    for node in reversed(index.order.tolist()):
        if not once[node]:
            for x in index.outputs[node]:
                if not index.resident[x]:
                    for reader in index.readers[x]:
                        horizon[node] = max(horizon[node], horizon[reader])
    return horizon


def _run_terms(
    sign: int, births: Columns, runs: Columns, once: NDArray[np.bool_], node: IntArray, stage: IntArray
) -> list[tuple[int, Columns]]:
    """Terms of ``sign * R[node, stage]`` for parallel arrays of nodes and stages."""
    single = once[node]
    now = np.where(single, births[node, stage], runs[node, stage])
    before = np.where(single & (stage > 0), births[node, np.maximum(stage - 1, 0)], ZERO)
    return [(sign, now), (-sign, before)]


def _spread(low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
    """For each i the stages low[i] .. high[i]: parallel arrays (i, stage)."""
    length = np.maximum(high - low + 1, 0)
    item = np.repeat(np.arange(len(low)), length)
    offset = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    return item, low[item] + offset


def _add_births(
    rows: RowBuilder,
    births: Columns,
    runs: Columns,
    first: IntArray,
    last: IntArray,
    repeatable: NDArray[np.bool_],
) -> None:
    node, stage = _spread(first + 1, last)
    rows.add((1, births[node, stage - 1]), (-1, births[node, stage]))
    node, stage = _spread(first, np.where(repeatable, last, first - 1))
    before = np.where(stage > 0, births[node, np.maximum(stage - 1, 0)], ZERO)
    rows.add((1, births[node, stage]), (-1, before), (-1, runs[node, stage]))


def _reads(index: GraphIndex) -> tuple[IntArray, IntArray, IntArray]:
    """Parallel arrays (reader, value, producer) of all reads of produced values."""
    reader = np.repeat(np.arange(index.n), np.diff(index.inputs.start))
    value = index.inputs.items
    made = index.producer[value] >= 0
    return reader[made], value[made], index.producer[value[made]]


def _add_reads(
    rows: RowBuilder,
    index: GraphIndex,
    births: Columns,
    runs: Columns,
    saves: Columns,
    first: IntArray,
    horizon: IntArray,
    once: NDArray[np.bool_],
) -> None:
    reader, value, maker = _reads(index)
    item, stage = _spread(first[reader], horizon[reader])
    w, x, p = reader[item], value[item], maker[item]
    reading = _run_terms(1, births, runs, once, w, stage)
    rows.add(*reading, (-1, births[p, stage]))
    rows.add((1, births[w, stage]), (-1, births[p, stage]))
    loose = ~index.resident[x]
    w, x, p, stage = w[loose], x[loose], p[loose], stage[loose]
    rows.add(
        *_run_terms(1, births, runs, once, w, stage),
        *_run_terms(-1, births, runs, once, p, stage),
        (-1, saves[x, stage]),
    )


def _add_carries(
    rows: RowBuilder,
    index: GraphIndex,
    births: Columns,
    runs: Columns,
    saves: Columns,
    once: NDArray[np.bool_],
    reach: IntArray,
) -> None:
    value = np.flatnonzero((index.producer >= 0) & ~index.resident)
    item, stage = _spread(np.ones(len(value), np.int64), reach[value])
    x = value[item]
    p = index.producer[x]
    rows.add(
        (1, saves[x, stage]), (-1, saves[x, stage - 1]), *_run_terms(-1, births, runs, once, p, stage - 1)
    )
    rows.add((1, saves[x, stage]), (-1, births[p, stage - 1]))


def _add_flows(
    rows: RowBuilder,
    grid: _Columns,
    index: GraphIndex,
    births: Columns,
    runs: Columns,
    saves: Columns,
    first: IntArray,
    last: IntArray,
    once: NDArray[np.bool_],
) -> Columns:
    reader, value, maker = _reads(index)
    spread = ~index.resident[value] & (first[reader] < last[reader])
    reader, value, maker = reader[spread], value[spread], maker[spread]
    # Q[k] of a pair exists for first < k <= last; entering `first` it may be all of S, after `last` it is 0.
    item, stage = _spread(first[reader] + 1, last[reader])
    flow = grid.take(len(item))
    rows.add((1, flow), (-1, saves[value[item], stage]))
    start = np.cumsum(last[reader] - first[reader]) - (last[reader] - first[reader])

    item, stage = _spread(first[reader], last[reader])
    w, x, p = reader[item], value[item], maker[item]
    position = start[item] + stage - first[w] - 1
    entering = np.where(stage == first[w], saves[x, stage], flow[np.maximum(position, 0)] if len(flow) else ZERO)
    inside = stage < last[w]
    leaving = np.where(inside, flow[np.where(inside, position + 1, 0)] if len(flow) else ZERO, ZERO)
    before = np.where(stage > 0, births[w, np.maximum(stage - 1, 0)], ZERO)
    rows.add(
        (1, births[w, stage]),
        (-1, before),
        (1, leaving),
        (-1, entering),
        *_run_terms(-1, births, runs, once, p, stage),
    )
    return flow


def _add_path_cut(rows: RowBuilder, model: CutModel, index: GraphIndex, cut: PathCut) -> None:
    def run(node: int, stage: int) -> list[tuple[int, int]]:
        if not model.once[node]:
            return [(1, int(model.runs[node, stage]))]
        return first(node, stage, stage)

    def first(node: int, low: int, high: int) -> list[tuple[int, int]]:
        before = [(-1, int(model.births[node, low - 1]))] if low else []
        return [(1, int(model.births[node, high])), *before]

    begun = cut.steps[0][1]
    terms = first(cut.reader, begun, cut.stage) if cut.first else run(cut.reader, cut.stage)
    for node, stage in cut.runs(index):
        terms += [(-sign, column) for sign, column in run(node, stage)]
    terms += [(-1, int(model.saves[value, stage])) for value, stage in cut.steps]
    signs, columns = zip(*terms, strict=True)
    rows.add_row(np.array(signs, np.int64), np.array(columns, np.int64), 0)


def _add_memory(
    rows: RowBuilder, index: GraphIndex, saves: Columns, budget: int, chain: tuple[int, ...]
) -> None:
    loose = index.producer >= 0
    for stage, b in enumerate(chain):
        touched = np.union1d(index.inputs[b], index.outputs[b])
        touched = touched[index.producer[touched] >= 0]
        room = budget - index.base_bytes - int(index.workspace[b]) - int(index.size[touched].sum())
        other = loose & (index.size > 0)
        other[touched] = False
        values = np.flatnonzero(other)
        rows.add_row(index.size[values], saves[values, stage + 1], room)
