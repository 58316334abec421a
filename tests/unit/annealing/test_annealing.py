"""The annealing engine: its incremental state against replay, its moves' legality, its runs and the polish."""

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.annealing import RECOMPUTE_MIX, REORDER_MIX, Annealer, Cooling, Run, polish, run_together
from hcp.annealing.compiled import new_random
from hcp.annealing.greedy_eviction import evict_greedily
from hcp.annealing.loop import Segment, new_best, propose, walk
from hcp.annealing.moves import push
from hcp.annealing.rounds import Arm, halved
from hcp.annealing.timeline import AREA, COST, MULTIPLE, commit, rollback
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph, Node, Value
from hcp.graph.random_graphs import random_layered
from hcp.planning.deadline import Deadline
from hcp.planning.problem import Problem
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from tests.effort import examples
from tests.strategies import graphs, problems, seeded_graphs

UNHALTED = np.zeros(1, np.bool_)
ANY_GRAPH = st.one_of(graphs(), seeded_graphs(), graphs(plain=True))


def assert_equals_replay(annealer, line):
    """Every derived quantity of a timeline against the judge."""
    graph = annealer.graph
    sequence = line.slot[line.slot >= 0].tolist()
    usage = replay(graph, annealer.schedule(sequence))
    assert line.memory[line.slot >= 0].tolist() == list(usage.profile)
    assert line.total[COST] == usage.cost
    assert line.runs.sum() == len(sequence)
    assert line.total[AREA] == np.maximum(line.memory - annealer.budget, 0).sum()
    counts = np.bincount(sequence, minlength=graph.index.n)
    assert line.runs.tolist() == counts.tolist()
    assert sorted(line.multiple[: line.total[MULTIPLE]].tolist()) == np.flatnonzero(counts > 1).tolist()
    return sequence


@settings(max_examples=examples(150), deadline=None)
@given(ANY_GRAPH, st.floats(0, 1.1), st.integers(0, 10**6), st.booleans())
def test_incremental_state_equals_replay_after_random_moves(graph, share, seed, brisk):
    budget = int(share * replay(graph, keep_everything(graph)).peak)
    annealer = Annealer(graph, budget)
    line = annealer.timeline(graph.index.order)
    random = new_random(seed)
    keep = np.random.default_rng(seed)
    for step in range(60):
        before = line.slot.copy(), line.memory.copy(), line.total[: MULTIPLE + 1].copy(), line.end.copy()
        if propose(annealer.network, line, random, REORDER_MIX if brisk else RECOMPUTE_MIX) and keep.random() < 0.6:
            commit(line)
        else:
            rollback(annealer.network, line)
            assert (line.slot == before[0]).all()
            assert (line.memory == before[1]).all()
            assert (line.total[: MULTIPLE + 1] == before[2]).all()
        if step % 4 == 0:
            assert_equals_replay(annealer, line)


@settings(max_examples=examples(40), deadline=None)
@given(ANY_GRAPH, st.floats(0.3, 1), st.integers(0, 10**6))
def test_incremental_state_equals_replay_after_thousands_of_moves(graph, share, seed):
    budget = int(share * replay(graph, keep_everything(graph)).peak)
    annealer = Annealer(graph, budget)
    line = annealer.timeline(graph.index.order)
    best = new_best(len(line.slot))
    walk(annealer.network, line, best, new_random(seed), RECOMPUTE_MIX, Segment(5_000, 1e-1, 1e-3, 0.1, 10.0), UNHALTED)
    assert_equals_replay(annealer, line)


