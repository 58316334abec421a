"""The front of memory and cost against every pair of rows."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.errors import HcpError
from hcp.graph.instances import training_chain
from hcp.planning.plan import judge
from hcp.planning.problem import Problem
from hcp.planning.solution import Bound, Solution, Status
from hcp.schedule.actions import keep_everything
from hcp.schedule.scopes import ORDER_FREE
from hcp.sweeps.front import pareto
from hcp.sweeps.results import Row
from tests.effort import examples
from tests.transfers import random_transfers

GRAPH = training_chain(5)
# Schedules of many peaks and costs, without transfers.
PLANS = [
    judge(Problem(GRAPH, 100), Solution(random_transfers(GRAPH, seed, drop=0.4, offload=0.0), Status.FEASIBLE))
    for seed in range(30)
]


def row(plan, graph="g", budget=None, bound=GRAPH.base_cost, verified=False):
    size = plan.peak if budget is None else budget
    return Row(graph, size, size, "a", "FEASIBLE", plan, best_bound=bound, best_bound_verified=verified)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLANS), st.sampled_from("gh"), st.integers(0, 4)), min_size=1, max_size=12))
def test_points_are_those_that_nothing_beats(drawn):
    rows = [row(plan, graph, plan.peak + more) for plan, graph, more in drawn]
    found = pareto(rows)
    for name in "gh":
        mine = [plan for plan, graph, _ in drawn if graph == name]
        best = {
            (plan.peak, plan.cost)
            for plan in mine
            if not any(
                (other.peak, other.cost) != (plan.peak, plan.cost)
                and other.peak <= plan.peak
                and other.cost <= plan.cost
                for other in mine
            )
        }
        points = [(point.peak, point.cost) for point in found if point.graph == name]
        assert set(points) == best
        assert points == sorted(best)


def test_a_bound_holds_for_smaller_peaks_but_not_for_larger_ones():
    keep = judge(Problem(GRAPH, 100), Solution(keep_everything(GRAPH), Status.FEASIBLE))
    small = min(PLANS, key=lambda plan: (plan.peak, plan.cost))
    assert small.peak < keep.peak
    rows = [row(keep), row(small, bound=small.cost, verified=True)]
    low, high = pareto(rows)
    assert (low.bound, low.verified, low.gap) == (small.cost, True, 0.0)
    assert (high.bound, high.verified) == (GRAPH.base_cost, False)
    # A bound for a budget above the peak counts as well.
    (low,) = pareto([row(small), replace(row(small, budget=small.peak + 1, bound=small.cost), plan=None)])
    assert low.bound == small.cost


def test_a_bound_of_a_larger_budget_that_refutes_a_schedule_is_a_defect():
    plan = PLANS[0]
    bounds = (Bound(plan.cost + 1, "cost", ORDER_FREE),)
    other = judge(Problem(GRAPH, 100), Solution(None, Status.NO_SOLUTION, bounds))
    wrong = Row("g", plan.peak + 5, plan.peak + 5, "b", "BOUND", other, best_bound=plan.cost + 1)
    with pytest.raises(HcpError, match="contradict each other"):
        pareto([row(plan), wrong])


def test_rows_without_a_schedule_are_no_points():
    assert pareto([Row("g", 5, 5, "a", "NOT_APPLICABLE")]) == ()
