"""Schedules of chains with a host: legal, within its capacity, and as cheap as an exhaustive choice of parts."""

from itertools import combinations

import pytest

import hcp
from hcp import HostLink, replay
from hcp.graph.instances import training_chain, transformer, unet
from hcp.heuristics.revolve import binomial_schedule
from hcp.heuristics.sequence import block_sequence
from hcp.offload.chains import Parts, chain_schedules, multistage_schedule
from hcp.planning.problem import Problem
from hcp.schedule.host import PER


def sequence_of(graph):
    return block_sequence(graph, graph.order, "revolve")


@pytest.mark.parametrize("slots", [1, 2, 4])
@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("capacity", [None, 0, 3])
def test_schedules_are_legal_and_fit_the_host(slots, reuse, capacity):
    graph = training_chain(20)
    host = HostLink(PER, PER, capacity=capacity)
    schedule = multistage_schedule(sequence_of(graph), slots, host, reuse)
    usage = replay(graph, schedule, host)
    assert capacity is None or usage.host_peak <= capacity
    plain = replay(graph, binomial_schedule(sequence_of(graph), slots, reuse))
    assert usage.cost <= plain.cost + (0 if capacity == 0 else graph.base_cost)
    if capacity == 0:
        assert (usage.cost, usage.peak) == (plain.cost, plain.peak)
    if slots == 1 and capacity is None:
        assert usage.transferred
        assert usage.cost < plain.cost


def test_the_parts_are_the_best_of_all():
    sequence = sequence_of(training_chain(8, uniform=False, seed=3))
    parts = Parts(sequence, 1, HostLink(PER * 2, PER))

    def cost(starts):
        ends = [*starts[1:], len(sequence)]
        total = sum(parts.again(*part) for part in zip(starts, ends, strict=True))
        for start, end in zip(starts[:-1], ends[:-1], strict=True):
            total += parts.before[end] - parts.before[start] + parts.out(end, 0)
            total += parts.host.fetch_cost(parts.bytes[start]) if start else 0
        return total

    choices = [[0, *some] for n in range(8) for some in combinations(range(1, len(sequence)), n)]
    assert cost(parts.best(0)) == min(map(cost, choices))


def test_what_is_no_chain_has_none():
    assert not [*chain_schedules(Problem(unet(3), 10**9), HostLink(PER, PER))]
    assert [*chain_schedules(Problem(transformer(3), 10**9), HostLink(PER, PER))]


def test_plans_of_chains_use_them():
    graph = training_chain(60)
    plan = hcp.solve(graph, 8, "revolve", host=HostLink(PER // 2, PER // 2))
    alone = hcp.solve(graph, 8, "revolve")
    assert plan.usage.transferred
    assert plan.cost < alone.cost
