"""Revolve against its formula."""

from functools import lru_cache

import pytest

from hcp.graph.instances import training_chain
from hcp.heuristics.revolve import Revolve, advances, binomial_schedule
from hcp.planning.problem import Problem
from hcp.schedule.replay import replay
from tests.chains import sequence_of, taped_chain


@lru_cache
def least_advances(n, slots):
    """The recursion that the closed form solves."""
    if n == 1:
        return 0
    if slots == 1:
        return n * (n - 1) // 2
    return min(m + least_advances(m, slots) + least_advances(n - m, slots - 1) for m in range(1, n))


def test_the_formula():
    published = {(10, 2): 20, (10, 3): 15, (50, 5): 122, (100, 5): 316, (100, 10): 222, (250, 25): 473}
    assert {key: advances(*key) for key in published} == published
    for n in range(1, 31):
        for slots in range(1, 7):
            assert advances(n, slots) == least_advances(n, slots)


def test_revolve_equals_the_formula():
    for n in range(2, 101):
        graph = taped_chain(n)
        sequence = sequence_of(graph)
        for slots in range(1, min(n, 10) + 1):
            schedule = binomial_schedule(sequence, slots)
            assert len(schedule.computes) - len(graph.nodes) == advances(n, slots)
            if n % 10 == 7:
                replay(graph, schedule)


@pytest.mark.parametrize("n", [2, 5, 24, 60, 100])
def test_revolve_on_the_plain_training_chain(n):
    graph = training_chain(n)
    sequence = sequence_of(graph)
    assert len(sequence) == n
    for slots in range(1, min(n, 10) + 1):
        usage = replay(graph, binomial_schedule(sequence, slots))
        assert usage.cost - graph.base_cost == advances(n, slots) - 1
        assert usage.peak <= slots + 3
        kept = replay(graph, binomial_schedule(sequence, slots, reuse=True))
        assert kept.cost <= usage.cost
        assert kept.peak <= slots + 4


def test_revolve_takes_the_most_slots_that_fit():
    graph = training_chain(40)
    usages = [replay(graph, Revolve(slots=s)(Problem(graph, 10**6)).schedule) for s in range(1, 41)]
    for budget in (8, 12, 20, 39, 42):
        usage = replay(graph, Revolve()(Problem(graph, budget)).schedule)
        assert usage.cost == min(u.cost for u in usages if u.peak <= budget)