@settings(max_examples=examples(60), deadline=None)
@given(ANY_GRAPH, st.integers(0, 10**6))
def test_pushes_keep_a_sequence_legal_and_its_executions(graph, seed):
    annealer = Annealer(graph, replay(graph, keep_everything(graph)).peak)
    line = annealer.timeline(graph.index.order)
    random = new_random(seed)
    walk(
        annealer.network,
        line,
        new_best(len(line.slot)),
        random,
        RECOMPUTE_MIX,
        Segment(200, 1e-1, 1e-3, 0.1, 10.0),
        UNHALTED,
    )
    runs = line.runs.copy()
    for _ in range(100):
        if push(annealer.network, line, random):
            commit(line)
        else:
            rollback(annealer.network, line)
        assert (line.runs == runs).all()
    assert_equals_replay(annealer, line)


def test_a_push_takes_dependent_executions_along():
    links = [Node(f"n{i}", inputs=(f"x{i - 1}",) if i else (), outputs=(Value(f"x{i}", 1),), cost=1) for i in range(4)]
    loose = [Node(f"loose{i}", outputs=(Value(f"y{i}", 1),), cost=1) for i in range(4)]
    annealer = Annealer(Graph((*links, *loose)), 100)
    line = annealer.timeline(range(8))
    random = new_random(0)
    moved = set()
    for _ in range(200):
        before = line.at[:, 0].copy()
        if push(annealer.network, line, random):
            commit(line)
        else:
            rollback(annealer.network, line)
        moved.add(int((line.at[:, 0] != before).sum()))
    assert_equals_replay(annealer, line)
    assert max(moved) >= 3


def test_incremental_state_equals_replay_on_a_large_graph():
    graph = random_layered(200, 7)
    annealer = Annealer(graph, int(0.7 * replay(graph, keep_everything(graph)).peak))
    line = annealer.timeline(annealer.evicted(graph.index.order))
    segment = Segment(30_000, 1e-2, 1e-4, 0.1, 10.0)
    made = walk(annealer.network, line, new_best(len(line.slot)), new_random(1), RECOMPUTE_MIX, segment, UNHALTED)
    assert made == segment.moves
    assert len(assert_equals_replay(annealer, line)) > graph.index.n


@settings(max_examples=examples(150), deadline=None)
@given(problems())
def test_eviction_start_is_legal(drawn):
    graph, budget = drawn
    annealer = Annealer(graph, budget)
    replay(graph, annealer.schedule(annealer.evicted(graph.index.order)))


def test_compiled_loops_end_when_another_thread_says_so():
    graph = random_layered(200, 7)
    annealer = Annealer(graph, int(0.7 * replay(graph, keep_everything(graph)).peak))
    order, halted = np.array(graph.index.order), np.ones(1, np.bool_)
    assert evict_greedily(annealer.network, order, 0, halted).tolist() == order.tolist()
    line = annealer.timeline(order)
    segment = Segment(10**12, 1e-2, 1e-4, 0.1, 10.0)
    assert walk(annealer.network, line, new_best(len(line.slot)), new_random(1), RECOMPUTE_MIX, segment, halted) == 0


@settings(max_examples=examples(100), deadline=None)
@given(problems(), st.booleans())
def test_first_executions_follow_a_given_order(drawn, evicted):
    graph, budget = drawn
    annealer = Annealer(graph, budget, graph.order)
    start = annealer.evicted(graph.index.order) if evicted else graph.index.order.tolist()
    outcome = annealer.run(start, Cooling(temperature=(0.1, 1e-3)), moves=2_000)
    assert tuple(dict.fromkeys(annealer.schedule(outcome.least).computes)) == graph.order


def test_sums_beyond_64_bits_are_scaled_on_the_safe_side():
    huge = 2**58
    chain = Graph(
        tuple(
            Node(f"n{i}", inputs=(f"x{i - 1}",) if i else (), outputs=(Value(f"x{i}", huge + i),), cost=2**57)
            for i in range(6)
        )
    )
    peak = replay(chain, keep_everything(chain)).peak
    outcome = Annealer(chain, peak + 1000).run(chain.index.order.tolist(), Cooling(), moves=100)
    assert outcome.within is not None
    assert Annealer(chain, peak - 1).run(chain.index.order.tolist(), Cooling(), moves=100).within is None


