"""The integer program of a model solved by OR-Tools' CP-SAT."""

from collections.abc import Callable, Sequence
from math import ceil

import numpy as np
from ortools.sat.python import cp_model

from hcp.graph.index import IntArray
from hcp.planning.cores import cores
from hcp.planning.deadline import Deadline
from hcp.planning.native import run_native
from hcp.planning.problem import ignore
from hcp.solvers.models.integer import IntegerResult, IntegerStatus, IntegerTask
from hcp.solvers.models.rows import FloatArray

# A solver gets this much even where nothing is left: time to read the model.
LEAST_SECONDS = 0.1

# CP-SAT sums rows and objectives in 64 bits, with room for its own products.
LARGEST_SUM = 2**50

STATUSES = {
    cp_model.OPTIMAL: IntegerStatus.OPTIMAL,
    cp_model.FEASIBLE: IntegerStatus.FEASIBLE,
    cp_model.INFEASIBLE: IntegerStatus.INFEASIBLE,
}


def solve_with_cpsat(task: IntegerTask) -> IntegerResult:
    """Solves the integer program of a model by CP-SAT.

    Large numbers are scaled so that the bound stays true: costs and sizes are rounded down.
    """
    model = task.model
    program = cp_model.CpModel()
    columns = [program.new_bool_var("") for _ in range(model.shape[1])]
    start, items = model.matrix.indptr, model.matrix.indices
    entries, rhs = scaled_rows(model.matrix.data, start, model.rhs)
    for row in range(model.shape[0]):
        span = slice(int(start[row]), int(start[row + 1]))
        terms = cp_model.LinearExpr.weighted_sum([columns[j] for j in items[span]], entries[span].tolist())
        program.add(terms <= int(rhs[row]))
    unit = cost_unit(model.cost)
    cost = model.cost // unit
    paid = np.flatnonzero(cost)
    objective = cp_model.LinearExpr.weighted_sum([columns[j] for j in paid], cost[paid].tolist())
    program.add(objective >= (task.bound - model.constant) // unit)
    program.minimize(objective)
    for j, value in task.hint.items():
        program.add_hint(columns[j], value)

    solver = cp_model.CpSolver()
    limit_work(solver, task.deadline, _workers(task.workers))
    solver.parameters.random_seed = task.seed
    solver.parameters.linearization_level = 2

    def in_full(value: float) -> int:
        return ceil(value - 1e-6) * unit + model.constant

    solver.best_bound_callback = lambda value: task.on_bound(max(task.bound, in_full(value)))
    # Reading a point takes time; recombination, which solves one program after the other, has no use for them.
    points = None if task.on_point is ignore else _Points(columns, task.on_point)
    ended = run_native(lambda: solver.solve(program, points), solver.stop_search, lambda: task.deadline.over, task.poll)
    task.deadline.spend(solver.response_proto.deterministic_time)
    status = STATUSES.get(ended, IntegerStatus.STOPPED)
    found = status in (IntegerStatus.OPTIMAL, IntegerStatus.FEASIBLE)
    point = np.array([solver.value(column) for column in columns], np.float64) if found else None
    bound = in_full(solver.best_objective_bound) if found else task.bound
    return IntegerResult(status, point, max(task.bound, bound))


class _Points(cp_model.CpSolverSolutionCallback):
    """Passes solutions on as they are found."""

    def __init__(self, columns: Sequence[cp_model.IntVar], on_point: Callable[[FloatArray], None]) -> None:
        super().__init__()
        self._columns = columns
        self._on_point = on_point

    def on_solution_callback(self) -> None:
        self._on_point(np.array([self.value(column) for column in self._columns], np.float64))


def limit_work(solver: cp_model.CpSolver, deadline: Deadline, workers: int) -> None:
    """Gives a solver its threads and its limit; where work is counted, one thread, which does the same everywhere."""
    if deadline.counts_work:
        solver.parameters.max_deterministic_time = max(LEAST_SECONDS, deadline.left)
    else:
        solver.parameters.max_time_in_seconds = max(LEAST_SECONDS, deadline.left)
    solver.parameters.num_workers = 1 if deadline.counts_work else workers
    solver.parameters.catch_sigint_signal = False


def _workers(wanted: int) -> int:
    """Threads: of fewer cores each search gets too little, and the one that proves, by linear programmes, is the first.

    With one thread CP-SAT runs that search alone.
    """
    return wanted if wanted <= cores() else 1


def cost_unit(cost: IntArray) -> int:
    """A divisor that brings costs into CP-SAT's range; their greatest common divisor where that is enough."""
    shared = int(np.gcd.reduce(cost)) or 1
    total = int(cost.astype(object).sum())
    return max(shared, -(-total // LARGEST_SUM))


def scaled_rows(entries: IntArray, start: IntArray, rhs: IntArray) -> tuple[IntArray, IntArray]:
    """Rows with nonnegative entries too large for CP-SAT, divided and rounded down, which keeps every solution."""
    total = np.add.reduceat(np.append(np.abs(entries), 0), start[:-1])
    divisor = np.maximum(1, -(-total // LARGEST_SUM))
    return entries // np.repeat(divisor, np.diff(start)), rhs // divisor
