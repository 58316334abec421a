"""The integer program of a model solved through PuLP, by HiGHS or any solver that PuLP finds."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

import highspy
import numpy as np
from highspy.highs import HighsCallbackEvent

from hcp.graph.errors import HcpError
from hcp.graph.index import IntArray
from hcp.planning.native import run_native
from hcp.solvers.models.highs import ITERATIONS_PER_UNIT
from hcp.solvers.models.integer import IntegerResult, IntegerStatus, IntegerTask
from hcp.solvers.models.loading import import_apart

import_apart("pulp")

import pulp  # noqa: E402 - loaded by now

# What solvers' bounds may be wrong by, relatively: their own tolerances are this or less. We round down by it.
TOLERANCE: Final = 1e-6
# Costs up to so many times their greatest common divisor stay whole numbers for the solver.
LARGEST_MULTIPLE: Final = 10_000
# Nodes of the branch and bound that count as a unit of work.
NODES_PER_UNIT: Final = 20


def check_backend(name: str) -> None:
    """Refuses a solver that PuLP does not find.

    Raises:
        HcpError: Lists those that it finds.
    """
    known = pulp.listSolvers(onlyAvailable=True)
    if name not in known:
        raise HcpError(f"PuLP finds no solver {name!r} here; choose one of {', '.join(known)}")


def solve_with_pulp(task: IntegerTask, backend: str = "HiGHS") -> IntegerResult:
    """Solves the integer program of a model through PuLP.

    Raises:
        HcpError: If the solver fails.
    """
    began = task.deadline.left
    scale = _Scale.of(task.model.cost)
    program, columns = _program(task, scale.unit)
    # PuLP takes about as long again to hand the program over.
    left = task.deadline.left
    seconds = max(0.1, left - (began - left))
    options: dict[str, object] = {"msg": False, "gapRel": 0.0}
    if not task.deadline.counts_work:
        options["timeLimit"] = seconds
    elif backend == "HiGHS":
        options["mip_max_nodes"] = int(left * NODES_PER_UNIT) + 1
    else:
        raise HcpError(f"solver {backend} cannot count its work; use HiGHS, or a time limit in place of the work limit")
    if backend == "HiGHS":
        solver = _HiGHS(lambda value: task.on_bound(scale.in_full(value, task)), random_seed=task.seed, **options)
        stop = solver.stop
    else:
        solver = pulp.getSolver(backend, **options)
        stop = _wait  # another program, which gets its own Ctrl-C
    try:
        run_native(lambda: program.solve(solver), stop, lambda: task.deadline.over, task.poll)
    except pulp.PulpSolverError as error:
        raise HcpError(f"solver {backend} failed: {error}; choose another one") from error
    if backend == "HiGHS":
        info = program.solverModel.getInfo()
        nodes, iterations = info.mip_node_count, info.simplex_iteration_count
        task.deadline.spend(max(nodes / NODES_PER_UNIT, iterations / ITERATIONS_PER_UNIT))
    return _result(task, program, columns, scale, backend)


@dataclass(frozen=True)
class _Scale:
    """How costs become the objective that a solver sees.

    Solvers' tolerances are absolute. Costs that are small multiples of their divisor stay whole numbers, so that no
    two different objectives lie within a tolerance; others are brought near one.

    Attributes:
        shared: The greatest common divisor of the costs.
        unit: The cost that one unit of the objective stands for.
    """

    shared: int
    unit: float

    @classmethod
    def of(cls, cost: IntArray) -> "_Scale":
        shared = int(np.gcd.reduce(cost)) or 1
        largest = int(cost.max(initial=1))
        return cls(shared, float(shared) if largest <= LARGEST_MULTIPLE * shared else largest / 1e3)

    def in_full(self, objective: float, task: IntegerTask) -> int:
        """The bound on the task's cost that a solver's bound on the objective stands for."""
        # Costs are multiples of their divisor: what is left of a fraction after the solver's tolerance rounds up.
        claimed = objective - TOLERANCE * max(1.0, abs(objective))
        return max(task.bound, ceil(claimed * self.unit / self.shared) * self.shared + task.model.constant)


def _result(
    task: IntegerTask, program: pulp.LpProblem, columns: list[pulp.LpVariable], scale: _Scale, backend: str
) -> IntegerResult:
    """What a solver that has ended found and proved.

    PuLP calls a run "Optimal" that only reached its time limit, so a proof is read from ``sol_status`` alone, and a
    bound from HiGHS itself.
    """
    if program.sol_status == pulp.LpSolutionInfeasible:
        return IntegerResult(IntegerStatus.INFEASIBLE, None, task.bound)
    proved = program.sol_status == pulp.LpSolutionOptimal
    found = proved or program.sol_status == pulp.LpSolutionIntegerFeasible
    found = found and all(column.varValue is not None for column in program.variables())
    reached = pulp.value(program.objective) if proved else -np.inf
    if backend == "HiGHS":
        reached = program.solverModel.getInfo().mip_dual_bound
        found = found and program.solverModel.getSolution().value_valid
    bound = scale.in_full(reached, task) if np.isfinite(reached) else task.bound
    if not found:
        return IntegerResult(IntegerStatus.STOPPED, None, bound)
    # PuLP leaves out columns that no row and no cost mentions: any value will do.
    point = np.array([column.varValue or 0.0 for column in columns], np.float64)
    return IntegerResult(IntegerStatus.OPTIMAL if proved else IntegerStatus.FEASIBLE, point, bound)


def _program(task: IntegerTask, unit: float) -> tuple[pulp.LpProblem, list[pulp.LpVariable]]:
    """The program and its variables."""
    model = task.model
    program = pulp.LpProblem("cut_relaxation", pulp.LpMinimize)
    columns = [
        program.add_variable(f"z{j}", 0, 1, pulp.LpInteger if integral else pulp.LpContinuous)
        for j, integral in enumerate(model.integral.tolist())
    ]
    paid = np.flatnonzero(model.cost)
    program.setObjective(pulp.LpAffineExpression([(columns[j], model.cost[j] / unit) for j in paid]))
    start, items, entries = model.matrix.indptr, model.matrix.indices, model.matrix.data
    for row in range(model.shape[0]):
        span = slice(int(start[row]), int(start[row + 1]))
        # Byte rows are brought near one as well.
        largest = float(np.abs(entries[span]).max(initial=1))
        scaled = (entries[span] / largest).tolist()
        terms = zip((columns[j] for j in items[span]), scaled, strict=True)
        program.addConstraint(pulp.LpAffineExpression(list(terms)) <= float(model.rhs[row]) / largest)
    for j, value in task.hint.items():
        columns[j].setInitialValue(int(value), check=False)
    return program, columns


class _HiGHS(pulp.HiGHS):  # type: ignore[misc]
    """PuLP's HiGHS, which reports its bound while it runs and can be stopped."""

    def __init__(self, on_bound: Callable[[float], None], **options: object) -> None:
        super().__init__(**options)
        self._on_bound = on_bound
        self._model: highspy.Highs | None = None
        self._stopped = False

    def callSolver(self, lp: pulp.LpProblem) -> None:  # noqa: N802 - PuLP's name
        self._model = lp.solverModel
        self._model.HandleUserInterrupt = True
        self._model.cbMipInterrupt += self._report
        # Building the model takes a while as well; a task that was stopped in it must not start to solve.
        if not self._stopped:
            self._model.run()

    def stop(self) -> None:
        self._stopped = True
        if self._model is not None:
            self._model.cancelSolve()

    def _report(self, event: HighsCallbackEvent) -> None:
        if np.isfinite(event.data_out.mip_dual_bound):
            self._on_bound(event.data_out.mip_dual_bound)


def _wait() -> None:
    """Nothing to do but to wait for the other program's end."""
