"""The cut relaxation: order-free lower bounds from a chain of nodes. Columns are those of ``grid.py``.

Every row below holds for every schedule that makes no useless recomputation, and removing those raises neither cost nor
peak; so the optimum, of the linear relaxation or of the integer program, is an order-free lower bound. With p the
producer of x and w a reader of it,

    cover       R[v,k] = 0 before every chain node above v has run; C[v,k] = 1 once a chain node below v has run
    needs       R[w,k] <= R[p,k] + S[x,k]
    carry       S[x,k+1] <= S[x,k] + R[p,k]
    memory      bytes of the live values not touched by b_k <= budget - workspace, inputs and outputs of b_k
    E1 flows    F[w,k] + Q[k+1] <= Q[k] + R[p,k], 0 <= Q[k] <= S[x,k]: w's one first execution in any interval of
                stages needs x live on entering it, or produced inside
    E2 births   C[w,k], R[w,k] and S[x,k+1] are each <= C[p,k]; equal for S where x is resident
    E3 once     R = F for nodes that never need to run twice: all outputs resident or unread, or a single reader
                that itself runs once (keep only the last execution before that reader)

Cuts of the families in ``families.py`` are added where a solution of the linear relaxation violates them. Proofs are in
``docs/formulations.md``.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from hcp.graph.index import GraphIndex, IntArray
from hcp.solvers.cut_relaxation.cuts import MEMORY, Cut, CutModel
from hcp.solvers.cut_relaxation.grid import Grid, build_grid
from hcp.solvers.models.rows import NONE, ONE, ZERO, Model, RowBuilder

# Of the rows below, by which certificates are checked: it goes up whenever they or their names change.
ROWS_VERSION: Final = 2

# What files call the rows of a family: its name, then the node, the value and the stage that the row is about. Of a row
# about an edge the node is the reader. docs/format.md says what each one reads.
GROW, FIRST, RUN_AFTER, BIRTH_AFTER, NEEDS = "grow", "first", "run-after", "birth-after", "needs"
CARRY, MADE, HELD, FLOW = "carry", "made", "held", "flow"


def build_cut_model(
    index: GraphIndex, budget: int, chain: tuple[int, ...], cuts: Sequence[Cut] = (), *, whole: bool = False
) -> CutModel:
    """Builds the cut relaxation of a graph for a chain of its nodes.

    Args:
        index: The graph.
        budget: Bytes.
        chain: Nodes, each a proper ancestor of the next.
        cuts: Valid cuts to add.
        whole: Whether to keep rows that hold for every 0 <= z <= 1, which certificates may name.
    """
    grid = build_grid(index, chain)
    rows = RowBuilder(whole=whole)
    _add_births(rows, grid)
    _add_reads(rows, grid)
    _add_carries(rows, grid)
    columns = grid.count + _add_flows(rows, grid)
    # All of them stay, whatever the budget: cuts and the relief of infeasible budgets count on one a stage.
    rows.begin(MEMORY, whole=True)
    _add_memory(rows, grid, budget)

    columns = max(columns, 1)  # solvers want a column even where everything is fixed
    matrix, rhs, blocks, parts = rows.build(columns)
    cost = np.zeros(columns, np.int64)
    free = grid.runs >= 0
    cost[grid.runs[free]] = np.broadcast_to(index.cost[:, None], grid.runs.shape)[free]
    certain = np.nonzero(grid.runs == ONE)[0]
    constant = int(index.cost[grid.once].sum()) + int(index.cost[certain].sum())
    model = Model(matrix, rhs, cost, constant, np.arange(columns) < grid.count, blocks, parts)
    return CutModel(model, grid).with_cuts(cuts)


def _spread(low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
    """For each i the stages low[i] .. high[i]: parallel arrays (i, stage)."""
    length = np.maximum(high - low + 1, 0)
    item = np.repeat(np.arange(len(low)), length)
    offset = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    return item, low[item] + offset


def _add_births(rows: RowBuilder, grid: Grid) -> None:
    node, stage = _spread(grid.first + 1, grid.last)
    rows.begin(GROW)
    rows.add((1, grid.births[node, stage - 1]), (-1, grid.births[node, stage]), about=(node, NONE, stage))
    node, stage = _spread(grid.first, np.where(grid.once, grid.first - 1, grid.last))
    rows.begin(FIRST)
    rows.add(
        (1, grid.births[node, stage]),
        (-1, grid.before(node, stage)),
        (-1, grid.runs[node, stage]),
        about=(node, NONE, stage),
    )


def _reads(index: GraphIndex) -> tuple[IntArray, IntArray, IntArray]:
    """Parallel arrays (reader, value, producer) of all reads of produced values."""
    reader = np.repeat(np.arange(index.n), np.diff(index.inputs.start))
    value = index.inputs.items
    made = index.producer[value] >= 0
    return reader[made], value[made], index.producer[value[made]]


def _add_reads(rows: RowBuilder, grid: Grid) -> None:
    reader, value, maker = _reads(grid.index)
    item, stage = _spread(grid.first[reader], grid.horizon[reader])
    w, x, p = reader[item], value[item], maker[item]
    rows.begin(RUN_AFTER)
    rows.add(*grid.run_terms(1, w, stage), (-1, grid.births[p, stage]), about=(w, x, stage))
    rows.begin(BIRTH_AFTER)
    rows.add((1, grid.births[w, stage]), (-1, grid.births[p, stage]), about=(w, x, stage))
    droppable = ~grid.index.resident[x]
    w, x, p, stage = w[droppable], x[droppable], p[droppable], stage[droppable]
    rows.begin(NEEDS)
    read = [*grid.run_terms(1, w, stage), *grid.run_terms(-1, p, stage), (-1, grid.saves[x, stage])]
    rows.add(*read, about=(w, x, stage))


def _add_carries(rows: RowBuilder, grid: Grid) -> None:
    value = np.flatnonzero(grid.index.droppable)
    item, stage = _spread(np.ones(len(value), np.int64), grid.reach[value])
    x = value[item]
    p = grid.index.producer[x]
    carried = [(1, grid.saves[x, stage]), (-1, grid.saves[x, stage - 1])]
    rows.begin(CARRY)
    rows.add(*carried, *grid.run_terms(-1, p, stage - 1), about=(NONE, x, stage))
    rows.begin(MADE)
    rows.add((1, grid.saves[x, stage]), (-1, grid.births[p, stage - 1]), about=(NONE, x, stage))


def _add_flows(rows: RowBuilder, grid: Grid) -> int:
    """Adds the rows of E1 and returns the number of columns Q, which start at ``grid.count``."""
    first, last = grid.first, grid.last
    reader, value, maker = _reads(grid.index)
    spread = ~grid.index.resident[value] & (first[reader] < last[reader])
    reader, value, maker = reader[spread], value[spread], maker[spread]
    # Q[k] of a pair exists for first < k <= last; entering `first` it may be all of S, after `last` it is 0.
    item, stage = _spread(first[reader] + 1, last[reader])
    count = len(item)
    flow = np.arange(grid.count, grid.count + count)
    rows.begin(HELD)
    rows.add((1, flow), (-1, grid.saves[value[item], stage]), about=(reader[item], value[item], stage))

    length = last[reader] - first[reader]
    begin = grid.count + np.cumsum(length) - length
    item, stage = _spread(first[reader], last[reader])
    w, x, p = reader[item], value[item], maker[item]
    here = begin[item] + stage - first[w] - 1
    entering = np.where(stage == first[w], grid.saves[x, stage], here)
    leaving = np.where(stage < last[w], here + 1, ZERO)
    rows.begin(FLOW)
    rows.add(
        (1, grid.births[w, stage]),
        (-1, grid.before(w, stage)),
        (1, leaving),
        (-1, entering),
        *grid.run_terms(-1, p, stage),
        about=(w, x, stage),
    )
    return count


def _add_memory(rows: RowBuilder, grid: Grid, budget: int) -> None:
    index = grid.index
    made = index.producer >= 0
    for stage, b in enumerate(grid.chain):
        touched = np.union1d(index.inputs[b], index.outputs[b])
        touched = touched[made[touched]]
        room = budget - index.base_bytes - int(index.workspace[b]) - int(index.size[touched].sum())
        other = made & (index.size > 0)
        other[touched] = False
        values = np.flatnonzero(other)
        rows.add_row(index.size[values], grid.saves[values, stage + 1], room, (NONE, NONE, stage))
