"""The planner ``checkmate``: the mixed-integer program of Checkmate through PuLP.

Jain et al., *Checkmate: Breaking the Memory Wall with Optimal Tensor Rematerialization*, MLSys 2020, section 4:
binaries R[t,v] (node v runs in stage t), S[t,x] (x is kept from stage t-1 to t) and FREE[t,x,k] (x is freed in stage t
once k has run), and the memory U[t,k] once k has run in stage t; the product of what forbids freeing is linearised with
the number of hazards h and its largest value K as (1 - FREE) <= h <= K (1 - FREE). Stages end with the first execution
of their node (the "frontier-advancing" form), so the optimum is that of all ``STAGED`` schedules in the given order.

Where it differs: the paper has one value a node; here S and FREE belong to values, so that outputs live and die apart.
FREE[t,x,k] exists for k the producer or a reader of x. What the paper has no notion of is added to the memory rows:
workspace, and the graph's inputs and the resident values, which take their bytes from their first production on and
once more while they are produced again. Nodes that must run once have R = 0 after their stage. U is counted in budgets,
0 <= U <= 1. With one value a node and none of these features it is the paper's program.

The paper used a commercial solver; free ones need a tighter relaxation. ``tightened`` keeps the variables, the rest
of the rows and the optimum, but says what FREE means by rows without K, that no useful schedule breaks: only what runs
frees, what has been freed in a stage is neither read nor kept afterwards, and no kept value is produced again without
a reader in between. They make FREE integral by themselves, and the linear relaxation as strong as the staged model's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from hcp.graph.index import IntArray
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, NotApplicable, Problem
from hcp.planning.solution import Bound, Solution, meets
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import keep_everything
from hcp.solvers.fixed_order.lift import lift_stages, stage_hint
from hcp.solvers.fixed_order.stages import (
    STAGED,
    StageGrid,
    StageModel,
    add_carries,
    add_needs,
    order_of,
    whole_stage_grid,
)
from hcp.solvers.models.integer import IntegerBackend, IntegerStatus, IntegerTask
from hcp.solvers.models.pulp import solve_with_pulp
from hcp.solvers.models.rows import Columns, Model, RowBuilder

# With more columns than this the solver's branching tree takes gigabytes.
MOST_COLUMNS: Final = 100_000

# Per value: the columns FREE of one stage with the nodes after which they free it, in the stage's order.
Frees = dict[int, list[tuple[int, int]]]


@dataclass(frozen=True)
class Checkmate:
    """Solves Checkmate's program for the problem's order, or else the graph's own.

    Attributes:
        backend: A solver's name as PuLP lists it.
        tightened: Whether to linearise FREE without big constants; False is the paper's form.
    """

    backend: str = "HiGHS"
    tightened: bool = True

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Plans; what the solver proves holds for staged schedules in the order.

        Raises:
            NotApplicable: If the program would be too large.
        """
        return Tracker(problem, limits, control, "checkmate").run(self._planned)

    def _planned(self, tracker: Tracker) -> Solution:
        problem = tracker.problem
        tracker.offer(keep_everything(problem.graph, problem.given_order))
        if tracker.done:
            return tracker.solution()
        backend = partial(solve_with_pulp, backend=self.backend)
        return _solve(tracker, checkmate_program(problem, tightened=self.tightened), backend)


def checkmate_program(problem: Problem, *, tightened: bool) -> StageModel:
    """Checkmate's program; the columns FREE and U follow those of the grid.

    Args:
        problem: Gives the graph, the budget and the order.
        tightened: Whether to linearise FREE without big constants.

    Raises:
        NotApplicable: If it would have more than ``MOST_COLUMNS`` columns.
    """
    graph = problem.graph
    index = graph.index
    columns = index.n * (index.n + 1) // 2 + index.n * (index.m + index.n + len(index.inputs.items)) // 2
    if columns > MOST_COLUMNS:
        raise NotApplicable(
            f"Checkmate's program for graph {graph.name!r} has about {columns} columns, more than {MOST_COLUMNS}; "
            "use 'staged' for the same optimum, or 'auto'"
        )
    grid = whole_stage_grid(index, order_of(problem))
    rows = RowBuilder()
    add_needs(rows, grid)
    add_carries(rows, grid)
    integral = [True] * grid.count
    for stage in range(len(grid.order)):
        frees = _add_memory(rows, grid, stage, problem.budget, integral)
        if tightened:
            _add_frees(rows, grid, stage, frees)
            continue
        for x, events in frees.items():
            for node, freed in events:
                integral[freed] = True
                _add_hazards(rows, grid, (stage, int(grid.place[node]), x), freed)
    matrix, rhs, *_ = rows.build(len(integral))
    model = Model(matrix, rhs, grid.cost(len(integral)), graph.base_cost, np.array(integral))
    return StageModel(model, grid, {}, frozenset(range(len(grid.order))))


