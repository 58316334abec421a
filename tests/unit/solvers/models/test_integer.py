"""Every back end for integer programs against all points of small ones."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from hcp.graph.errors import HcpError
from hcp.planning.deadline import Deadline, WorkClock
from hcp.solvers.models.cpsat import LARGEST_SUM, cost_unit, solve_with_cpsat
from hcp.solvers.models.integer import IntegerStatus, IntegerTask
from hcp.solvers.models.pulp import check_backend, solve_with_pulp
from hcp.solvers.models.rows import Model
from tests.effort import examples
from tests.unit.solvers.models.programs import least_cost, points, programs

BACKENDS = {"cpsat": solve_with_cpsat, "highs": solve_with_pulp}


def task(model, **more):
    return IntegerTask(model, more.pop("hint", {}), more.pop("bound", 0), Deadline(20), workers=1, seed=0, **more)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=examples(80), deadline=None)
@given(model=programs())
def test_optima_are_those_of_all_points(backend, model):
    optimum = least_cost(model)
    found = BACKENDS[backend](task(model))
    if optimum is None:
        assert found.status is IntegerStatus.INFEASIBLE
        assert found.point is None
        return
    assert found.status is IntegerStatus.OPTIMAL
    assert found.bound == model.value(found.point) == optimum
    assert any(np.array_equal(found.point > 0.5, point > 0.5) for point in points(model))


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=examples(40), deadline=None)
@given(model=programs(), data=st.data())
def test_hints_and_known_bounds_change_no_answer(backend, model, data):
    optimum = least_cost(model)
    if optimum is None:
        return
    hint = data.draw(st.dictionaries(st.integers(0, model.shape[1] - 1), st.booleans()))
    bound = data.draw(st.integers(0, optimum))
    heard = []
    found = BACKENDS[backend](task(model, hint=hint, bound=bound, on_bound=heard.append))
    assert found.bound == optimum
    assert all(bound <= value <= optimum for value in heard)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=examples(40), deadline=None)
@given(model=programs(), factor=st.sampled_from((7, 10**6, 2**40)), shift=st.integers(0, 3))
def test_large_costs_keep_the_bound_true_and_near(backend, model, factor, shift):
    optimum = least_cost(model)
    if optimum is None:
        return
    cost = model.cost * factor + shift * (model.cost > 4)
    large = replace(model, cost=cost)
    best = least_cost(large)
    found = BACKENDS[backend](task(large))
    assert found.bound <= best <= large.value(found.point)
    # The solver sees costs rounded to its own range, or within its own tolerance.
    assert large.value(found.point) - found.bound <= max(cost_unit(cost) * len(cost), (best + int(cost.max())) // 10**5)


@settings(max_examples=examples(60), deadline=None)
@given(programs(sizes=st.integers(0, 2**59)), st.integers(1, 2**59))
def test_rows_beyond_the_range_of_cpsat_lose_no_point(model, room):
    large = replace(model, rhs=np.full(model.shape[0], room, np.int64))
    optimum = least_cost(large)
    found = solve_with_cpsat(task(large))
    assert optimum is not None
    assert found.status is IntegerStatus.OPTIMAL
    assert found.bound <= optimum


def test_the_unit_of_costs_is_their_divisor_or_what_their_sum_needs():
    assert cost_unit(np.array([6, 9, 0])) == 3
    assert cost_unit(np.array([0, 0])) == 1
    assert cost_unit(np.array([2**60, 2**60])) >= 2**61 // LARGEST_SUM


def test_a_back_end_that_pulp_does_not_find_is_refused_with_those_it_finds():
    with pytest.raises(HcpError, match="HiGHS"):
        check_backend("GUROBI_OF_ANOTHER_AGE")


def test_only_highs_counts_its_work():
    model = Model(
        sparse.csr_matrix((0, 1), dtype=np.int64), np.zeros(0, np.int64), np.ones(1, np.int64), 0, np.ones(1, bool)
    )
    counting = replace(task(model), deadline=Deadline(5, clock=WorkClock()))
    assert solve_with_pulp(counting).bound == 0
    with pytest.raises(HcpError, match="cannot count its work"):
        solve_with_pulp(counting, "PULP_CBC_CMD")
