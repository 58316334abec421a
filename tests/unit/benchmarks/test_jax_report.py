"""Rows and verdicts of the executed JAX comparison."""

import os
import pickle
from functools import partial

import pytest

from benchmarks.executed_jax import Size, apart, by_hand, planned, row_of, scanned
from benchmarks.jax_peers import mlp, peers
from benchmarks.jax_report import points, rows_table, verdicts_of, verdicts_table
from tests.effort import slow

FAILED = {"model": "m", "way": "hcp at 1%", "error": "no schedule fits"}


def row(way, size, x, budget=None, overhead=None, spread=0.0):
    return {
        "model": "m",
        "way": way,
        "bytes": size,
        "budget_bytes": budget,
        "overhead": overhead,
        "x_plain": x,
        "x_plain_quartiles": (x - spread, x + spread),
    }


def verdict(x, **hcp):
    (found,) = verdicts_of([row("peer", 100, 2.0), row("hcp", x=x, **({"size": 90, "budget": 100} | hcp)), FAILED])
    return found


def test_a_plan_that_takes_no_more_and_is_no_slower_holds():
    assert verdict(1.9) == {
        "model": "m",
        "peer": "peer",
        "by": "hcp",
        "ratio": pytest.approx(0.95),
        "holds": True,
        "cause": "",
    }


@pytest.mark.parametrize(
    ("x", "hcp", "cause"),
    [
        (3.0, {"overhead": 0.25}, "the plan computes 25.0% again"),
        (3.0, {"overhead": 0.0}, "other kernels"),
        (2.2, {"spread": 0.3}, "within the clock's spread"),
        (1.0, {"size": 101}, "the smallest hcp program takes 101 bytes"),
    ],
)
def test_the_table_names_the_cause_where_it_does_not_hold(x, hcp, cause):
    found = verdict(x, **hcp)
    assert not found["holds"]
    assert cause in found["cause"]
    assert cause in str(verdicts_table([found]))


def test_of_the_plans_that_fit_the_quickest_counts():
    rows = [row("peer", 100, 1.0), row("a", 90, 0.9, 95), row("b", 99, 0.8, 100), row("c", 120, 0.1, 120)]
    assert verdicts_of(rows)[0]["by"] == "b"


def test_budgets_close_to_one_another_are_planned_once():
    assert apart([100, 101, 102, 103, 200]) == [100, 103, 200]
    assert apart([]) == []


@slow
def test_every_peer_can_be_sent_to_a_process_and_one_that_dies_is_a_row():
    build = partial(mlp, layers=4, width=8, rows=16)
    chains = peers()
    measure = partial(row_of, "mlp", reference=partial(by_hand, build, chains["plain"]), rounds=2)
    found = [
        measure("checkpoint, each", partial(by_hand, build, chains["checkpoint, each"])),
        measure("hcp at 100%", partial(planned, build, chains["plain"], "100%", 1.0)),
        measure("dead", partial(os._exit, 3)),
    ]
    assert found[0]["bytes"] == by_hand(build, chains["checkpoint, each"]).memory
    assert found[1]["bytes"] <= found[1]["budget_bytes"]
    assert [entry["difference"] for entry in found[:2]] == [0, 0]
    assert "exit code 3" in found[2]["error"]
    assert "exit code 3" in rows_table(found).to_markdown()
    assert len(points(found)) == len(verdicts_of(found)) + 1 == 2
    for chain in chains.values():
        assert by_hand(build, pickle.loads(pickle.dumps(chain))).memory > 0


def test_a_scan_counts_its_forward_steps():
    notes = scanned(Size(8, rows=4, width=4), "50%").notes
    assert notes["forward_steps"] >= notes["binomial_steps"] >= 8
