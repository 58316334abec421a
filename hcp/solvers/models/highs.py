"""Linear programs by HiGHS' dual simplex."""

from dataclasses import dataclass
from enum import Enum

import highspy
import numpy as np
from scipy import sparse

from hcp.graph.cancellation import tick
from hcp.graph.index import IntArray
from hcp.planning.deadline import Deadline
from hcp.planning.native import run_native
from hcp.solvers.models.rows import FloatArray, Model

# Simplex iterations that count as a unit of work: about what a core makes in a second.
ITERATIONS_PER_UNIT = 5_000


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
        multipliers: One number >= 0 a row: cost per unit of the right-hand side. Of a row between two limits, below
            zero where the lower one binds.
        ray: Where no point satisfies the rows, multipliers that show it, up to their common sign, if the solver has
            some.
    """

    status: LpStatus
    value: float
    point: FloatArray
    multipliers: FloatArray
    ray: FloatArray | None = None


class LinearProgram:
    """The linear relaxation of a model inside HiGHS; rows come and go, and each solve starts from the last basis.

    Args:
        model: The model.
        relieved: Rows that one extra column, without upper limit and with the only cost, relieves uniformly; the
            optimal value is then the relief that makes the model feasible, and these rows' multipliers sum up to 1.
    """

    def __init__(self, model: Model, relieved: slice | None = None) -> None:
        matrix, cost, self._constant = model.matrix, model.cost, model.constant
        upper = np.ones(len(cost))
        self._column_scale = np.ones(len(cost) + (relieved is not None))
        if relieved is not None:
            relief = np.zeros(matrix.shape[0], np.int64)
            relief[relieved] = -1
            matrix = sparse.hstack([matrix, sparse.csr_matrix(relief[:, None])], format="csr")
            cost = np.append(np.zeros_like(cost), 1)
            upper = np.append(upper, highspy.kHighsInf)
            self._constant = 0
            self._column_scale[-1] = max(1.0, float(abs(matrix).max()))
        # Costs differ by orders of magnitude between graphs; the solver's tolerances are absolute.
        priced = cost * self._column_scale
        self._cost_scale = 1e3 / max(1.0, float(np.max(priced, initial=0)))
        self._row_scale = np.zeros(0)
        self._between = np.zeros(0, np.bool_)
        self._solver = highspy.Highs()
        self._solver.setOptionValue("output_flag", False)
        self._solver.setOptionValue("solver", "simplex")
        self._solver.HandleUserInterrupt = True
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = len(cost), 0
        program.col_cost_ = priced * self._cost_scale
        program.col_lower_, program.col_upper_ = np.zeros(len(cost)), upper
        program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        program.a_matrix_.start_ = np.zeros(1, np.int32)
        tick()
        self._solver.passModel(program)
        self.add_rows(matrix, model.rhs)

    def add_rows(self, matrix: sparse.csr_matrix, rhs: IntArray) -> None:
        """Adds rows ``matrix z <= rhs`` after those there are."""
        if not matrix.shape[0]:
            return
        largest = np.maximum(np.asarray(abs(matrix).max(axis=1).todense()).ravel(), 1).astype(np.float64)
        scaled = sparse.csr_matrix(
            sparse.diags(1.0 / largest)
            @ matrix.astype(np.float64)
            @ sparse.diags(self._column_scale[: matrix.shape[1]])
        )
        self._row_scale = np.append(self._row_scale, 1.0 / largest)
        self._between = np.append(self._between, np.zeros(len(rhs), np.bool_))
        self._solver.addRows(
            len(rhs),
            np.full(len(rhs), -highspy.kHighsInf),
            rhs / largest,
            scaled.nnz,
            scaled.indptr[:-1],
            scaled.indices,
            scaled.data,
        )

    def drop_rows(self, rows: IntArray) -> None:
        """Drops rows by number; those after them move up."""
        self._solver.deleteRows(len(rows), rows.astype(np.int32))
        self._row_scale = np.delete(self._row_scale, rows)
        self._between = np.delete(self._between, rows)

    def add_between(self, matrix: sparse.csr_matrix) -> None:
        """Adds rows whose two limits, none at first, ``limit`` changes; entries are 0 and 1."""
        count, free = matrix.shape[0], np.full(matrix.shape[0], highspy.kHighsInf)
        entries = matrix.data.astype(np.float64)
        self._solver.addRows(count, -free, free, matrix.nnz, matrix.indptr[:-1], matrix.indices, entries)
        self._row_scale = np.append(self._row_scale, np.ones(count))
        self._between = np.append(self._between, np.ones(count, np.bool_))

    def limit(self, low: FloatArray, high: FloatArray, least: FloatArray, most: FloatArray) -> None:
        """Changes the bounds of all columns, and both limits of all rows from ``add_between``; infinite for none."""
        columns, rows = np.arange(len(low), dtype=np.int32), np.flatnonzero(self._between).astype(np.int32)
        self._solver.changeColsBounds(len(low), columns, low, high)
        self._solver.changeRowsBounds(len(rows), rows, least, most)

    def keep_rows(self) -> None:
        """Leaves the rows as they are in every solve, so that each can go on from the last basis."""
        self._solver.setOptionValue("presolve", "off")

    @property
    def basis(self) -> highspy.HighsBasis:
        """The solver's basis, to go on from later."""
        return self._solver.getBasis()

    @basis.setter
    def basis(self, basis: highspy.HighsBasis) -> None:
        # Rows that were added since are not tight.
        added = len(self._row_scale) - len(basis.row_status)
        if added:
            basis.row_status = [*basis.row_status, *[highspy.HighsBasisStatus.kBasic] * added]
        self._solver.setBasis(basis)

    def solve(self, deadline: Deadline, iterations: int | None = None) -> LpResult:
        """Solves before a deadline, whose limit in units of work is charged for the iterations.

        Args:
            deadline: Of the solve.
            iterations: Where given, as many at most; the value is then a bound on the optimum.
        """
        most = highspy.kHighsIInf if iterations is None else iterations
        if deadline.counts_work:
            # HiGHS counts iterations of each run, and its time limit from the first run of an instance.
            most = min(most, int(deadline.left * ITERATIONS_PER_UNIT) + 1)
        else:
            self._solver.setOptionValue("time_limit", self._solver.getRunTime() + max(0.05, deadline.left_on_clock))
        self._solver.setOptionValue("simplex_iteration_limit", most)
        run_native(self._solver.run, self._solver.cancelSolve, lambda: deadline.over)
        deadline.spend(max(0, self._solver.getInfo().simplex_iteration_count) / ITERATIONS_PER_UNIT)
        status = {
            highspy.HighsModelStatus.kOptimal: LpStatus.OPTIMAL,
            highspy.HighsModelStatus.kInfeasible: LpStatus.INFEASIBLE,
        }.get(self._solver.getModelStatus(), LpStatus.STOPPED)
        return self._result(status)

    def _result(self, status: LpStatus) -> LpResult:
        solution = self._solver.getSolution()
        point = np.array(solution.col_value) if solution.value_valid else np.zeros(len(self._column_scale))
        duals = np.array(solution.row_dual) if solution.dual_valid else np.zeros(len(self._row_scale))
        return LpResult(
            status,
            float(self._solver.getInfo().objective_function_value) / self._cost_scale + self._constant,
            point * self._column_scale,
            self._signed(-duals) / self._cost_scale,
            self._ray() if status is LpStatus.INFEASIBLE else None,
        )

    def _signed(self, duals: FloatArray) -> FloatArray:
        """Multipliers of the model's rows; only those of rows between two limits may be below zero."""
        signed: FloatArray = np.where(self._between, duals, np.maximum(duals, 0.0)) * self._row_scale
        return signed

    def _ray(self) -> FloatArray | None:
        _, known, ray = self._solver.getDualRay()
        return np.array(ray) * self._row_scale if known else None
