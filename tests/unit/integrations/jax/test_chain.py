"""The chain of a scan: the exact recursion against brute force and Revolve's formula; tables run like schedules."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp import Schedule, keep_everything, replay, solve
from hcp.heuristics.revolve import advances
from hcp.integrations.jax.chain import BOUNDARY, StepSizes, chain_graph, table
from hcp.integrations.jax.chain_plan import ScanChain, chain_steps
from tests.effort import examples


def fewest(length, carries, extra):
    """The recursion of the module's docstring, every split tried."""

    @cache
    def best(n, k):
        if n == 1:
            return 0 if k >= 1 else float("inf")
        options = [
            m + best(n - m, k - 1) + best(m, k) for m in range(1, n) if k > 1 and k + extra >= (2 if m == 1 else 3)
        ]
        return min(options, default=float("inf"))

    return best(length, carries)


@pytest.mark.parametrize("extra", [-2, -1, 0, 1, 3])
def test_the_recursion_tries_enough_splits(extra):
    for length in range(1, 28):
        for carries in range(1, 9):
            steps = chain_steps(length, carries, extra)
            expected = fewest(length, carries, extra)
            if expected == float("inf"):
                assert steps is None
            else:
                assert sum(name.startswith("forward") for name in steps) == expected + 1


def test_with_room_for_steps_in_flight_it_is_the_binomial_optimum():
    for length in (2, 5, 17, 60, 100):
        for slots in (1, 2, 3, 7, 10):
            steps = chain_steps(length, slots + 1, 1)
            assert sum(name.startswith("forward") for name in steps) == advances(length, slots) + 1


sizes = st.builds(
    StepSizes,
    carry=st.integers(1, 100),
    cotangent=st.integers(0, 100),
    forward_cost=st.integers(1, 9),
    backward_cost=st.integers(1, 9),
    forward_workspace=st.integers(0, 200),
    backward_workspace=st.integers(0, 200),
)


@settings(max_examples=examples(60), deadline=None)
@given(length=st.integers(1, 14), sizes=sizes, share=st.integers(30, 100))
def test_plans_keep_the_budget_and_tables_run_them(length, sizes, share):
    graph = chain_graph(length, sizes, "scan")
    budget = max(int(graph.index.floor.max()), replay(graph, keep_everything(graph)).peak * share // 100)
    plan = solve(graph, budget, ScanChain())
    if plan.schedule is None:
        return
    assert plan.peak <= budget
    check_table(length, plan.schedule)


@pytest.mark.parametrize("solver", ["eviction", "sqrt_n", "interval_tree"])
def test_tables_of_any_schedule(solver):
    graph = chain_graph(12, StepSizes(10, 10, 1, 2), "scan")
    check_table(12, solve(graph, "70%", solver).schedule)


def test_what_is_computed_twice_on_the_way_out_is_swept_once():
    graph = chain_graph(3, StepSizes(1, 1, 1, 1), "scan")
    computes = ["forward_0", "forward_1", "forward_0", "forward_1", "forward_2", BOUNDARY]
    back = ["backward_2", "forward_0", "backward_1", "backward_0"]
    found = check_table(3, Schedule.from_computes(graph, (*computes, *back)))
    assert found.forward_steps == 4


def check_table(length, schedule):
    """Runs a table on slots that hold the numbers of carries."""
    found = table(length, schedule)
    slots = [None] * found.slots
    slots[0] = 0
    for i, target in enumerate(found.way_out):
        slots[target] = i + 1
    done = []
    for step, source, begin, end in found.way_back:
        for i, read, written in found.again[begin:end]:
            assert slots[read] == i
            slots[written] = i + 1
        assert slots[source] == step
        done.append(step)
    assert done == list(range(length))[::-1]
    return found