def _add_memory(rows: RowBuilder, grid: StageGrid, stage: int, budget: int, integral: list[bool]) -> Frees:
    """Adds the columns and rows of FREE and U of one stage; ``integral`` has an entry for each column so far."""
    index = grid.index
    droppable = index.droppable
    saved = np.flatnonzero(droppable & (grid.born < stage))
    room = -int(grid.kept[stage])
    frees: Frees = {}
    # U[t,k] = U[t,k-1] - what was freed after k-1 + what k creates, as two inequalities.
    before = [(int(index.size[x]), int(grid.saves[x, stage])) for x in saved]
    for node in grid.order[: stage + 1]:
        run = int(grid.runs[node, stage])
        outputs = [int(x) for x in index.outputs[node]]
        created = sum(int(index.size[x]) for x in outputs if droppable[x])
        used = len(integral)
        integral.append(False)
        balance = _row([*before, (created, run), (-budget, used)])
        rows.add_row(*balance, room)
        rows.add_row(-balance[0], balance[1], -room)
        busy = int(index.workspace[node]) + sum(int(index.size[x]) for x in outputs if not droppable[x])
        rows.add_row(*_row([(budget, used), (busy, run)]), budget)
        before, room = [(budget, used)], 0
        for x in [*index.inputs[node].tolist(), *outputs]:
            if droppable[x]:
                freed = len(integral)
                integral.append(False)
                before.append((-int(index.size[x]), freed))
                frees.setdefault(x, []).append((node, freed))
    return frees


def _add_frees(rows: RowBuilder, grid: StageGrid, stage: int, frees: Frees) -> None:
    """Adds the tight rows of one stage: only what runs frees, and what has been freed is neither read nor kept."""
    for x, columns in frees.items():
        maker = grid.index.producer[x]
        there = [(-1, int(grid.saves[x, stage])), (-1, int(grid.runs[maker, stage]))]
        rows.add_row(*_row([(1, column) for _, column in there]), 1)
        for past, (node, freed) in enumerate(columns):
            run = int(grid.runs[node, stage])
            rows.add_row(*_row([(1, freed), (-1, run)]), 0)
            if node != maker:
                rows.add_row(*_row([(1, run), *((1, column) for _, column in columns[:past]), *there]), 0)
        kept = int(grid.saves[x, stage + 1])
        rows.add_row(*_row([(1, kept), *((1, column) for _, column in columns), *there]), 0)


def _add_hazards(rows: RowBuilder, grid: StageGrid, event: tuple[int, int, int], freed: int) -> None:
    """FREE is 1 exactly where k runs, x is not kept for the next stage and is not read later in this one."""
    stage, place, x = event
    run = int(grid.runs[grid.order[place], stage])
    later = [int(grid.runs[w, stage]) for w in grid.index.readers[x] if place < grid.place[w] <= stage]
    hazards = [(1, column) for column in (int(grid.saves[x, stage + 1]), *later)]
    most = 1 + len(hazards)
    rows.add_row(*_row([(1, run), (-1, freed), *((-1, column) for _, column in hazards)]), 0)
    rows.add_row(*_row([(-1, run), (most, freed), *hazards]), most - 1)


def _row(terms: Sequence[tuple[int, int]]) -> tuple[IntArray, Columns]:
    pairs = np.array(terms, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _solve(tracker: Tracker, program: StageModel, backend: IntegerBackend) -> Solution:
    problem = tracker.problem
    graph, grid = problem.graph, program.grid
    hint: dict[int, bool] = {}
    if tracker.schedule is not None and tracker.schedule.follows(problem.given_order):
        hint = stage_hint(graph, program, tracker.schedule)
    tracker.report("Checkmate's program")
    result = backend(
        IntegerTask(
            model=program.model,
            hint=hint,
            bound=graph.base_cost,
            deadline=tracker.deadline,
            workers=tracker.limits.workers,
            seed=tracker.limits.seed,
            poll=lambda: tracker.report("Checkmate's program"),
        )
    )
    if result.status is IntegerStatus.INFEASIBLE:
        return tracker.solution(f"no schedule ({STAGED}) stays within {problem.budget} bytes")
    tracker.add_bound(Bound(result.bound, "cost", STAGED, None, "Checkmate's program"))
    if result.point is None:
        return tracker.solution("the solver found no schedule in time")
    tracker.offer(lift_stages(graph, grid, result.point))
    if meets(tracker.cost, result.bound):
        return tracker.solution(f"no schedule ({STAGED}) in the given order costs less")
    return tracker.solution()
