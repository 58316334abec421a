"""The staged model: what runs and what is live between the first executions of a fixed order, as integer rows.

Nodes first execute in a given order v_0, v_1, ...; stage t is the time from just after v_{t-1}'s first execution to the
end of v_t's. So v_t ends stage t, and what else runs in it runs again. As in Checkmate (Jain et al., MLSys 2020),

    R[v,t] = v runs at least once in stage t,   S[x,t] = value x is live when stage t begins,

    needs    R[w,t] <= R[p,t] + S[x,t]                                       p producer, w reader of x
    carry    S[x,t+1] <= S[x,t] + R[p,t]
    end      bytes live while v_t first executes <= budget                   values it does not touch count S[x,t+1]

These rows hold for *every* schedule whose first executions follow the order, so their optimum is a fixed-order bound.
They do not see the memory inside stages. The rows of a *detailed* stage do, for schedules that are ``STAGED``: in each
stage every node runs at most once, in the given order. There, with N[t,x,k] = "x is still needed at or after k's place
in stage t" for the readers k of x, and ``next`` the following reader that may run (after the last one: S[x,t+1]),

    unread   S[x,t] + R[p,t] <= 1               running again without a reader in between is of no use
    needed   N[t,x,k] >= R[k,t],  N[t,x,k] >= N[t,x,next]
    event    outputs and workspace of k if it runs + sum of m_x N[t,x,next reader from k on] over x produced before k
             + sum of m_x S[x,t] over x produced from k on  <=  budget

for every k that may run again in stage t. With every stage detailed the optimum is that of all staged schedules, what
Checkmate's program finds as well; N needs no integrality. Need-variables replace Checkmate's products, so the rows have
few coefficients other than 1 and no big constants.

Staged schedules can cost more than others in the same order: it may pay to recompute a chain of nodes in another order
than the given one, or to run a node twice within a stage (``tests/unit/solvers/fixed_order/test_stages.py`` has one of
each). That is why the end rows alone bound ``FIXED_ORDER`` schedules, and detailed stages bound only ``STAGED`` ones.

Entries that some optimal schedule of each kind has at 0 or 1 are constants: a node that runs once, or whose outputs
are not read later; and, up to the first stage that could not hold everything produced so far, all runs and values.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from hcp.graph.index import BoolArray, GraphIndex, IntArray
from hcp.planning.problem import Problem
from hcp.solvers.models.rows import NONE, ONE, ZERO, Columns, FloatArray, Model, RowBuilder

# Of a bound: holds for schedules whose first executions follow the order and that, between two of these, run every
# node at most once and in that order.
STAGED = "fixed-order, staged"

# Of the rows without detailed stages, by which certificates are checked: goes up whenever they or their names change.
END_ROWS_VERSION: Final = 2

# What files call the rows of a family, before the node, the value and the stage that a row is about.
NEEDS, CARRY, END = "needs", "carry", "end"


@dataclass(frozen=True)
class StageGrid:
    """The columns R and S of a fixed order, and which entries are constants.

    Attributes:
        index: The graph.
        order: Nodes; stage t ends with the first execution of order[t].
        place: Per node, its position in the order.
        horizon: Per node, the last stage in which running it can be of use.
        runs: R[v,t], columns, (nodes, stages).
        saves: S[x,t], columns, (values, stages + 1); zero for residents and inputs, which no row needs.
        kept: Bytes of inputs and of residents produced before each stage.
        count: Number of columns.
    """

    index: GraphIndex
    order: tuple[int, ...]
    place: IntArray
    horizon: IntArray
    runs: Columns
    saves: Columns
    kept: IntArray
    count: int

    def at(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """R and S at a point."""
        # The constants are the last two entries: column -1 is zero, column -2 is one.
        padded = np.append(point[: self.count], (1.0, 0.0))
        return padded[self.runs], padded[self.saves]

    def cost(self, columns: int) -> IntArray:
        """The objective over this many columns: what running again costs."""
        cost = np.zeros(columns, np.int64)
        free = self.runs >= 0
        cost[self.runs[free]] = np.broadcast_to(self.index.cost[:, None], self.runs.shape)[free]
        return cost

    @property
    def born(self) -> IntArray:
        """Per value: the stage that first produces it; -1 for the graph's inputs."""
        maker = self.index.producer
        return np.where(maker >= 0, self.place[np.maximum(maker, 0)], -1)


