"""The staged model against searches that know nothing but the rules of replay."""

from heapq import heappop, heappush
from itertools import count

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import hcp
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.deadline import Deadline
from hcp.planning.problem import Problem
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.schedule.scopes import FIXED_ORDER
from hcp.solvers.exhaustive import Exhaustive, least_peak
from hcp.solvers.fixed_order.lift import broken_stages, lift_stages, runs_and_saves, stage_hint
from hcp.solvers.fixed_order.stages import build_stage_grid, build_stage_model
from hcp.solvers.models.cpsat import solve_with_cpsat
from hcp.solvers.models.integer import IntegerStatus, IntegerTask
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs


def staged_optimum(graph, budget, most=None):
    """Least cost of all staged schedules, straight from their definition; None where none fits.

    A state is how many nodes have run, the last place used in this stage, what is live, and, where no node may run more
    than ``most`` times, how often each ran again. Every action is tried.
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
    result = solve_with_cpsat(IntegerTask(staged.model, {}, 0, deadline=Deadline(20), workers=1, seed=0))
    if result.status is IntegerStatus.INFEASIBLE:
        return staged, None, None
    assert result.status is IntegerStatus.OPTIMAL
    return staged, result.point, result.bound


@settings(max_examples=examples(200), deadline=None)
@given(tight_problems(max_nodes=5), st.integers(0, 2))
def test_detailed_stages_give_the_staged_optimum(drawn, below):
    graph, budget = drawn[0], max(0, drawn[1] - below)
    expected = staged_optimum(graph, budget)
    staged, point, cost = optimum_of_model(graph, budget, range(len(graph.nodes)))
    assert cost == expected
    if cost is not None:
        usage = replay(graph, lift_stages(graph, staged.grid, point))
        assert usage.peak <= budget
        assert usage.cost == cost


@settings(max_examples=examples(300), deadline=None)
@given(tight_problems(max_nodes=8))
def test_ends_alone_bound_every_schedule_in_the_order(drawn):
    graph, budget = drawn
    optimum = Exhaustive()(Problem(graph, budget, graph.order)).bounds[0].value
    _, _, cost = optimum_of_model(graph, budget, ())
    assert cost is not None
    assert cost <= optimum


@settings(max_examples=examples(150), deadline=None)
@given(tight_problems(max_nodes=8))
def test_hints_of_optimal_schedules_satisfy_the_end_rows(drawn):
    graph, budget = drawn
    schedule = Exhaustive()(Problem(graph, budget, graph.order)).schedule
    grid = build_stage_grid(graph.index, budget, tuple(graph.index.order.tolist()))
    staged = build_stage_model(grid, budget)
    known = stage_hint(graph, staged, schedule)
    point = np.zeros(staged.model.shape[1])
    point[[column for column, value in known.items() if value]] = 1
    # Where the grid has constants the schedule may choose otherwise.
    runs, saves = runs_and_saves(graph, grid, schedule)
    assume(all(np.array_equal(a, b) for a, b in zip(grid.at(point), (runs, saves), strict=True)))
    assert np.all(staged.model.matrix @ point <= staged.model.rhs)
    assert staged.model.cost @ point + staged.model.constant <= replay(graph, schedule).cost


def out_of_order():
    """To read both values at the end, the second must be made again before the first: it needs workspace."""
    return Graph(
        (
            Node("a", outputs=(Value("x", 3),), cost=1),
            Node("b", outputs=(Value("y", 1),), cost=1, workspace=3),
            Node("wall", cost=1, workspace=6, recomputable=False),
            Node("end", inputs=("x", "y"), cost=1),
        )
    )


def twice_in_a_stage():
    """To read x and z at the end, x must go while z is made from what was made from x, and come back."""
    return Graph(
        (
            Node("a", outputs=(Value("x", 3),), cost=1),
            Node("b", inputs=("x",), outputs=(Value("y", 1),), cost=1),
            Node("c", inputs=("y",), outputs=(Value("z", 1),), cost=1, workspace=4),
            Node("wall", cost=1, workspace=6, recomputable=False),
            Node("end", inputs=("x", "z"), cost=1),
        )
    )


@pytest.mark.parametrize(("graph", "extra"), [(out_of_order(), 2), (twice_in_a_stage(), 4)])
def test_staged_schedules_are_not_all_schedules_in_the_order(graph, extra):
    optimum = Exhaustive()(Problem(graph, 6, graph.order)).bounds[0].value
    assert optimum == graph.base_cost + extra
    assert staged_optimum(graph, 6) is None
    assert optimum_of_model(graph, 6, range(len(graph.nodes)))[2] is None
    assert optimum_of_model(graph, 6, ())[2] <= optimum
    plan = hcp.solve(graph, 6, "staged", order=graph.order)
    assert plan.cost in (None, optimum)
    assert all(bound.value <= optimum for bound in plan.bounds if bound.scope == FIXED_ORDER)


def test_broken_stages_are_those_over_the_budget():
    graph = out_of_order()
    schedule = Schedule.from_computes(graph, ("a", "b", "wall", "a", "b", "end"))
    assert broken_stages(graph, schedule, 6) == {3}
    assert broken_stages(graph, keep_everything(graph), 6) == {1, 2}
