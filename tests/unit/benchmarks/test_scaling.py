"""What the benchmark of scaling reports of a plan."""

from dataclasses import replace

import pytest

import hcp
from benchmarks.scaling import certified_bound, close_after, main, measured
from hcp.graph.instances import instance
from hcp.planning.solution import Bound, TracePoint
from hcp.schedule.scopes import ORDER_FREE


@pytest.fixture(scope="module")
def plan():
    return hcp.solve(instance("transformer:2"), "70%", "proof", time_limit=20)


def test_only_what_a_certificate_proves_counts(plan):
    claimed = Bound(2 * plan.cost, "cost", ORDER_FREE, None, "a claim")
    assert certified_bound(replace(plan, bounds=(*plan.bounds, claimed))) == certified_bound(plan) <= plan.cost
    assert certified_bound(replace(plan, bounds=(claimed,))) == plan.problem.graph.base_cost


def test_close_is_within_one_percent_of_what_is_certified(plan):
    base = plan.problem.graph.base_cost
    bound = certified_bound(plan)
    trace = (
        TracePoint(1.0, None, bound),
        TracePoint(2.0, bound + base // 50, bound),
        TracePoint(3.0, bound + base // 50, bound + base // 50),
        TracePoint(4.0, bound + base // 200, bound),
    )
    assert close_after(replace(plan, trace=trace)) == 4.0
    assert close_after(replace(plan, trace=trace[:3])) is None


def test_a_graph_that_is_not_there_is_skipped(tmp_path, capsys):
    arguments = ["--data", str(tmp_path / "none.json"), "--graph", "transformer:1", "--budget", "60%"]
    main([*arguments, "--time-limit", "1", "--solver", "sqrt_n", "--out", str(tmp_path)])
    assert capsys.readouterr().out.count("transformer:1") == 2
    assert "load average" in (tmp_path / "scaling.md").read_text()


def test_a_row_says_what_planning_took():
    row = measured("transformer:2", "70%", "sqrt_n", 5)
    assert row["nodes"] == len(instance("transformer:2").nodes)
    assert row["GiB"] > 0
