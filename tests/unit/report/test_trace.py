"""Plans as traces: what they say is replay's, and the format's rules hold."""

import json
from collections import defaultdict
from itertools import pairwise

import pytest

import hcp
from hcp.graph.instances import training_chain
from hcp.report.trace import save_trace, to_trace
from tests.unit.report.plans import KINDS, plan_of


def slices(trace):
    return [event for event in trace["traceEvents"] if event["ph"] == "X"]


def tracks(trace):
    return {e["args"]["name"]: e["tid"] for e in trace["traceEvents"] if e["name"] == "thread_name"}


@pytest.fixture(params=KINDS)
def plan(request):
    return plan_of(request.param)


def test_slices_are_the_steps_and_add_up_to_the_work(plan):
    found = slices(to_trace(plan))
    assert [each["args"]["step"] for each in found] == list(range(len(plan.schedule.steps)))
    assert sum(each["args"]["cost"] for each in found) == plan.usage.cost
    assert sum(each["dur"] for each in found) == pytest.approx(plan.usage.cost / 1000)
    assert max(each["ts"] + each["dur"] for each in found) == pytest.approx(plan.cost / 1000)
    assert sum(each["cat"] == "recompute" for each in found) == sum(plan.usage.recomputed.values())
    again = [each for each in found if each["cat"] == "recompute"]
    assert all(each["name"].endswith(" (again)") and each["args"]["run"] > 1 for each in again)
    assert all(each["args"]["because"] for each in again)


def test_nothing_overlaps_on_a_track(plan):
    trace = to_trace(plan)
    by_track = defaultdict(list)
    for each in slices(trace):
        by_track[each["tid"]].append((each["ts"], each["ts"] + each["dur"]))
    assert by_track.keys() <= set(tracks(trace).values())
    for spans in by_track.values():
        assert all(after[0] >= before[1] - 1e-9 for before, after in pairwise(spans))


def test_the_counter_is_what_replay_holds(plan):
    counters = [event for event in to_trace(plan)["traceEvents"] if event["ph"] == "C"]
    memory = [event for event in counters if event["name"] == "memory"]
    assert tuple(event["args"]["held_bytes"] for event in memory) == (*plan.usage.profile, plan.usage.final)
    assert [event["ts"] for event in memory] == sorted(event["ts"] for event in memory)
    assert {event["args"]["bytes"] for event in counters if event["name"] == "budget"} == {plan.problem.budget}


def test_the_counter_never_shows_less_than_a_step_holds_while_it_runs():
    plan = plan_of("overlapped")
    trace = to_trace(plan)
    memory = [event for event in trace["traceEvents"] if event["name"] == "memory"]
    for step, each in enumerate(slices(trace)):
        assert memory[step]["ts"] <= each["ts"]


def test_what_runs_beside_the_computation_has_a_track_of_its_own():
    assert list(tracks(to_trace(plan_of("recomputing")))) == ["computation"]
    assert list(tracks(to_trace(plan_of("overlapped")))) == ["computation", "offloads", "fetches"]
    trace = to_trace(plan_of("engines"))
    assert list(tracks(trace)) == ["computation", "other"]
    graph = plan_of("engines").graph
    beside = {each["name"].removesuffix(" (again)") for each in slices(trace) if each["tid"] == tracks(trace)["other"]}
    assert beside == {node.name for node in graph.nodes if node.engine}


def test_a_plan_in_nanoseconds_lasts_as_long_as_planned(tmp_path):
    graph = training_chain(4)
    plan = hcp.solve(hcp.Graph(graph.nodes, graph.inputs, graph.order, cost_unit="ns"), "100%", "keep_all")
    save_trace(plan, tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert trace["otherData"]["time"] == "as planned, in nanoseconds"
    assert to_trace(plan_of("recomputing"))["otherData"]["time"] == "1 ns stands for a cost of 1 (units)"
    assert [each["dur"] for each in slices(trace)] == [graph.node[name].cost / 1000 for name in graph.order]


def test_there_is_nothing_to_show_without_a_schedule():
    with pytest.raises(hcp.HcpError, match="found no schedule"):
        to_trace(hcp.solve(training_chain(5), 5, "keep_all"))