@dataclass(frozen=True)
class StageModel:
    """A staged model and what its columns mean: those of the grid, then N of the detailed stages.

    Attributes:
        model: The matrices.
        grid: The meaning of the first columns.
        needs: N[t,x,k] by column, as triples (t, x, k).
        detailed: The stages whose inside memory the rows bound.
    """

    model: Model
    grid: StageGrid
    needs: dict[int, tuple[int, int, int]]
    detailed: frozenset[int]


def build_stage_grid(index: GraphIndex, budget: int, order: tuple[int, ...]) -> StageGrid:
    """Lays out the columns for a topological order of the nodes."""
    stages = len(order)
    place, kept = _places(index, order), _kept(index, order)
    droppable = index.droppable
    maker = np.maximum(index.producer, 0)
    horizon = _horizons(index, order, place)
    reach = np.array([max(horizon[index.readers[x]], default=-1) for x in range(index.m)], np.int64)
    tight = _first_tight_stage(index, budget, order, place, reach, kept)

    stage = np.arange(stages + 1)
    later = stage[:stages] > place[:, None]
    useful = later & (stage[:stages] <= horizon[:, None]) & (stage[:stages] >= tight)
    runs, count = _columns(useful, 0)
    runs[np.arange(index.n), place] = ONE
    live = droppable[:, None] & (stage > place[maker][:, None]) & (stage <= reach[:, None])
    saves, count = _columns(live & (stage >= tight), count)
    saves[live & (stage < tight)] = ONE
    return StageGrid(index, order, place, horizon, runs, saves, kept, count)


def build_stage_model(
    grid: StageGrid, budget: int, detailed: Collection[int] = (), *, whole: bool = False
) -> StageModel:
    """Builds the rows.

    Args:
        grid: The columns, laid out for this budget.
        budget: Bytes.
        detailed: Stages whose inside memory is to be bounded.
        whole: Whether to keep rows that hold for every 0 <= z <= 1, which certificates may name.
    """
    rows = RowBuilder(whole=whole)
    rows.begin(NEEDS)
    add_needs(rows, grid)
    rows.begin(CARRY)
    add_carries(rows, grid)
    rows.begin("inside")
    needs: dict[int, tuple[int, int, int]] = {}
    for stage in sorted(detailed):
        _add_inside(rows, grid, budget, stage, needs)
    # All of them stay, whatever the budget.
    rows.begin(END, whole=True)
    _add_ends(rows, grid, budget)
    columns = max(grid.count + len(needs), 1)  # solvers want a column even where everything is fixed
    matrix, rhs, blocks, parts = rows.build(columns)
    integral = np.arange(columns) < grid.count
    model = Model(matrix, rhs, grid.cost(columns), int(grid.index.cost.sum()), integral, blocks, parts)
    return StageModel(model, grid, needs, frozenset(detailed))


def whole_stage_grid(index: GraphIndex, order: tuple[int, ...]) -> StageGrid:
    """Lays out R and S for a topological order as they are published: only what must run once is a constant."""
    place, kept = _places(index, order), _kept(index, order)
    stage = np.arange(len(order) + 1)
    runs, count = _columns(index.recomputable[:, None] & (stage[:-1] > place[:, None]), 0)
    runs[np.arange(index.n), place] = ONE
    droppable = index.droppable
    live = droppable[:, None] & (stage > place[np.maximum(index.producer, 0)][:, None]) & (stage < len(order))
    saves, count = _columns(live, count)
    horizon = np.where(index.recomputable, len(order) - 1, place)
    return StageGrid(index, order, place, horizon, runs, saves, kept, count)


def order_of(problem: Problem) -> tuple[int, ...]:
    """The nodes in the order that a problem gives, or else the graph's own."""
    return tuple(problem.graph.index.node_of[name] for name in problem.given_order)


def _places(index: GraphIndex, order: tuple[int, ...]) -> IntArray:
    place = np.empty(index.n, np.int64)
    place[list(order)] = np.arange(len(order))
    return place


def _kept(index: GraphIndex, order: tuple[int, ...]) -> IntArray:
    """Bytes of inputs and of residents produced before each stage."""
    place = _places(index, order)
    kept = np.full(len(order) + 1, index.base_bytes, np.int64)
    for x in np.flatnonzero(index.resident & (index.producer >= 0)):
        kept[place[index.producer[x]] + 1 :] += index.size[x]
    return kept


