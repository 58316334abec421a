"""The planner ``milp``: the cut relaxation solved exactly through PuLP, by HiGHS or any solver that PuLP finds."""

from dataclasses import dataclass
from functools import partial
from math import floor

import numpy as np
import pulp

from hcp.graph.errors import HcpError
from hcp.schedule.solution import OPTIMALITY_TOLERANCE, Problem, Solution
from hcp.solvers.integer import IntegerResult, IntegerStatus, IntegerTask
from hcp.solvers.search import search


@dataclass(frozen=True)
class Milp:
    """Bound, lift, polish with a mixed-integer solver as the exact one.

    Attributes:
        backend: A solver's name as PuLP lists it.
    """

    backend: str = "HiGHS"

    def __post_init__(self) -> None:
        known = pulp.listSolvers(onlyAvailable=True)
        if self.backend not in known:
            raise HcpError(f"PuLP finds no solver {self.backend!r} here; choose one of {', '.join(known)}")

    def __call__(self, problem: Problem, /) -> Solution:
        """Plans; OPTIMAL is proved by the solver for every order, within its floating-point tolerances."""
        return search(problem, partial(solve_with_pulp, backend=self.backend), "milp")


def solve_with_pulp(task: IntegerTask, backend: str = "HiGHS") -> IntegerResult:
    """Solves the integer form of a model through PuLP.

    PuLP calls a run "Optimal" that only reached its time limit, so a proof is read from ``sol_status`` alone, and a
    bound from HiGHS itself.
    """
    model = task.model
    program = pulp.LpProblem("cut_relaxation", pulp.LpMinimize)
    columns = [
        pulp.LpVariable(f"z{j}", 0, 1, pulp.LpInteger if integral else pulp.LpContinuous)
        for j, integral in enumerate(model.integral.tolist())
    ]
    # Solvers' tolerances are absolute: bring the objective and the byte rows near one.
    unit = max(1.0, float(model.cost.max(initial=1)) / 1e3)
    program.setObjective(
        pulp.LpAffineExpression([(columns[j], model.cost[j] / unit) for j in np.flatnonzero(model.cost)])
    )
    start, items, entries = model.matrix.indptr, model.matrix.indices, model.matrix.data
    for row in range(model.shape[0]):
        span = slice(int(start[row]), int(start[row + 1]))
        largest = float(np.abs(entries[span]).max(initial=1))
        terms = pulp.LpAffineExpression(
            [
                (columns[j], entry / largest)
                for j, entry in zip(items[span].tolist(), entries[span].tolist(), strict=True)
            ]
        )
        program.addConstraint(terms <= float(model.rhs[row]) / largest)
    for j, value in task.hint.items():
        columns[j].setInitialValue(int(value), check=False)

    options = {"msg": False, "timeLimit": max(0.1, task.time_limit), "gapRel": 0.0}
    if backend == "HiGHS":
        options |= {"random_seed": task.seed}
    try:
        program.solve(pulp.getSolver(backend, **options))
    except pulp.PulpSolverError as error:
        raise HcpError(f"solver {backend} failed: {error}; choose another one") from error
    proved = program.sol_status == pulp.LpSolutionOptimal
    values = [column.varValue for column in columns]
    found = program.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible) and None not in values
    bound = task.bound
    if backend == "HiGHS":
        reached = program.solverModel.getInfo().mip_dual_bound
        found = found and program.solverModel.getSolution().value_valid
    else:
        reached = pulp.value(program.objective) if proved else -np.inf
    if np.isfinite(reached):
        claimed = reached * unit + model.constant
        bound = max(bound, floor(claimed - abs(claimed) * OPTIMALITY_TOLERANCE / 10))
    task.on_bound(bound)
    if program.sol_status == pulp.LpSolutionInfeasible:
        return IntegerResult(IntegerStatus.INFEASIBLE, None, bound)
    if not found:
        return IntegerResult(IntegerStatus.STOPPED, None, bound)
    status = IntegerStatus.OPTIMAL if proved else IntegerStatus.FEASIBLE
    return IntegerResult(status, np.array(values, np.float64), bound)
