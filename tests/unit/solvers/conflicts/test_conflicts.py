"""Conflicts: the order search against all orders, bounds against the oracle, and changed certificates."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import instance
from hcp.graph.ir import Graph, Node, Value
from hcp.graph.random_graphs import random_layered
from hcp.planning.deadline import Deadline
from hcp.planning.problem import Problem
from hcp.planning.solution import Status
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.certificates.conflicts import repeatable
from hcp.solvers.conflicts.bound import conflict_bound
from hcp.solvers.conflicts.order_search import OrderSearch, Verdict
from hcp.solvers.cut_relaxation.relaxation import Relaxer
from hcp.solvers.exhaustive import Exhaustive, least_peak
from tests.strategies import problems


def orders(graph):
    dag = nx.DiGraph()
    dag.add_nodes_from(range(graph.index.n))
    dag.add_edges_from((p, v) for v in range(graph.index.n) for p in graph.index.predecessors[v])
    return nx.all_topological_sorts(dag)


@settings(max_examples=150, deadline=None)
@given(problems(max_nodes=6), st.booleans())
def test_without_repeats_the_search_tells_whether_some_order_fits(drawn, shrink):
    graph, budget = drawn
    budget = max(1, budget - 2) if shrink else budget
    names = graph.index.node_names
    peaks = (replay(graph, Schedule.from_computes(graph, [names[v] for v in order])).peak for order in orders(graph))
    fits = any(peak <= budget for peak in peaks)
    verdict = OrderSearch(graph.index, budget)(np.zeros(graph.index.n, np.bool_))
    assert verdict is (Verdict.POSSIBLE if fits else Verdict.IMPOSSIBLE)


@settings(max_examples=400, deadline=None)
@given(problems(), st.booleans(), st.data())
def test_a_set_that_the_search_rules_out_is_not_what_an_optimum_repeats(drawn, shrink, data):
    graph, budget = drawn
    budget = max(1, budget - 2) if shrink else budget
    solution = Exhaustive()(Problem(graph, budget))
    if solution.schedule is None:
        return
    computes = solution.schedule.computes
    free = np.array([computes.count(name) > 1 for name in graph.index.node_names])
    more = np.array(data.draw(st.lists(st.booleans(), min_size=graph.index.n, max_size=graph.index.n)))
    assert OrderSearch(graph.index, budget)(free) is Verdict.POSSIBLE
    assert OrderSearch(graph.index, budget)(free | more) is Verdict.POSSIBLE


@settings(max_examples=300, deadline=None)
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


@pytest.fixture(scope="module")
def proof():
    graph = instance("unet:2")
    budget = replay(graph, keep_everything(graph)).peak * 6 // 10
    return graph, budget, conflict_bound(graph, budget, Deadline(20))


def tampered(graph, certificate):
    useful = [graph.index.node_names[v] for v in np.flatnonzero(repeatable(graph.index))]
    (row, numerator), *rest = certificate.multipliers
    first, *others = certificate.conflicts
    yield "larger multiplier", replace(certificate, multipliers=((row, 2 * numerator), *rest))
    yield "negative multiplier", replace(certificate, multipliers=((row, -numerator), *rest))
    yield "unknown conflict", replace(certificate, multipliers=((len(certificate.conflicts), numerator), *rest))
    yield "no multipliers", replace(certificate, multipliers=())
    yield "smaller denominator", replace(certificate, denominator=max(1, certificate.denominator // 2))
    yield "a node less", replace(certificate, conflicts=(first[1:], *others))
    yield "unknown node", replace(certificate, conflicts=((*first, "nobody"), *others))
    yield "one node", replace(certificate, conflicts=((useful[0],), *others))
    yield "said to be of the peak", replace(certificate, of_peak=True)


def test_changed_certificates_prove_less(proof):
    graph, budget, bound = proof
    assert bound.value > graph.base_cost
    for what, changed in tampered(graph, bound.certificate):
        assert changed.proven(graph, budget) < bound.value, what


def test_a_certificate_proves_nothing_for_a_larger_budget(proof):
    graph, budget, bound = proof
    assert bound.certificate.proven(graph, budget - 1) == bound.value
    assert bound.certificate.proven(graph, budget + 1) == 0
