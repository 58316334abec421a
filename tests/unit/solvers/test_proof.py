"""The planner ``proof`` against the oracle where costs differ by orders of magnitude."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp.graph.instances import instance
from hcp.graph.ir import Graph
from hcp.planning.problem import Problem
from hcp.solvers.exact import ExactParams
from hcp.solvers.exhaustive import Exhaustive, least_peak
from hcp.solvers.proof import Proof
from hcp.solvers.tree.params import TreeParams
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs

# Little strengthening, so that the tree has something to do on small graphs.
BRANCHING = Proof(params=ExactParams(tree=TreeParams(root_rounds=0, rounds=0)))


@st.composite
def uneven_problems(draw):
    """Graphs whose costs are spread over nine orders of magnitude, with a budget, and the optimal cost."""
    graph = draw(st.one_of(graphs(), seeded_graphs()))
    costs = [draw(st.integers(0, 9)) * 10 ** draw(st.integers(0, 9)) + draw(st.integers(0, 2)) for _ in graph.nodes]
    nodes = tuple(replace(node, cost=cost) for node, cost in zip(graph.nodes, costs, strict=True))
    graph = Graph(nodes, graph.inputs, graph.order)
    least, most = max(1, least_peak(graph)), hcp.replay(graph, hcp.keep_everything(graph)).peak
    budget = draw(st.integers(least, max(least, most - 1)))
    return graph, budget, Exhaustive()(Problem(graph, budget)).bounds[0].value


@settings(max_examples=examples(80), deadline=None)
@given(uneven_problems(), st.sampled_from(["proof", BRANCHING]))
def test_nothing_false_is_claimed_where_costs_are_uneven(drawn, solver):
    graph, budget, optimum = drawn
    plan = hcp.solve(graph, budget, solver, time_limit=20)
    for bound in plan.bounds:
        assert bound.value <= optimum
        assert bound.certificate is None or bound.certificate.proven(graph, budget) >= bound.value
    if plan.status is hcp.Status.OPTIMAL:
        assert plan.optimality == "certified"
        assert plan.cost == optimum
    assert plan.cost is None or plan.cost >= optimum


@pytest.mark.parametrize("solver", ["proof", "auto"])
def test_a_given_order_gets_order_free_bounds(solver):
    graph = instance("unet:3")
    plan = hcp.solve(graph, "70%", solver, order=graph.order, work_limit=2, time_limit=60)
    assert plan.schedule.follows(graph.order)
    assert plan.gap is None or plan.gap >= 0
