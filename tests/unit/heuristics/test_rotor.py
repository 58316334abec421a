"""Rotor against exhaustive search over persistent schedules."""

from heapq import heappop, heappush
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import instance, training_chain
from hcp.heuristics.block_memory import block_needs
from hcp.heuristics.rotor import ChainTable, Rotor, persistent_schedule
from hcp.heuristics.sequence import block_sequence
from hcp.planning.problem import Control, Limits, Problem
from hcp.planning.solution import Status
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from tests.chains import sequence_of, taped_chain
from tests.effort import examples


def persistent_optimum(graph, n, budget):
    """Least cost of the forward executions, by Dijkstra's algorithm over what is held; None where nothing fits.

    A state is the next backward, the checkpoints (the state before a step, or all that a step saves) and the state that
    was computed last. Checkpoints go when the backward that they are for has run, not earlier and not later.
    """
    node, values = graph.node, graph.values
    size = {name: value.bytes for name, value in values.items()}

    def held_bytes(held, without=frozenset()):
        names = {f"a{i}" for kind, i in held} | {f"s{i}" for kind, i in held if kind == "all"}
        return sum(size[name] for name in names - without)

    def staying(j):
        return (size[f"g{j + 1}"] if j < n - 1 else 0) + sum(size[f"w{i}"] for i in range(j + 1, n))

    def run(name, held, extra):
        made = sum(value.bytes for value in node[name].outputs)
        return held + extra + made + node[name].workspace <= budget

    tie = count()
    queue = [(0, next(tie), (n - 1, frozenset(), None))]
    seen = set()
    while queue:
        cost, _, state = heappop(queue)
        j, held, current = state
        if j < 0:
            return cost
        if state in seen:
            continue
        seen.add(state)
        kept = {i for _, i in held} | {-1}
        if ("all", j) in held and j - 1 in kept:
            unread = frozenset([f"a{j}"]) - frozenset(node[f"b{j}"].inputs)
            if run(f"b{j}", held_bytes(held, unread), staying(j)):
                heappush(queue, (cost, next(tie), (j - 1, held - {("all", j), ("a", j - 1)}, None)))
        for k in range(j + 1):
            if ("all", k) in held or (k - 1 not in kept and k - 1 != current):
                continue
            for checkpoint in (False, True):
                if checkpoint and k - 1 in kept:
                    continue
                after = held | {("a", k - 1)} if checkpoint else held
                transient = size[f"a{k - 1}"] if k - 1 not in kept and not checkpoint else 0
                if not run(f"f{k}", held_bytes(after) + transient, staying(j)):
                    continue
                total = cost + node[f"f{k}"].cost
                heappush(queue, (total, next(tie), (j, after, k)))
                if k - 1 in kept or checkpoint:
                    heappush(queue, (total, next(tie), (j, after | {("all", k)}, None)))
    return None


@pytest.mark.parametrize("seed", range(200))
def test_rotor_is_optimal_among_persistent_schedules(seed):
    rng = Random(seed)
    n = rng.randint(2, 5)
    graph = taped_chain(n, lambda: rng.randint(1, 6))
    sequence = sequence_of(graph)
    assert len(sequence) == n
    falls = sum(graph.node[f"b{i}"].cost for i in range(n))
    peak = replay(graph, keep_everything(graph)).peak
    floor = int(graph.index.floor.max())
    for budget in {floor, peak, rng.randint(floor, peak), (floor + 2 * peak) // 3}:
        optimum = persistent_optimum(graph, n, budget)
        table = ChainTable(block_needs(sequence), budget, levels=500)
        schedule = persistent_schedule(sequence, table, budget)
        assert (schedule is None) == (optimum is None)
        if schedule is not None:
            usage = replay(graph, schedule)
            assert usage.peak <= budget
            assert usage.cost == optimum + falls
            assert replay(graph, Rotor()(Problem(graph, budget)).schedule).cost <= usage.cost


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(["training-chain:24", "residual-net:6", "transformer:2"]), st.integers(25, 100))
def test_rotor_fits_and_keeps_a_better_incumbent(name, percent):
    graph = instance(name)
    budget = replay(graph, keep_everything(graph)).peak * percent // 100
    solution = Rotor()(Problem(graph, budget))
    if solution.schedule is None:
        assert solution.status is Status.NO_SOLUTION
        assert "smallest peak reached" in solution.note
        return
    usage = replay(graph, solution.schedule)
    assert usage.peak <= budget
    smaller = Rotor()(Problem(graph, budget), Limits(), Control(incumbent=solution.schedule)).schedule
    assert replay(graph, smaller).cost <= usage.cost


def test_long_chains_are_thinned_out():
    graph = training_chain(300)
    sequence = block_sequence(graph, graph.order, "test", most_blocks=32)
    assert len(sequence) == 32
    solution = Rotor(most_blocks=32)(Problem(graph, 60))
    assert replay(graph, solution.schedule).peak <= 60
