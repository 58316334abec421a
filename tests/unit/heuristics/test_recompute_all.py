"""Recompute everything: how often nodes run on a chain, and what is held."""

from hypothesis import given, settings

from hcp.graph.instances import training_chain
from hcp.heuristics.recompute_all import RecomputeAll
from hcp.planning.problem import Problem
from hcp.schedule.replay import replay
from hcp.solvers.exhaustive import Exhaustive
from tests.effort import examples
from tests.strategies import problems


def test_a_chain_runs_again_from_its_start_for_every_backward():
    for n in (2, 3, 8, 30):
        graph = training_chain(n)
        usage = replay(graph, RecomputeAll()(Problem(graph, 10**9)).schedule)
        # The rise ends with the first backward node, which costs 2 and runs again for the second one, after all of the
        # forward; each further backward needs the forward up to its own node once more.
        assert usage.cost - graph.base_cost == n + 2 + sum(range(1, n - 1))
        assert usage.peak <= n + 2


def test_memory_does_not_grow_behind_the_rise():
    peaks = []
    for n in (20, 40, 80):
        graph = training_chain(n)
        schedule = RecomputeAll()(Problem(graph, 10**9)).schedule
        fall = schedule.computes.index(f"v{n}") + 1
        peaks.append(max(replay(graph, schedule).profile[fall:]))
    assert peaks[0] == peaks[1] == peaks[2]


@settings(max_examples=examples(150), deadline=None)
@given(problems())
def test_it_follows_the_order_and_holds_against_the_oracle(drawn):
    graph, budget = drawn
    schedule = RecomputeAll()(Problem(graph, budget)).schedule
    if schedule is not None:
        usage = replay(graph, schedule)
        assert usage.peak <= budget
        assert schedule.follows(graph.order)
        assert usage.cost >= replay(graph, Exhaustive()(Problem(graph, budget, graph.order)).schedule).cost
