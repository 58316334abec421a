"""The oracle against a search that knows nothing but the rules of replay."""

from heapq import heappop, heappush
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import chain, random_graph, training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.problem import Control, Limits, NotApplicable, Problem
from hcp.planning.solution import Status
from hcp.schedule.actions import Compute, Free, Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.schedule.scopes import FIXED_ORDER, ORDER_FREE
from hcp.solvers.exhaustive import Exhaustive, least_peak
from tests.effort import examples
from tests.strategies import graphs, problems


def brute_force(graph, budget, order=None):
    """Least cost over all sequences of single actions, straight from the definition; None where there is none.

    A state is what replay knows: which nodes have run, and which values are live. Every action is tried.
    """
    start = (frozenset(), frozenset(value.name for value in graph.inputs))
    best = {start: 0}
    tie = count()
    queue = [(0, next(tie), start)]
    while queue:
        cost, _, (ran, live) = heappop(queue)
        if cost > best[ran, live]:
            continue
        if len(ran) == len(graph.nodes):
            return cost
        held = sum(graph.values[name].bytes for name in live)
        steps = [(cost, (ran, live - {name})) for name in live if not graph.values[name].resident]
        for node in graph.nodes:
            if node.name in ran and not node.recomputable:
                continue
            if order is not None and node.name not in ran and node.name != order[len(ran)]:
                continue
            if not live.issuperset(node.inputs):
                continue
            if held + node.workspace + sum(value.bytes for value in node.outputs) > budget:
                continue
            steps.append((cost + node.cost, (ran | {node.name}, live | {value.name for value in node.outputs})))
        for total, state in steps:
            if total < best.get(state, total + 1):
                best[state] = total
                heappush(queue, (total, next(tie), state))
    return None


def check(graph, budget, order=None):
    expected = brute_force(graph, budget, order)
    solution = Exhaustive()(Problem(graph, budget, order))
    if expected is None:
        assert solution.status is Status.INFEASIBLE
        assert solution.schedule is None
        assert "no schedule" in solution.note
        return
    assert solution.status is Status.OPTIMAL
    usage = replay(graph, solution.schedule)
    assert usage.peak <= budget
    assert usage.cost == expected
    (bound,) = solution.bounds
    assert (bound.value, bound.of) == (expected, "cost")
    assert bound.scope == (ORDER_FREE if order is None else FIXED_ORDER)
    if order is not None:
        assert solution.schedule.follows(order)


@settings(max_examples=examples(150), deadline=None)
@given(problems(max_nodes=5))
def test_agrees_with_brute_force(problem):
    check(*problem)


@settings(max_examples=examples(100), deadline=None)
@given(problems(max_nodes=5))
def test_agrees_with_brute_force_for_a_given_order(problem):
    graph, budget = problem
    check(graph, budget, graph.order)


@settings(max_examples=examples(60), deadline=None)
@given(graphs(max_nodes=4), st.integers(0, 12))
def test_agrees_with_brute_force_below_what_is_possible(graph, budget):
    check(graph, budget)


@pytest.mark.parametrize("seed", range(40))
def test_least_peak_is_where_feasibility_begins(seed):
    graph = random_graph(5, seed, edge_probability=0.6)
    for order in (None, graph.order):
        peak = least_peak(graph, order)
        assert brute_force(graph, peak, order) is not None
        assert peak == 0 or brute_force(graph, peak - 1, order) is None


@settings(max_examples=examples(60), deadline=None)
@given(graphs(max_nodes=8), st.integers(0, 3))
def test_freeing_the_order_never_costs_more(graph, step):
    peak = least_peak(graph, graph.order) + step
    free = Exhaustive()(Problem(graph, peak))
    fixed = Exhaustive()(Problem(graph, peak, graph.order))
    assert least_peak(graph) <= least_peak(graph, graph.order) <= replay(graph, keep_everything(graph)).peak
    assert free.bounds[0].value <= fixed.bounds[0].value


def test_an_old_instance_goes_before_its_rerun():
    # Both outputs of "a" are needed at the end, one of them is dead in between: rerunning with the old live one held
    # would take 2 + 2 + 3 bytes.
    graph = Graph(
        (
            Node("a", outputs=(Value("x", 2), Value("y", 3)), cost=1),
            Node("b", outputs=(Value("z", 4),), inputs=("x",), cost=1),
            Node("c", inputs=("z", "x"), outputs=(), cost=1, recomputable=False),
            Node("d", inputs=("x", "y"), outputs=(), cost=1),
        )
    )
    solution = Exhaustive()(Problem(graph, 6, graph.order))
    assert solution.status is Status.OPTIMAL
    assert replay(graph, solution.schedule).cost == 5
    schedule = Schedule(
        (
            Compute("a"),
            Free("y"),
            Compute("b"),
            Compute("c"),
            Free("z"),
            Free("x"),
            Compute("a"),
            Compute("d"),
        )
    )
    assert replay(graph, schedule).peak == 6


def test_known_optima():
    assert least_peak(chain(8)) == 2
    graph = training_chain(5)
    costs = [Exhaustive()(Problem(graph, budget)).bounds for budget in range(least_peak(graph), 7)]
    extra = [bounds[0].value - graph.base_cost for bounds in costs]
    assert extra == sorted(extra, reverse=True)
    assert extra[0] > 0
    assert extra[-1] == 0


def test_too_large_a_graph_is_refused():
    with pytest.raises(NotApplicable, match="at most 12 nodes"):
        Exhaustive()(Problem(chain(13), 5))
    assert Exhaustive(max_nodes=13)(Problem(chain(13), 5)).status is Status.OPTIMAL


def test_out_of_time_keeps_the_incumbent_and_claims_no_proof(monkeypatch):
    graph = training_chain(6)
    monkeypatch.setattr("hcp.solvers.exhaustive._CLOCK_EVERY", 1)
    incumbent = Schedule.from_computes(graph, (graph.order[0], *graph.order))
    peak = replay(graph, incumbent).peak
    limits, control = Limits(time_limit=1e-9), Control(incumbent=incumbent)
    solution = Exhaustive()(Problem(graph, peak - 2), limits, control)
    assert solution.status is Status.NO_SOLUTION
    assert solution.schedule is None
    solution = Exhaustive()(Problem(graph, peak), limits, control)
    assert solution.status is Status.FEASIBLE
    assert solution.schedule == incumbent
