"""Between integer points of staged models and schedules."""

import numpy as np

from hcp.graph.ir import Graph
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import replay
from hcp.schedule.states import states
from hcp.solvers.fixed_order.stages import StageGrid, StageModel
from hcp.solvers.models.rows import FloatArray


def lift_stages(graph: Graph, grid: StageGrid, point: FloatArray) -> Schedule:
    """The legal schedule that an integer point stands for: each stage in the given order, frees after last uses.

    It fits the budget inside every stage that the model bounds in detail.
    """
    runs, _ = grid.at(np.round(point))
    names = grid.index.node_names
    stages = range(len(grid.order))
    return Schedule.from_computes(graph, [names[v] for t in stages for v in grid.order if runs[v, t] > 0.5])


def broken_stages(graph: Graph, schedule: Schedule, budget: int) -> set[int]:
    """The stages in which a schedule breaks the budget."""
    seen: set[str] = set()
    broken = set()
    for name, held in zip(schedule.computes, replay(graph, schedule).profile, strict=True):
        if held > budget:
            broken.add(len(seen))
        seen.add(name)
    return broken


def runs_and_saves(graph: Graph, grid: StageGrid, schedule: Schedule) -> tuple[FloatArray, FloatArray]:
    """R and S of a schedule whose first executions follow the grid's order, freeing after last uses."""
    index = grid.index
    runs = np.zeros(grid.runs.shape)
    saves = np.zeros(grid.saves.shape)
    stage, entering = 0, False
    freeing = Schedule.from_computes(graph, schedule.computes)
    for name, state in zip(freeing.computes, states(graph, freeing), strict=True):
        if entering:
            stage += 1
            saves[[index.value_of[value] for value in state.live], stage] = 1
        node = index.node_of[name]
        runs[node, stage] = 1
        entering = grid.order[stage] == node
        if entering and stage == len(grid.order) - 1:
            break
    # The grid leaves out what stays to the end.
    saves[~index.droppable] = 0
    return runs, saves


def stage_hint(graph: Graph, staged: StageModel, schedule: Schedule) -> dict[int, bool]:
    """Values of a staged model's columns that describe a schedule which follows its order."""
    grid = staged.grid
    runs, saves = runs_and_saves(graph, grid, schedule)
    known: dict[int, bool] = {}
    for columns, entries in ((grid.runs, runs), (grid.saves, saves)):
        free = columns >= 0
        known.update(zip(columns[free].tolist(), (entries[free] > 0.5).tolist(), strict=True))
    # Columns N of a stage come from its last reader to its first: what follows is known before what precedes it.
    later: dict[tuple[int, int], bool] = {}
    for column, (stage, value, reader) in staged.needs.items():
        after = later.get((stage, value), saves[value, stage + 1] > 0.5)
        known[column] = later[stage, value] = bool(after or runs[reader, stage] > 0.5)
    return known