def test_polish_repairs_a_start_over_the_budget():
    graph = random_layered(60, 2)
    problem = Problem(graph, int(0.9 * replay(graph, keep_everything(graph)).peak))
    found = polish(problem, keep_everything(graph), moves=100_000)
    assert found is not None
    assert replay(graph, found).peak <= problem.budget


@settings(max_examples=examples(60), deadline=None)
@given(problems())
def test_polish_is_never_worse_than_a_start_within_the_budget(drawn):
    graph, _ = drawn
    start = Schedule.from_computes(graph, graph.order)
    usage = replay(graph, start)
    found = polish(Problem(graph, usage.peak), start, moves=200)
    assert found is not None
    assert replay(graph, found).cost <= usage.cost


def test_the_next_round_has_the_untried_arms_the_better_half_and_the_one_that_waits_longest():
    good, fair, bad, old, new = (
        Arm(name, (), Cooling(), (False, cost, 0.0), used)
        for name, cost, used in (("good", 1, 3), ("fair", 2, 3), ("bad", 3, 2), ("old", 4, 1), ("new", math.inf, 0))
    )
    assert halved([bad, good, new, old, fair]) == [new, good, old]


def test_polish_without_a_fitting_schedule_gives_none():
    graph = random_layered(20, 2)
    assert polish(Problem(graph, 1), keep_everything(graph), moves=500) is None


def test_bad_options_are_refused():
    graph = random_layered(20, 2)
    with pytest.raises(HcpError, match="moves"):
        polish(Problem(graph, 1), keep_everything(graph), moves=-1)
    with pytest.raises(HcpError, match="temperature"):
        Cooling(temperature=(0.0, 1.0))
    with pytest.raises(HcpError, match="penalty"):
        Cooling(penalty=(1.0, float("inf")))


def runs_of(annealer, order, count):
    return [Run(annealer.indices(order), Cooling(), seed, 20_000, 60.0) for seed in range(count)]


@pytest.mark.parametrize("threads", [2, 5])
def test_runs_side_by_side_do_not_depend_on_threads(threads):
    graph = random_layered(40, 3)
    annealer = Annealer(graph, replay(graph, keep_everything(graph)).peak * 4 // 5)
    runs = runs_of(annealer, graph.order, 4)
    later = Deadline(300)
    alone = run_together(annealer, runs, 1, later, lambda *_: False)
    assert sorted(alone) == [0, 1, 2, 3]
    assert run_together(annealer, runs, threads, later, lambda *_: False) == alone


def test_what_the_listener_raises_ends_all_runs():
    graph = random_layered(40, 3)
    annealer = Annealer(graph, replay(graph, keep_everything(graph)).peak // 2)

    def refuse(place, outcome, better):
        raise LookupError(place)

    before = threading.active_count()
    runs = [Run(annealer.indices(graph.order), Cooling(), 0, None, 300.0) for _ in range(3)]
    with pytest.raises(LookupError):
        run_together(annealer, runs, 2, Deadline(300), refuse)
    assert threading.active_count() == before


def test_an_error_inside_a_run_reaches_the_caller():
    graph = random_layered(20, 3)
    annealer = Annealer(graph, replay(graph, keep_everything(graph)).peak)
    good, *_ = runs_of(annealer, graph.order, 1)
    with pytest.raises(TypeError):
        run_together(annealer, [good, replace(good, moves="many")], 2, Deadline(300), lambda *_: False)


def test_the_listener_can_end_all_runs():
    graph = random_layered(40, 3)
    annealer = Annealer(graph, replay(graph, keep_everything(graph)).peak)
    runs = [Run(annealer.indices(graph.order), Cooling(), 0, None, 300.0) for _ in range(5)]
    found = run_together(annealer, runs, 2, Deadline(300), lambda *_: True)
    assert 1 <= len(found) <= 5
    assert all(outcome.area == 0 for outcome in found.values())