def _horizons(index: GraphIndex, order: tuple[int, ...], place: IntArray) -> IntArray:
    """Per node: the last stage in which running it can be of use to a reader."""
    horizon = place.copy()
    for node in reversed(order):
        if index.recomputable[node]:
            for x in index.outputs[node]:
                if not index.resident[x]:
                    horizon[node] = max(horizon[node], *horizon[index.readers[x]], 0)
    return horizon


def _first_tight_stage(  # noqa: PLR0917 - the parts of a grid
    index: GraphIndex, budget: int, order: tuple[int, ...], place: IntArray, reach: IntArray, kept: IntArray
) -> int:
    """The first stage at whose end the budget cannot hold all values that can be of use from there on."""
    droppable = index.droppable
    made = place[np.maximum(index.producer, 0)]
    for stage, node in enumerate(order):
        held = int(index.size[droppable & (made < stage) & (reach >= stage)].sum())
        outputs = int(index.size[index.outputs[node]].sum())
        if int(kept[stage]) + held + outputs + int(index.workspace[node]) > budget:
            return stage
    return len(order)


def _columns(free: BoolArray, start: int) -> tuple[Columns, int]:
    """Consecutive column numbers where ``free``, zero elsewhere; and the next number."""
    columns = np.full(free.shape, ZERO, np.int64)
    stop = start + int(free.sum())
    columns[free] = np.arange(start, stop)
    return columns, stop


def add_needs(rows: RowBuilder, grid: StageGrid) -> None:
    """Adds the rows of the first family: what runs has its inputs."""
    index = grid.index
    for w in grid.order:
        span = slice(int(grid.place[w]), int(grid.horizon[w]) + 1)
        for x in index.inputs[w]:
            p = index.producer[x]
            if index.droppable[x]:
                read = [(1, grid.runs[w, span]), (-1, grid.runs[p, span]), (-1, grid.saves[x, span])]
                rows.add(*read, about=(int(w), int(x), np.arange(span.start, span.stop)))


def add_carries(rows: RowBuilder, grid: StageGrid) -> None:
    """Adds the rows of the second family: what is live was live before, or has been produced."""
    index = grid.index
    for x in np.flatnonzero(index.droppable):
        p = index.producer[x]
        now, after = grid.saves[x, :-1], grid.saves[x, 1:]
        some = after != ZERO
        entered = np.flatnonzero(some) + 1
        rows.add((1, after[some]), (-1, now[some]), (-1, grid.runs[p, some]), about=(NONE, int(x), entered))


def _add_ends(rows: RowBuilder, grid: StageGrid, budget: int) -> None:
    index = grid.index
    droppable = index.droppable
    for stage, node in enumerate(grid.order):
        read = index.inputs[node][droppable[index.inputs[node]]]
        touched = np.append(read, index.outputs[node])
        room = budget - int(grid.kept[stage]) - int(index.workspace[node]) - int(index.size[touched].sum())
        other = droppable & (grid.born < stage)
        other[read] = False
        values = np.flatnonzero(other)
        rows.add_row(index.size[values], grid.saves[values, stage + 1], room, (NONE, NONE, stage))


def _add_inside(
    rows: RowBuilder, grid: StageGrid, budget: int, stage: int, needs: dict[int, tuple[int, int, int]]
) -> None:
    """Adds the rows of one detailed stage, and its columns N to ``needs``."""
    index = grid.index
    droppable = index.droppable
    values = np.flatnonzero(droppable & (grid.born < stage))
    rows.add((1, grid.saves[values, stage]), (1, grid.runs[index.producer[values], stage]), rhs=1)
    room = budget - int(grid.kept[stage])
    # Walk the stage backwards; need[x] says whether x is needed from the current place on.
    need = grid.saves[:, stage + 1].copy()
    need[index.inputs[grid.order[stage]]] = ONE
    for place in range(stage - 1, -1, -1):
        node = grid.order[place]
        run = grid.runs[node, stage]
        if run == ZERO:
            continue
        for x in index.inputs[node]:
            if droppable[x] and need[x] != ONE:
                column = grid.count + len(needs)
                needs[column] = (stage, int(x), node)
                ends = np.array([run, need[x]])
                rows.add((1, ends), (-1, np.full(2, column)))
                need[x] = column
        busy = int(index.workspace[node]) + int(index.size[index.outputs[node]].sum())
        held = np.where(grid.born[values] < place, need[values], grid.saves[values, stage])
        rows.add_row(np.append(index.size[values], busy), np.append(held, run), room)
