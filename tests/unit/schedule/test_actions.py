"""Schedules from lists of node names."""

import pytest
from hypothesis import given

from hcp.graph.ir import Graph, Node, Value
from hcp.schedule.actions import Compute, Free, Schedule, ScheduleError, keep_everything
from hcp.schedule.replay import replay
from tests.strategies import graphs

CHAIN = Graph(
    (
        Node("a", outputs=(Value("x", 1),)),
        Node("b", inputs=("x",), outputs=(Value("y", 1),)),
        Node("c", inputs=("x", "y"), outputs=(Value("z", 1),)),
    )
)


def test_frees_follow_last_uses():
    actions = Schedule.from_computes(CHAIN, "abc").actions
    assert actions[:3] == (Compute("a"), Compute("b"), Compute("c"))
    assert set(actions[3:]) == {Free("x"), Free("y"), Free("z")}


def test_an_instance_goes_before_its_rerun_where_nobody_reads_it_between():
    schedule = Schedule.from_computes(CHAIN, "abac")
    assert schedule.actions[:4] == (Compute("a"), Compute("b"), Free("x"), Compute("a"))
    assert schedule.computes == ("a", "b", "a", "c")
    assert len(schedule) == 7 + 1


def test_unknown_node():
    with pytest.raises(ScheduleError, match="step 1 computes unknown node 'q'"):
        Schedule.from_computes(CHAIN, "aq")


@given(graphs())
def test_keep_everything_is_legal_and_costs_the_base_cost(graph):
    usage = replay(graph, keep_everything(graph))
    assert usage.cost == graph.base_cost
    assert usage.recomputed == {}
    assert usage.peak >= graph.index.floor.max()
    residents = sum(value.bytes for value in graph.values.values() if value.resident)
    assert usage.final == residents
