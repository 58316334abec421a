"""The staged model against searches that know nothing but the rules of replay."""

from heapq import heappop, heappush
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.ir import Graph, Node, Value
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.schedule.solution import Problem
from hcp.solvers.cpsat import solve_with_cpsat
from hcp.solvers.exhaustive import Exhaustive, least_peak
from hcp.solvers.integer import IntegerStatus, IntegerTask
from hcp.solvers.stages import build_stage_grid, build_stage_model
from tests.strategies import graphs, seeded_graphs


def staged_optimum(graph, budget, most=None):
    """Least cost of all staged schedules, straight from their definition; None where none fits.

    A state is how many nodes have run, the last place used in this stage, what is live, and how often nodes have run.
    Only values that nobody can read any more, and whole subsets, are freed at random: every action is tried.
    """
    order = graph.order
    place = {name: i for i, name in enumerate(order)}
    start = (0, -1, frozenset(value.name for value in graph.inputs), (0,) * len(order))
    best = {start: 0}
    tie = count()
    queue = [(0, next(tie), start)]
    while queue:
        cost, _, state = heappop(queue)
        done, last, live, runs = state
        if cost > best[state]:
            continue
        if done == len(order):
            return cost
        held = sum(graph.values[name].bytes for name in live)
        steps = [(cost, (done, last, live - {name}, runs)) for name in live if not graph.values[name].resident]
        for node in graph.nodes:
            at = place[node.name]
            again = last < at < done and node.recomputable and (most is None or runs[at] + 1 < most)
            if not (again or at == done) or not live.issuperset(node.inputs):
                continue
            if held + node.workspace + sum(value.bytes for value in node.outputs) > budget:
                continue
            after = live | {value.name for value in node.outputs}
            often = runs if most is None or at == done else (*runs[:at], runs[at] + 1, *runs[at + 1 :])
            ended = (done + 1, -1) if at == done else (done, at)
            steps.append((cost + node.cost, (*ended, after, often)))
        for total, state_after in steps:
            if total < best.get(state_after, total + 1):
                best[state_after] = total
                heappush(queue, (total, next(tie), state_after))
    return None


@st.composite
def tight_problems(draw, max_nodes=7):
    """Graphs with a budget from the least possible peak of their order upwards."""
    graph = draw(st.one_of(graphs(max_nodes), seeded_graphs(max_nodes)))
    least = max(1, least_peak(graph, graph.order))
    highest = max(least, replay(graph, keep_everything(graph)).peak)
    return graph, draw(st.one_of(st.just(least), st.integers(least, highest)))


def optimum_of_model(graph, budget, detailed):
    grid = build_stage_grid(graph.index, budget, tuple(graph.index.order.tolist()))
    staged = build_stage_model(grid, budget, detailed)
    result = solve_with_cpsat(IntegerTask(staged.model, {}, 0, time_limit=20, workers=1, seed=0))
    if result.status is IntegerStatus.INFEASIBLE:
        return staged, None, None
    assert result.status is IntegerStatus.OPTIMAL
    return staged, result.point, result.bound


@settings(max_examples=200, deadline=None)
@given(tight_problems(max_nodes=5), st.integers(0, 2))
def test_detailed_stages_give_the_staged_optimum(drawn, below):
    graph, budget = drawn[0], max(0, drawn[1] - below)
    expected = staged_optimum(graph, budget)
    staged, point, cost = optimum_of_model(graph, budget, range(len(graph.nodes)))
    assert cost == expected


@settings(max_examples=300, deadline=None)
@given(tight_problems(max_nodes=8))
def test_ends_alone_bound_every_schedule_in_the_order(drawn):
    graph, budget = drawn
    optimum = Exhaustive()(Problem(graph, budget, graph.order)).bounds[0].value
    _, _, cost = optimum_of_model(graph, budget, ())
    assert cost is not None
    assert cost <= optimum
