"""Lifetimes of values against replay: they add up to its profile, and tell why something is made again."""

from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp.graph.instances import training_chain, unet
from hcp.graph.ir import Graph, Node, Value
from hcp.schedule.actions import Compute, Free, Schedule
from hcp.schedule.host import HostLink
from hcp.schedule.lifetimes import Return, lifetimes, returns
from hcp.schedule.states import Origin
from tests.effort import examples
from tests.strategies import seeded_graphs
from tests.transfers import random_transfers

LINK = HostLink(10**9, 10**9)


def added_up(graph, schedule, found):
    """Bytes of what lives during each step, and the step's workspace."""
    held = [graph.node[step.node].workspace if isinstance(step, Compute) else 0 for step in schedule.steps]
    for each in found:
        for step in range(each.first, each.last + 1):
            held[step] += graph.values[each.value].bytes
    return tuple(held)


@settings(max_examples=examples(40), deadline=None)
@given(seeded_graphs(), st.integers(0, 10**6))
def test_lifetimes_add_up_to_what_replay_finds(graph, seed):
    schedule = random_transfers(graph, seed)
    usage = hcp.replay(graph, schedule, LINK)
    found = lifetimes(graph, schedule)
    assert added_up(graph, schedule, found) == usage.profile
    assert sum(graph.values[each.value].bytes for each in found if each.stays) == usage.final
    frees = sum(isinstance(action, Free) for action in schedule.actions)
    assert sum(each.freed for each in found) == frees
    reads = sum(len(graph.node[step.node].inputs) if isinstance(step, Compute) else 1 for step in schedule.steps)
    fetches = sum(each.origin is Origin.FETCHED for each in found)
    assert sum(len(each.reads) for each in found) == reads - fetches


def without_free(schedule, value, step):
    """The schedule without the free of a value after a step."""
    actions, steps = [], -1
    for action in schedule.actions:
        steps += not isinstance(action, Free)
        if action != Free(value) or steps != step:
            actions.append(action)
    assert len(actions) == len(schedule) - 1
    return Schedule(tuple(actions))


def test_reasons_are_what_replay_finds_when_the_value_stays():
    graph = unet(3)
    schedule = random_transfers(graph, 3, offload=0)
    usage = hcp.replay(graph, schedule)
    why = returns(graph, lifetimes(graph, schedule), usage.profile)
    assert sum(usage.recomputed.values()) >= len(why) > 5
    for step, reasons in why.items():
        for each in reasons:
            assert graph.producer[each.value] == schedule.steps[step].node
            assert each.value in graph.node[schedule.steps[each.needed].node].inputs
            kept = hcp.replay(graph, without_free(schedule, each.value, each.dropped))
            between = kept.profile[each.dropped + 1 : step]
            assert each.held == (max(between) if between else None)


def test_a_live_value_that_is_made_again():
    graph = training_chain(2)
    first, *rest = graph.order
    made = graph.node[first].outputs[0].name
    schedule = Schedule((Compute(first), *Schedule.from_computes(graph, [first, *rest]).actions))
    usage = hcp.replay(graph, schedule)
    found = lifetimes(graph, schedule)
    assert [(each.first, each.last, each.freed) for each in found if each.value == made] == [
        (0, 1, False),
        (1, 4, True),
    ]
    assert returns(graph, found, usage.profile) == {1: [Return(made, None, 2, None)]}


def test_a_fresh_instance_of_a_resident_value_goes_at_once():
    resident = Value("kept", 8, "output", resident=True)
    graph = Graph((Node("a", outputs=(Value("x", 4), resident)), Node("b", inputs=("x", "kept"))))
    schedule = Schedule.from_computes(graph, ["a", "a", "b"])
    found = lifetimes(graph, schedule)
    assert added_up(graph, schedule, found) == hcp.replay(graph, schedule).profile
    assert [(each.first, each.last, each.stays) for each in found if each.value == "kept"] == [
        (0, 2, True),
        (1, 1, False),
    ]


def test_values_that_nobody_reads_live_while_they_are_made():
    graph = Graph((Node("a", outputs=(Value("x", 4),)), Node("b", outputs=(Value("y", 2),))))
    (x, y) = lifetimes(graph, Schedule.from_computes(graph, ["a", "b"]))
    assert (x.value, x.first, x.last, x.freed, x.reads) == ("x", 0, 0, True, [])
    assert (y.value, y.first, y.last, y.freed, y.reads) == ("y", 1, 1, True, [])
