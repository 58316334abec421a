"""Linear programs: bounds on the integer optimum, multipliers that prove them, rows that come and go."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from hcp.planning.deadline import Deadline, WorkClock
from hcp.solvers.models.highs import LinearProgram, LpStatus
from hcp.solvers.models.rows import Model
from tests.effort import examples
from tests.unit.solvers.models.programs import least_cost, programs


def proved(model, multipliers):
    """What multipliers prove, by weak duality: the least of c z + y (A z - b) over the box."""
    reduced = model.cost + model.matrix.T @ multipliers
    return np.minimum(reduced, 0).sum() - multipliers @ model.rhs + model.constant


@settings(max_examples=examples(150), deadline=None)
@given(programs())
def test_the_value_bounds_the_integer_optimum_and_its_multipliers_prove_it(model):
    found = LinearProgram(model).solve(Deadline(20))
    optimum = least_cost(model)
    if found.status is LpStatus.INFEASIBLE:
        assert optimum is None
        return
    assert found.status is LpStatus.OPTIMAL
    assert optimum is None or found.value <= optimum + 1e-6
    assert np.all(model.matrix @ found.point <= model.rhs + 1e-6)
    assert np.all(found.multipliers >= 0)
    assert abs(proved(model, found.multipliers) - found.value) <= 1e-5


@settings(max_examples=examples(100), deadline=None)
@given(programs(), st.data())
def test_rows_come_and_go(model, data):
    rows = model.shape[0]
    late = sorted(data.draw(st.sets(st.integers(0, rows - 1)))) if rows else []
    early = [row for row in range(rows) if row not in late]
    part = replace(model, matrix=model.matrix[early], rhs=model.rhs[early])
    program = LinearProgram(part)
    alone = program.solve(Deadline(20))
    program.add_rows(model.matrix[late], model.rhs[late])
    whole, fresh = program.solve(Deadline(20)), LinearProgram(model).solve(Deadline(20))
    assert whole.status is fresh.status
    if whole.status is LpStatus.OPTIMAL:
        assert abs(whole.value - fresh.value) <= 1e-6
    if late:
        program.drop_rows(np.arange(len(early), rows))
    again = program.solve(Deadline(20))
    assert again.status is alone.status
    if again.status is LpStatus.OPTIMAL:
        assert abs(again.value - alone.value) <= 1e-6


@settings(max_examples=examples(100), deadline=None)
@given(programs())
def test_the_relief_is_the_least_that_makes_a_program_feasible(model):
    rows = model.shape[0]
    if not rows:
        return
    found = LinearProgram(model, relieved=slice(0, rows)).solve(Deadline(20))
    assert found.status is LpStatus.OPTIMAL
    assert (found.value <= 1e-6) == (LinearProgram(model).solve(Deadline(20)).status is not LpStatus.INFEASIBLE)
    relieved = model.matrix @ found.point[:-1] - found.value
    assert np.all(relieved <= model.rhs + 1e-5)
    if found.value > 1e-6:
        assert abs(found.multipliers.sum() - 1) <= 1e-6


def test_work_is_charged_by_iterations_and_ends_the_search():
    count = 60
    matrix = sparse.csr_matrix(-np.tri(count, dtype=np.int64))
    cost = np.arange(count, 0, -1)
    model = Model(matrix, -np.arange(1, count + 1) // 2, cost, 0, np.ones(count, bool))
    clock = WorkClock()
    assert LinearProgram(model).solve(Deadline(10, clock=clock)).status is LpStatus.OPTIMAL
    assert clock.now > 0
    spent = Deadline(0, clock=WorkClock())
    assert LinearProgram(model).solve(spent).status is LpStatus.STOPPED
