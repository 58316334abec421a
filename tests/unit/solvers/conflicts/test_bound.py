"""Bounds from conflicts against the oracle, and worked examples."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import instance
from hcp.graph.ir import Graph, Node, Value
from hcp.graph.random_graphs import random_layered
from hcp.planning.deadline import Deadline
from hcp.planning.problem import Problem
from hcp.planning.solution import Status
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.conflicts.bound import ConflictParams, Conflicts, conflict_bound
from hcp.solvers.cut_relaxation.relaxation import Relaxer
from hcp.solvers.exhaustive import Exhaustive, least_peak
from tests.effort import examples
from tests.strategies import problems


@settings(max_examples=examples(300), deadline=None)
@given(problems(), st.booleans())
def test_bounds_hold_and_are_verified(drawn, shrink):
    graph, budget = drawn
    budget = max(1, budget - 2) if shrink else budget
    bound = conflict_bound(graph, budget, Deadline(20))
    if bound is None:
        return
    assert bound.certificate.proven(graph, budget) == bound.value
    if bound.of == "peak":
        assert budget < bound.value <= least_peak(graph)
        return
    oracle = Exhaustive()(Problem(graph, budget))
    assert oracle.status is Status.INFEASIBLE or bound.value <= replay(graph, oracle.schedule).cost


def test_they_bound_a_random_layered_graph_where_the_cut_relaxation_says_nothing():
    graph = random_layered(40, 5)
    budget = replay(graph, keep_everything(graph)).peak * 7 // 10
    assert Relaxer(graph, budget, Deadline(20)).best().bound.value == graph.base_cost
    bound = conflict_bound(graph, budget, Deadline(60))
    assert bound.certificate.proven(graph, budget) == bound.value > graph.base_cost


def ladder():
    """A chain whose values are all read at the end: under a small budget everything but the ends runs again."""
    inner = [
        Node(f"n{i}", inputs=(f"x{i - 1}",) if i else (), outputs=(Value(f"x{i}", 10),), cost=1 + i) for i in range(6)
    ]
    back = [
        Node(f"b{i}", inputs=(f"x{i}", *((f"y{i + 1}",) if i < 5 else ())), outputs=(Value(f"y{i}", 1),), cost=1)
        for i in reversed(range(6))
    ]
    return Graph((*inner, *back))


def test_an_empty_conflict_proves_a_budget_hopeless():
    graph = ladder()
    bound = conflict_bound(graph, 15, Deadline(20))
    assert (bound.of, bound.value) == ("peak", 16)
    assert bound.certificate.proven(graph, 15) == 16
    assert replace(bound.certificate, budget=40).proven(graph, 40) == 0


def test_a_worked_example():
    # Six values of 10 bytes and 41 bytes: x0, x1, x2 cannot all stay, and x0 is the cheapest to make again.
    graph = ladder()
    bound = conflict_bound(graph, 55, Deadline(20))
    optimum = replay(graph, Exhaustive()(Problem(graph, 55)).schedule).cost
    assert graph.base_cost < bound.value <= optimum


def test_searches_that_give_up_are_made_with_more_work():
    graph = random_layered(40, 5)
    budget = replay(graph, keep_everything(graph)).peak * 7 // 10
    found = Conflicts(graph, budget, ConflictParams(first_work=1))
    found.search(Deadline(60), inputs=False)
    assert found.bound is None
    found.search(Deadline(60), exact=True)
    assert found.bound.certificate.needs_inputs
    assert found.bound.certificate.proven(graph, budget) == found.bound.value > graph.base_cost


def test_a_cheapest_hitting_set_shows_more_than_the_linear_relaxation():
    graph = instance("unet:2")
    budget = replay(graph, keep_everything(graph)).peak * 6 // 10
    found = Conflicts(graph, budget)
    found.search(Deadline(60))
    linear = found.bound.value
    found.search(Deadline(60), exact=True)
    assert linear < found.bound.value
    assert len(found.bound.certificate.tree) > 1
