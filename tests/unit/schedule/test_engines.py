"""Copies beside the computation: times by hand, and memory that the order alone decides."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp import Compute, Fetch, Free, HostLink, Offload, Schedule, keep_everything, replay
from hcp.graph.ir import Graph, Node, Value
from hcp.schedule.engines import FETCHES, OFFLOADS
from hcp.schedule.host import PER
from hcp.schedule.transfers import copy_ends
from tests.effort import examples
from tests.strategies import graphs
from tests.transfers import random_transfers

CHAIN = Graph(
    (
        Node("a", inputs=(), outputs=(Value("x", 10),), cost=4),
        Node("b", inputs=("x",), outputs=(Value("y", 10),), cost=6),
        Node("c", inputs=("y",), outputs=(Value("z", 10),), cost=6),
        Node("d", inputs=("z", "x"), outputs=(), cost=5),
    ),
)
# One byte in a unit of cost out, two back.
LINK = HostLink(PER, 2 * PER, overlap=True)


def used(actions, link=LINK):
    return replay(CHAIN, Schedule(actions), link)


def test_copies_run_beside_the_computation():
    """x leaves while b and c run, and is on its way back while c does."""
    moved = (
        *(Compute("a"), Offload("x"), Compute("b"), Free("x")),
        *(Fetch("x"), Compute("c"), Free("y"), Compute("d"), Free("x"), Free("z")),
    )
    usage = used(moved)
    assert usage.cost == 21 + 10 + 5
    # The offload takes from 4 to 14, and b to 10: freeing x waits for 4. The fetch takes from 14 to 19, c to 20.
    assert usage.spans[:6] == ((0, 4), (4, 14), (4, 10), (14, 14), (14, 19), (14, 20))
    assert usage.makespan == 25
    assert usage.waited == {FETCHES: 0, OFFLOADS: 4}
    assert usage.peak == 30


def test_a_reader_waits_for_what_it_reads():
    late = (
        *(Compute("a"), Offload("x"), Compute("b"), Free("x")),
        *(Compute("c"), Free("y"), Fetch("x"), Compute("d"), Free("x"), Free("z")),
    )
    usage = used(late)
    # c ends at 20, x arrives at 25.
    assert usage.makespan == 30
    assert usage.waited == {FETCHES: 5, OFFLOADS: 4}
    assert usage.peak == 20


def test_engines_take_copies_in_turn_and_what_is_not_waited_for_counts_in_the_end():
    steps = (*map(Compute, "ab"), Offload("x"), Offload("y"), *map(Compute, "cd"))
    usage = replay(CHAIN, Schedule.from_steps(CHAIN, steps), LINK)
    # From 10 to 20 and to 30: d ends at 21, but y is freed behind c, which ends at 16, when it has left.
    assert usage.makespan == 35
    assert usage.waited == {FETCHES: 0, OFFLOADS: 14}
    kept = (*map(Compute, "abcd"), Free("y"), Offload("x"), Free("z"), Free("x"))
    assert used(kept).makespan == 31


def test_a_fresh_instance_waits_for_the_copy_of_the_old_one():
    usage = used((*map(Compute, "ab"), Offload("x"), Compute("a"), *map(Compute, "cd"), *map(Free, "xyz")))
    assert usage.waited[OFFLOADS] == 20 - 14


def test_a_limited_host_takes_no_copy_before_another_has_gone():
    steps = (
        *(Compute("a"), Offload("x"), Free("x"), Fetch("x"), Compute("b"), Offload("y"), Free("y"), Fetch("y")),
        *(Compute("c"), Free("y"), Compute("d"), Free("x"), Free("z")),
    )
    starts = [used(steps, HostLink(PER, PER // 2, capacity=room, overlap=True)).spans[5][0] for room in (None, 10)]
    # The fetch of x takes from 14 to 34. b, which reads it, is ready at 40: all the same here.
    assert starts == [40, 40]
    free = (*(Compute("a"), Offload("x"), Free("x"), Compute("a"), Compute("b"), Free("x"), Fetch("x"), Offload("y")),)
    free += (*map(Compute, "cd"), Free("x"), Free("y"), Free("z"))
    starts = [used(free, HostLink(PER, PER // 2, capacity=room, overlap=True)).spans[7][0] for room in (None, 10)]
    assert starts == [24, 44]


@pytest.mark.parametrize("link", [None, LINK])
def test_without_transfers_it_is_the_cost(link):
    usage = replay(CHAIN, keep_everything(CHAIN), link)
    assert usage.makespan == usage.cost == 21


@settings(max_examples=examples(400), deadline=None)
@given(graphs(), st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40), st.integers(0, 3), st.booleans())
def test_memory_is_that_of_the_order_whatever_takes_how_long(graph, seed, out, back, latency, limited):
    schedule = random_transfers(graph, seed)
    link = HostLink(out * PER // 8, back * PER // 8, latency, overlap=True)
    capacity = replay(graph, schedule, link).host_peak
    usage = replay(
        graph, schedule, HostLink(link.offload_rate, link.fetch_rate, latency, capacity if limited else None, True)
    )
    device, host = changes(graph, schedule, usage)
    assert highest(device) <= usage.peak
    assert not limited or highest(host) <= usage.host_peak
    computed = usage.cost - usage.transfer_cost
    assert max(computed, usage.makespan - sum(usage.waited.values())) <= usage.makespan <= usage.cost
    assert usage.makespan >= computed + sum(usage.waited.values())
    check_order(graph, schedule, usage)


def changes(graph, schedule, usage):
    """Bytes taken and given back, by time, on the device and on the host."""
    device, host, live, held = defaultdict(int), defaultdict(int), {}, {}
    ends = copy_ends(schedule)
    device[0] += sum(value.bytes for value in graph.inputs)
    live.update((value.name, value.bytes) for value in graph.inputs)
    for place, (action, (start, end)) in enumerate(zip(schedule.actions, usage.spans, strict=True)):
        if isinstance(action, Compute):
            node = graph.node[action.node]
            device[start] += node.workspace
            device[end] -= node.workspace
            # What an instance is replaced by is beside it until the next action may begin.
            after = end if place + 1 == len(usage.spans) else max(end, usage.spans[place + 1][0])
            for value in node.outputs:
                device[start] += value.bytes
                if value.name in live:
                    device[end if value.resident else after] -= value.bytes
                live[value.name] = value.bytes
            continue
        size = graph.values[action.value].bytes
        if isinstance(action, Offload):
            host[start] += size
            held[action.value] = size
            if place in ends:
                host[end] -= held.pop(action.value)
        elif isinstance(action, Fetch):
            device[start] += size
            live[action.value] = size
            if place in ends:
                host[end] -= held.pop(action.value)
        else:
            device[end] -= live.pop(action.value)
    return device, host


def highest(changes):
    now = most = 0
    for _, change in sorted(changes.items()):
        now += change
        most = max(most, now)
    return most


def check_order(graph, schedule, usage):
    """Readers have what they read, and each engine does one thing at a time."""
    there, computing, engines = {}, 0, {Offload: 0, Fetch: 0}
    for action, (start, end) in zip(schedule.actions, usage.spans, strict=True):
        assert start >= computing
        if isinstance(action, Compute):
            node = graph.node[action.node]
            assert all(start >= there.get(name, 0) for name in node.inputs)
            there.update((value.name, end) for value in node.outputs)
            computing = end
        elif isinstance(action, Offload | Fetch):
            assert start >= engines[type(action)]
            engines[type(action)] = end
            if isinstance(action, Fetch):
                there[action.value] = end
        else:
            computing = max(computing, end)
            assert end >= there[action.value]
