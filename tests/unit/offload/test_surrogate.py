"""Surrogates and improvements: what their schedules stand for is legal, no dearer and no larger."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import training_chain, unet
from hcp.graph.ir import Graph, Node, Value
from hcp.offload.improve import improved
from hcp.offload.surrogate import Surrogate
from hcp.schedule.actions import Compute, Fetch, Offload, Schedule, keep_everything
from hcp.schedule.host import PER, HostLink
from hcp.schedule.replay import replay
from hcp.solvers.certificates.host import fetchable
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs
from tests.transfers import random_transfers

LINK = HostLink(PER, 2 * PER, 1)
GRAPHS = st.one_of(graphs(), seeded_graphs())


def surrogate_of(graph, data):
    names = [node.name for node in graph.nodes if fetchable(graph, node)]
    chosen = data.draw(st.sets(st.sampled_from(names))) if names else set()
    order = other_order(graph, data)
    slow = data.draw(st.sets(st.sampled_from(sorted(chosen)))) if chosen else set()
    # Each leaves while some node runs that comes after it.
    later = {name: order[order.index(name) + 1 :] for name in sorted(slow)}
    leaving = {name: data.draw(st.sampled_from(rest)) for name, rest in later.items() if rest}
    return Surrogate(graph, LINK, frozenset(chosen), order, leaving)


def other_order(graph, data):
    """Any topological order."""
    order, left = [], list(graph.order)
    while left:
        ready = [name for name in left if not any(graph.producer.get(x) in left for x in graph.node[name].inputs)]
        order.append(data.draw(st.sampled_from(ready)))
        left.remove(order[-1])
    return tuple(order)


@settings(max_examples=examples(200), deadline=None)
@given(GRAPHS, st.data(), st.integers(0, 10**6))
def test_a_surrogates_schedule_stands_for_one_no_worse(graph, data, seed):
    surrogate = surrogate_of(graph, data)
    planned = random_transfers(surrogate.graph, seed, offload=0.0)
    claimed = replay(surrogate.graph, planned)
    true = replay(graph, Schedule.from_steps(graph, surrogate.steps(planned)), LINK)
    assert true.cost <= claimed.cost - surrogate.constant
    assert true.peak <= claimed.peak


@settings(max_examples=examples(200), deadline=None)
@given(GRAPHS, st.data(), st.integers(0, 10**6))
def test_a_schedule_goes_into_a_surrogate_and_back(graph, data, seed):
    order = other_order(graph, data)
    schedule = random_transfers(replace(graph, order=order), seed)
    chosen = {graph.producer[step.value] for step in schedule.steps if isinstance(step, Fetch)}
    chosen &= {node.name for node in graph.nodes if fetchable(graph, node)}
    surrogate = Surrogate(graph, LINK, frozenset(chosen), order)
    inside = surrogate.schedule(schedule.steps)
    assert replay(surrogate.graph, inside).peak <= replay(graph, schedule, LINK).peak
    again = Schedule.from_steps(graph, surrogate.steps(inside))
    assert tuple(dict.fromkeys(again.computes)) == tuple(dict.fromkeys(schedule.computes))
    assert replay(graph, again, LINK).peak <= replay(graph, schedule, LINK).peak


@settings(max_examples=examples(300), deadline=None)
@given(GRAPHS, st.integers(0, 10**6), st.integers(0, 8))
def test_improving_keeps_the_budget_and_never_costs_more(graph, seed, spare):
    schedule = random_transfers(graph, seed)
    before = replay(graph, schedule, LINK)
    after = replay(graph, improved(graph, schedule.steps, before.peak + spare, LINK), LINK)
    assert after.peak <= before.peak + spare
    assert after.cost <= before.cost


@settings(max_examples=examples(100), deadline=None)
@given(GRAPHS, st.data())
def test_what_leaves_is_held_until_then(graph, data):
    surrogate = surrogate_of(graph, data)
    steps = tuple(map(Compute, surrogate.order))
    inside = surrogate.schedule(steps)
    assert replay(surrogate.graph, inside).cost == surrogate.graph.base_cost
    assert surrogate.steps(inside) == steps
    order = inside.computes
    for name, last in surrogate.leaving.items():
        assert order.index(name) < order.index(last) < order.index(f"fetch left {name}")


def test_what_costs_more_to_make_than_to_move_is_fetched():
    graph = training_chain(8)
    computes = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8"]
    schedule = Schedule.from_computes(graph, [*computes, "v0", "v1", "v2", "v3", *graph.order[9:]])
    budget = replay(graph, schedule).peak
    assert replay(graph, schedule).recomputed
    fast = improved(graph, schedule.steps, budget, HostLink(4 * PER, 4 * PER))
    assert replay(graph, fast, HostLink(4 * PER, 4 * PER)).cost <= replay(graph, schedule).cost
    slow = improved(graph, schedule.steps, budget, HostLink(PER // 100, PER // 100))
    assert not slow.transfers


def test_a_chain_of_reruns_goes_with_its_end():
    # "c" is read late; making it again takes "a" and "b" again as well.
    graph = Graph(
        (
            Node("a", outputs=(Value("x", 2),), cost=5),
            Node("b", inputs=("x",), outputs=(Value("y", 2),), cost=5),
            Node("c", inputs=("y",), outputs=(Value("z", 2), Value("c done", 0)), cost=5),
            Node("big", inputs=("c done",), outputs=(Value("w", 9),), cost=1, workspace=1),
            Node("end", inputs=("z", "w"), cost=1),
        )
    )
    computes = ("a", "b", "c", "a", "b", "big", "c", "end")
    schedule = Schedule.from_computes(graph, computes)
    link = HostLink(PER, PER)
    better = improved(graph, schedule.steps, replay(graph, schedule).peak, link)
    assert better.computes == graph.order
    assert better.steps == tuple(map(Compute, graph.order))
    # With less room the value cannot stay.
    steps = [Compute("a"), Compute("b"), Compute("c"), Compute("big"), Fetch("z"), Compute("end")]
    tight = improved(graph, [*steps[:3], Offload("z"), *steps[3:]], 11, link)
    assert tight.steps == (*steps[:3], Offload("z"), *steps[3:])


@pytest.mark.parametrize("capacity", [0, 3, 10])
def test_improving_respects_the_hosts_capacity(capacity):
    graph = unet(3)
    schedule = random_transfers(graph, 1, offload=0.0)
    small = HostLink(10**12, 10**12, 0, capacity)
    usage = replay(graph, improved(graph, schedule.steps, 10**9, small), small)
    assert usage.host_peak <= capacity


def test_names_do_not_clash():
    graph = Graph(
        (
            Node("fetch", outputs=(Value("fetch copy x", 1),)),
            Node("n", inputs=("fetch copy x",), outputs=(Value("x", 1),)),
            Node("m", inputs=("x",)),
        )
    )
    surrogate = Surrogate(graph, LINK, frozenset({"fetch", "n"}), graph.order)
    assert len(surrogate.graph.nodes) == 5
    assert surrogate.steps(keep_everything(surrogate.graph)) == tuple(map(Compute, graph.order))
