"""Replay, by hand and against a second machine written from the definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcp.graph.ir import Graph, Node, Value
from hcp.schedule.actions import Compute, Free, Schedule, ScheduleError, keep_everything
from hcp.schedule.replay import replay
from tests.strategies import graphs

GRAPH = Graph(
    (
        Node("a", inputs=("i",), outputs=(Value("x", 10), Value("s", 1, resident=True)), cost=2, workspace=5),
        Node("b", inputs=("x",), outputs=(Value("y", 20),), cost=3),
        Node("c", inputs=("x", "y"), outputs=(), cost=4, recomputable=False),
    ),
    (Value("i", 100, "input"),),
)


def test_memory_while_a_node_runs_is_live_plus_outputs_plus_workspace():
    usage = replay(GRAPH, keep_everything(GRAPH))
    assert usage.profile == (116, 131, 131)
    assert (usage.cost, usage.peak, usage.peak_step, usage.final) == (9, 131, 1, 101)
    assert usage.recomputed == {}


def test_a_rerun_holds_fresh_outputs_beside_live_ones_while_it_runs():
    twice = Schedule((Compute("a"), Compute("a"), Compute("b"), Compute("c")))
    usage = replay(GRAPH, twice)
    assert usage.profile == (116, 127, 131, 131)
    assert usage.recomputed == {"a": 1}
    assert usage.cost == 11


def test_freeing_the_old_instance_first_saves_its_bytes():
    usage = replay(GRAPH, Schedule((Compute("a"), Free("x"), Compute("a"), Compute("b"), Compute("c"))))
    assert usage.profile == (116, 117, 131, 131)


@pytest.mark.parametrize(
    ("actions", "text"),
    [
        ([Compute("z")], "unknown node 'z'"),
        ([Compute("b")], "input 'x' is not live"),
        ([Compute("a"), Free("x"), Compute("b")], "step 2 runs node 'b' while its input 'x'"),
        ([Compute("a"), Free("s")], "resident"),
        ([Compute("a"), Free("i")], "resident"),
        ([Free("x")], "not live"),
        ([Free("q")], "unknown value 'q'"),
        ([Compute("a"), Compute("b"), Compute("c"), Compute("c")], "must run once"),
        ([Compute("a"), Compute("b")], "never runs node 'c'"),
        ([], "never runs node 'a'"),
    ],
)
def test_illegal_schedules_are_refused(actions, text):
    with pytest.raises(ScheduleError, match=text):
        replay(GRAPH, Schedule(tuple(actions)))


def by_definition(graph, computes):
    """Peak of the leanest schedule that runs these nodes: an instance is live from its run to its last reader."""
    memory = [0] * len(computes)
    for value in graph.values.values():
        makes = [i for i, name in enumerate(computes) if value.name in {v.name for v in graph.node[name].outputs}]
        reads = [i for i, name in enumerate(computes) if value.name in graph.node[name].inputs]
        if value.name not in graph.producer:
            spans = [(0, len(computes) - 1)]
        elif value.resident:
            spans = [(makes[0], len(computes) - 1), *((i, i) for i in makes[1:])]
        else:
            ends = [*makes[1:], len(computes)]
            spans = [(i, max([i, *(r for r in reads if i < r < end)])) for i, end in zip(makes, ends, strict=True)]
        for first, last in spans:
            for i in range(first, last + 1):
                memory[i] += value.bytes
    return max(m + graph.node[name].workspace for m, name in zip(memory, computes, strict=True))


@given(graphs(), st.data())
def test_replay_of_derived_frees_agrees_with_the_definition(graph, data):
    computes = []
    for name in graph.order:
        computes.append(name)
        again = [v for v in dict.fromkeys(computes) if graph.node[v].recomputable]
        if again:
            computes += data.draw(st.lists(st.sampled_from(again), max_size=2))
    # Derived frees drop an instance after its last reader, so any sequence that is legal without frees stays legal.
    usage = replay(graph, Schedule.from_computes(graph, computes))
    assert usage.peak == by_definition(graph, computes)
    assert usage.cost == sum(graph.node[name].cost for name in computes)
    held = replay(graph, Schedule(tuple(Compute(name) for name in computes)))
    assert usage.peak <= held.peak
