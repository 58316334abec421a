"""Comparisons: shared bounds, winners, and rows for what does not work."""

import json
from dataclasses import replace

import pytest

import hcp
from hcp.compare import Comparison
from hcp.graph.errors import HcpError
from hcp.graph.instances import chain, training_chain, unet
from hcp.report.tables import comparison_table
from hcp.schedule.actions import ScheduleError
from hcp.sweeps.results import medians


def test_gaps_use_the_best_bound_of_all_planners():
    graph = training_chain(5)
    comparison = hcp.compare(graph, 5, ["exhaustive", "sqrt_n"])
    exact, heuristic = comparison.rows
    assert exact.status == "OPTIMAL"
    assert exact.gap == 0.0
    assert heuristic.bound == graph.base_cost
    assert heuristic.best_bound == exact.bound == exact.plan.cost == 16
    assert heuristic.gap == pytest.approx(heuristic.plan.cost / 16 - 1)
    assert exact.winner
    assert heuristic.winner == (heuristic.plan.cost == 16)


def test_what_does_not_work_becomes_a_row():
    rows = hcp.compare([chain(20), unet(1)], [1, "100%"], ["keep_all", "exhaustive"]).rows
    found = {(row.graph, row.budget, row.solver): row for row in rows}
    assert found["chain-20", 1, "keep_all"].status == "INFEASIBLE"
    assert "no schedule fits 1 bytes" in found["chain-20", 1, "keep_all"].message
    assert found["chain-20", "100%", "exhaustive"].status == "NOT_APPLICABLE"
    assert "at most 12 nodes" in found["chain-20", "100%", "exhaustive"].message
    assert found["chain-20", "100%", "keep_all"].winner


def test_groups_and_json():
    comparison = hcp.compare([chain(3), chain(4)], ["100%", 50], ["keep_all", "sqrt_n"])
    assert [len(group) for group in comparison.groups()] == [2, 2, 2, 2]
    data = json.loads(json.dumps(comparison.to_dict()))
    assert data["gap_scope"] == "order-free"
    assert len(data["rows"]) == 8
    assert {
        "graph",
        "budget_bytes",
        "solver",
        "status",
        "cost",
        "peak",
        "overhead",
        "gap",
        "gap_scope",
        "winner",
    } <= set(data["rows"][0])
    assert Comparison(()).to_dict()["rows"] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([], "80%", "keep_all"), "no graph to compare"),
        ((chain(3), [], "keep_all"), "no budget to compare"),
        ((chain(3), "80%", []), "no solver to compare"),
        ((chain(3), "80%", ["keep_all", "keep_all"]), "'keep_all' is given twice"),
        (([chain(3), chain(3)], "80%", "keep_all"), "'chain-3' is given twice"),
        ((chain(3), "80 apples", "keep_all"), "apples"),
        ((chain(3), "80%", "gurobi"), "unknown solver 'gurobi'; choose one of"),
    ],
)
def test_bad_input(arguments, text):
    with pytest.raises(HcpError, match=text):
        hcp.compare(*arguments)


def test_different_graphs_of_one_name_are_numbered():
    others = [replace(chain(size), name="net") for size in (3, 4, 5)]
    found = hcp.compare(others, "100%", "keep_all")
    assert [row.graph for row in found.rows] == ["net", "net (2)", "net (3)"]
    assert [len(row.plan.graph.nodes) for row in found.rows] == [3, 4, 5]


def test_several_seeds_give_the_median_and_the_range():
    graph = unet(3)
    options = {"time_limit": 1, "workers": 1}
    found = hcp.compare(graph, "60%", ["anneal", "sqrt_n", "proof"], seeds=3, **options)
    assert [(row.solver, row.runs) for row in found.rows] == [("anneal", 3), ("sqrt_n", 3), ("proof", 3)]
    best = max(row.best_bound for row in found.rows)
    for row in found.rows:
        low, high = row.costs
        assert low <= row.plan.cost <= high
        assert best == row.best_bound <= low
        assert row.to_dict()["cost_range"] == [low, high]
    assert found.rows[1].costs[0] == found.rows[1].costs[1]
    lowest = min(row.plan.cost for row in found.rows)
    assert {row.solver for row in found.rows if row.winner} == {r.solver for r in found.rows if r.plan.cost == lowest}
    with pytest.raises(HcpError, match="seeds 0 is no number of runs"):
        hcp.compare(graph, "60%", "anneal", seeds=0)


def test_the_median_of_rows():
    graph = chain(6)
    plans = [hcp.solve(graph, "100%", "keep_all")] * 3
    rows = [
        replace(row, plan=plan)
        for row, plan in zip(hcp.compare(graph, "100%", "keep_all").rows * 3, plans, strict=True)
    ]
    (row,) = medians([*rows, replace(rows[0], plan=None)])
    assert (row.runs, row.costs) == (4, (6, 6))
    (none,) = medians([replace(rows[0], plan=None)] * 2)
    assert (none.runs, none.costs) == (2, None)


def test_schedules_of_others_stand_beside_planners_with_the_same_bound():
    graph = unet(4)
    theirs = hcp.solve(graph, "70%", "sqrt_n")
    found = hcp.compare(graph, [], ["lower_sets", "auto"], schedules={"theirs": theirs.schedule}, time_limit=5)
    assert [(row.solver, row.budget, row.given) for row in found.rows] == [
        ("lower_sets", theirs.peak, False),
        ("auto", theirs.peak, False),
        ("theirs", theirs.peak, True),
    ]
    row = found.rows[-1]
    assert (row.plan.cost, row.plan.peak) == (theirs.cost, theirs.peak)
    assert len({row.best_bound for row in found.rows}) == 1
    assert row.gap == theirs.cost / row.best_bound - 1
    assert not row.winner
    assert row.to_dict()["given"]
    assert row.to_dict()["seconds"] is None
    assert comparison_table(found).rows[-1][-2] == "-"
    # At budgets of the user's, where it keeps them.
    wide, tight = hcp.compare(graph, ["100%", "60%"], "lower_sets", schedules={"theirs": theirs.schedule}).groups()
    assert (wide[-1].status, tight[-1].status) == ("FEASIBLE", "NOT_APPLICABLE")
    assert tight[-1].plan is None
    assert tight[-1].message == f"schedule 'theirs' holds {theirs.peak:,} bytes, over the budget of 1,891"


def test_schedules_that_cannot_be_compared_are_refused():
    graph = unet(3)
    schedule = hcp.solve(graph, "80%", "eviction").schedule
    with pytest.raises(HcpError, match="schedules are given beside 2 graphs; give the one graph"):
        hcp.compare([graph, unet(4)], "80%", "eviction", schedules={"theirs": schedule})
    with pytest.raises(HcpError, match="schedule 'eviction' has the name of a planner that is compared"):
        hcp.compare(graph, "80%", "eviction", schedules={"eviction": schedule})
    with pytest.raises(ScheduleError):
        hcp.compare(unet(4), "80%", "eviction", schedules={"theirs": schedule})
    with pytest.raises(HcpError, match="there is no budget to compare"):
        hcp.compare(graph, [], "eviction")
