"""Verdicts of the executed JAX comparison."""

import pytest

from benchmarks.executed_jax import apart
from benchmarks.jax_report import verdicts_of, verdicts_table


def row(way, size, budget=None, overhead=None):
    return {"model": "m", "way": way, "bytes": size, "budget_bytes": budget, "overhead": overhead}


def verdict(times, **hcp):
    rows = [row("peer", 100), row("hcp", **({"size": 90, "budget": 100, "overhead": 0.25} | hcp))]
    return verdicts_of(rows, {"peer": [1.0, 2.0, 1.0, 2.0], "hcp": times})[0]


def test_a_plan_that_takes_no_more_and_is_no_slower_holds():
    found = verdict([0.9, 1.8, 1.0, 2.0])
    assert found == {
        "model": "m",
        "peer": "peer",
        "by": "hcp",
        "ratio": pytest.approx(0.95),
        "holds": True,
        "cause": "",
    }


@pytest.mark.parametrize(
    ("times", "hcp", "cause"),
    [
        ([1.5, 3.0, 1.5, 3.0], {}, "the plan computes 25.0% again"),
        ([1.5, 3.0, 1.5, 3.0], {"overhead": 0.0}, "other kernels"),
        ([0.8, 1.6, 1.3, 2.6], {}, "within the clock's spread"),
        ([1.0, 1.0, 1.0, 1.0], {"size": 101}, "the smallest hcp program takes 101 bytes"),
    ],
)
def test_the_table_names_the_cause_where_it_does_not_hold(times, hcp, cause):
    found = verdict(times, **hcp)
    assert not found["holds"]
    assert cause in found["cause"]
    assert cause in str(verdicts_table([found]))


def test_of_the_plans_that_fit_the_quickest_counts():
    rows = [row("peer", 100), row("a", 90, 95, 0.5), row("b", 99, 100, 0.1), row("c", 120, 120, 0.0)]
    times = {"peer": [1.0, 1.0], "a": [0.9, 0.9], "b": [0.8, 0.8], "c": [0.1, 0.1]}
    assert verdicts_of(rows, times)[0]["by"] == "b"


def test_budgets_close_to_one_another_are_planned_once():
    assert apart([100, 101, 102, 103, 200]) == [100, 103, 200]
    assert apart([]) == []
