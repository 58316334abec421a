"""Linear programs by HiGHS' dual simplex."""

from dataclasses import dataclass
from enum import Enum

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hcp.solvers.rows import Model

FloatArray = NDArray[np.float64]


class LpStatus(Enum):
    """How a linear program ended."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    STOPPED = "stopped"


@dataclass(frozen=True)
class LpResult:
    """The outcome of a linear program in the model's own units; floating point, so nothing here is a proof.

    Attributes:
        status: How it ended.
        value: Objective with the model's constant.
        point: One number a column.
        multipliers: One number >= 0 a row: cost per unit of the right-hand side.
    """

    status: LpStatus
    value: float
    point: FloatArray
    multipliers: FloatArray


def solve_lp(model: Model, time_limit: float) -> LpResult:
    """Solves the linear form of a model.

    Args:
        model: The model.
        time_limit: Seconds.
    """
    if not model.shape[1]:
        # Everything is fixed: HiGHS and sparse reductions want at least one column.
        status = LpStatus.OPTIMAL if bool(np.all(model.rhs >= 0)) else LpStatus.INFEASIBLE
        return LpResult(status, model.constant, np.zeros(0), np.zeros(model.shape[0]))
    return _run(model.matrix, model.rhs, model.cost, model.constant, time_limit)


def solve_elastic(model: Model, soft: slice, time_limit: float) -> LpResult:
    """Minimises the uniform relief of some rows that makes a model feasible; ``value`` is that relief.

    Args:
        model: The model; its costs do not count here.
        soft: The rows that may be relieved, of which the sum of multipliers is 1 at a positive optimum.
        time_limit: Seconds.
    """
    rows, columns = model.shape
    relief = np.zeros(rows, np.int64)
    relief[soft] = -1
    matrix = sparse.hstack([model.matrix, sparse.csr_matrix(relief[:, None])], format="csr")
    cost = np.zeros(columns + 1, np.int64)
    cost[-1] = 1
    return _run(matrix, model.rhs, cost, 0, time_limit, open_columns=1)


def _run(
    matrix: sparse.csr_matrix,
    rhs: NDArray[np.int64],
    cost: NDArray[np.int64],
    constant: int,
    time_limit: float,
    open_columns: int = 0,
) -> LpResult:
    """Runs HiGHS on rows and columns brought to a similar scale; the last ``open_columns`` have no upper bound."""
    rows, columns = matrix.shape
    largest = np.maximum(np.asarray(abs(matrix).max(axis=1).todense()).ravel(), 1).astype(np.float64)
    row_scale = 1.0 / largest
    column_scale = np.ones(columns)
    if open_columns:
        column_scale[-open_columns:] = largest.max()
    scaled = sparse.csr_matrix(
        sparse.diags(row_scale) @ matrix.astype(np.float64) @ sparse.diags(column_scale)
    )
    # Costs per column differ by orders of magnitude between graphs; the solver's tolerances are absolute.
    cost_scale = 1e3 / max(1.0, float(np.max(cost * column_scale, initial=0)))
    upper = np.ones(columns)
    if open_columns:
        upper[-open_columns:] = highspy.kHighsInf

    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = columns, rows
    program.col_cost_ = cost * column_scale * cost_scale
    program.col_lower_, program.col_upper_ = np.zeros(columns), upper
    program.row_lower_ = np.full(rows, -highspy.kHighsInf)
    program.row_upper_ = rhs * row_scale
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = scaled.indptr
    program.a_matrix_.index_ = scaled.indices
    program.a_matrix_.value_ = scaled.data
    solver = highspy.Highs()
    for option, setting in {
        "output_flag": False,
        "solver": "simplex",
        "time_limit": max(0.05, time_limit),
    }.items():
        solver.setOptionValue(option, setting)
    solver.passModel(program)
    solver.run()
    status = {
        highspy.HighsModelStatus.kOptimal: LpStatus.OPTIMAL,
        highspy.HighsModelStatus.kInfeasible: LpStatus.INFEASIBLE,
    }.get(solver.getModelStatus(), LpStatus.STOPPED)
    solution = solver.getSolution()
    point = np.array(solution.col_value) if solution.value_valid else np.zeros(columns)
    duals = np.array(solution.row_dual) if solution.dual_valid else np.zeros(rows)
    return LpResult(
        status,
        float(solver.getInfo().objective_function_value) / cost_scale + constant,
        point * column_scale,
        np.maximum(-duals, 0.0) * row_scale / cost_scale,
    )
