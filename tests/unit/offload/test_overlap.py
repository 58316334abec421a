"""Copies that run beside the computation for longer: the same steps, no more memory, done no later."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from hcp import Compute, Fetch, Free, HostLink, Offload, Schedule, replay, solve
from hcp.graph.instances import unet
from hcp.offload.overlap import overlapped
from hcp.schedule.engines import FETCHES, OFFLOADS
from hcp.schedule.host import PER
from tests.effort import examples
from tests.strategies import graphs
from tests.transfers import random_transfers
from tests.unit.schedule.test_engines import CHAIN, LINK


def test_a_fetch_starts_before_what_its_reader_has_to_wait_for_anyway():
    late = (
        *(Compute("a"), Offload("x"), Compute("b"), Free("x")),
        *(Compute("c"), Free("y"), Fetch("x"), Compute("d"), Free("x"), Free("z")),
    )
    before = replay(CHAIN, Schedule(late), LINK)
    assert (before.makespan, before.waited) == (30, {FETCHES: 5, OFFLOADS: 4})
    found = overlapped(CHAIN, Schedule(late), 30, LINK)
    after = replay(CHAIN, found, LINK)
    # With no room for x while c runs, it stays where it is.
    assert overlapped(CHAIN, Schedule(late), 29, LINK) == Schedule(late)
    assert (after.makespan, after.peak) == (25, 30)
    assert found.actions.index(Fetch("x")) < found.actions.index(Compute("c"))


def test_a_value_stays_while_it_is_copied_rather_than_that_the_computation_waits():
    early = (
        *(Compute("a"), Compute("b"), Free("x"), Compute("a"), Offload("y"), Free("x"), Free("y"), Compute("a")),
        *(Fetch("y"), Compute("c"), Free("y"), Compute("d"), Free("x"), Free("z")),
    )
    before = replay(CHAIN, Schedule(early), LINK)
    assert before.waited[OFFLOADS] == 10
    found = overlapped(CHAIN, Schedule(early), 40, LINK)
    assert replay(CHAIN, found, LINK).makespan < before.makespan
    assert replay(CHAIN, found, LINK).peak <= 40


@settings(max_examples=examples(400))
@given(graphs(), st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40), st.integers(0, 3), st.integers(0, 30))
def test_steps_and_budget_stay_and_it_is_done_no_later(graph, seed, out, back, latency, room):
    schedule = random_transfers(graph, seed)
    link = HostLink(out * PER // 8, back * PER // 8, latency, overlap=True)
    before = replay(graph, schedule, link)
    found = overlapped(graph, schedule, before.peak + room, link)
    after = replay(graph, found, link)
    assert Counter(found.actions) == Counter(schedule.actions)
    assert found.computes == schedule.computes
    assert after.peak <= before.peak + room
    assert after.makespan <= before.makespan
    assert after.cost == before.cost


def test_plans_with_a_host_are_overlapped():
    graph = unet(6)
    link = HostLink(3 * 10**11, 3 * 10**11, overlap=True)
    plan = solve(graph, "50%", "eviction", time_limit=5, host=link)
    assert plan.usage.transferred
    assert graph.base_cost <= plan.cost == plan.usage.makespan < plan.usage.cost
    again = overlapped(graph, plan.schedule, plan.problem.budget, link)
    assert replay(graph, again, link).makespan == plan.usage.makespan
