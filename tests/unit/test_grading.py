"""Schedules of other systems, graded."""

import json
from dataclasses import replace

import pytest

import hcp
from hcp import GraphError, ScheduleError, grade
from hcp.grading import read_schedule
from hcp.graph.instances import random_graph, transformer, unet
from hcp.solvers.exhaustive import least_peak


def test_the_distance_is_to_the_bound_and_the_plan_at_the_schedules_own_peak():
    graph = unet(4)
    theirs = hcp.solve(graph, "70%", "sqrt_n")
    found = grade(graph, theirs.schedule, name="by segments", time_limit=20)
    assert (found.cost, found.usage.peak, found.overhead) == (theirs.cost, theirs.peak, theirs.overhead)
    assert found.plan.problem.budget == theirs.peak
    assert found.bound.value <= found.plan.cost < found.cost
    assert found.verified
    assert found.over_bound == pytest.approx(found.cost / found.bound.value - 1)
    assert found.over_plan == pytest.approx(found.cost / found.plan.cost - 1)
    extra = found.cost - graph.base_cost
    assert found.over_bound_of_extra == pytest.approx((found.cost - found.bound.value) / extra)
    assert found.to_dict()["recomputed"] == len(theirs.schedule.computes) - len(graph.nodes)


@pytest.mark.parametrize("seed", range(12))
def test_no_schedule_is_graded_below_what_is_possible(seed):
    graph = random_graph(5, seed, edge_probability=0.4)
    budget = least_peak(graph)
    best = hcp.solve(graph, budget, "exhaustive")
    found = grade(graph, best.schedule.computes, time_limit=20)
    assert found.over_bound >= 0
    assert found.plan.cost <= best.cost
    # Its own peak may be below the budget, where nothing is cheaper than within the budget.
    assert found.cost == best.cost
    assert found.over_plan == 0


def test_schedules_come_from_plan_files_and_lists_of_nodes(tmp_path):
    graph = transformer(2)
    plan = hcp.solve(graph, "80%", "eviction")
    file = tmp_path / "plan.json"
    hcp.save_plan(plan, file)
    assert read_schedule(file, graph) == plan.schedule
    for content in (list(plan.schedule.computes), {"computes": list(plan.schedule.computes), "of": "somebody"}):
        file.write_text(json.dumps(content))
        assert read_schedule(file, graph).computes == plan.schedule.computes
    for content, said in (
        (["nobody"], "entry 0 is 'nobody'; expected a node of graph 'transformer-2'"),
        ([True], "entry 0 is True"),
        ({"nodes": []}, "has computes None; expected a list"),
    ):
        file.write_text(json.dumps(content))
        with pytest.raises(GraphError, match=said):
            read_schedule(file, graph)
    hcp.save_plan(hcp.solve(unet(3), "80%", "eviction"), file)
    with pytest.raises(GraphError, match="holds a plan of another graph, 'unet-3'; give one of 'transformer-2'"):
        read_schedule(file, graph)


def test_what_is_illegal_or_runs_beside_is_judged_alike():
    graph = transformer(2)
    with pytest.raises(ScheduleError, match="while its input"):
        grade(graph, graph.order[1:])
    beside = hcp.on_engines(graph, {"down": "other"})
    kept = hcp.keep_everything(beside)
    found = grade(beside, kept, solver="eviction", time_limit=20)
    assert found.cost == hcp.replay(beside, kept).makespan >= found.plan.cost >= found.bound.value
    renamed = replace(beside, name="other")
    assert grade(renamed, kept, solver="keep_all", time_limit=5).graph.name == "other"
