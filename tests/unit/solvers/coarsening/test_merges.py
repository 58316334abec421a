"""Which nodes are merged, and that nothing is lost where it should not be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.ir import Graph, Node, Value
from hcp.planning.problem import Problem
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import replay
from hcp.solvers.coarsening.merges import MergeParams, coarsened
from hcp.solvers.exhaustive import Exhaustive
from tests.effort import examples
from tests.strategies import problems

DEFAULT = MergeParams(widest=1, least_gain=0)
ALL = MergeParams(cheap=1, widest=1, least_gain=0)
LOSSLESS = MergeParams(cheap=0, widest=1, least_gain=0)


def read_twice(*nodes):
    """A graph of these nodes and two at the end that read what the source, the other one and the last of them make."""
    reads = dict.fromkeys((nodes[0].name, nodes[-1].name, *(node.name for node in nodes if node.name == "other")))
    return Graph((*nodes, *(Node(name, inputs=tuple(reads), cost=10) for name in ("end", "ends"))))


def node(name, *reads, size, cost=100, **more):
    return Node(name, inputs=reads, outputs=(Value(name, size),), cost=cost, **more)


def merged(graph, params=DEFAULT, budget=200):
    return sorted(group for group in coarsened(graph, budget, params).members.values() if len(group) > 1)


@given(problems(max_nodes=12), st.sampled_from([ALL, MergeParams(), LOSSLESS]))
def test_every_node_is_in_one_group(problem, params):
    graph, budget = problem
    contraction = coarsened(graph, budget, params)
    listed = [member for name in contraction.coarse.order for member in contraction.members[name]]
    assert sorted(listed) == sorted(graph.node)
    # The graphs check themselves for cycles; the order that the coarse one has is one of the whole graph.
    replay(graph, Schedule.from_computes(graph, listed))


@settings(max_examples=examples(60))
@given(problems(max_nodes=6))
def test_an_optimum_of_the_coarse_graph_is_a_schedule_of_the_whole(problem):
    graph, budget = problem
    contraction = coarsened(graph, budget, ALL)
    found = Exhaustive()(Problem(contraction.coarse, budget)).schedule
    if found is not None:
        usage = replay(graph, Schedule.from_computes(graph, contraction.expand(found.computes)))
        assert usage.peak <= budget
        best = Exhaustive()(Problem(graph, budget)).schedule
        assert usage.cost >= replay(graph, best).cost


def test_a_node_runs_with_its_only_reader_that_makes_no_more():
    graph = read_twice(node("source", size=8), node("big", "source", size=6), node("small", "big", size=3))
    assert merged(graph) == [("big", "small")]
    assert merged(graph, LOSSLESS) == [("big", "small")]


def test_a_dear_node_stays_apart_from_a_reader_that_makes_more():
    graph = read_twice(node("source", size=8), node("small", "source", size=3), node("big", "small", size=6))
    assert merged(graph) == []


def test_wide_nodes_stay_apart():
    graph = read_twice(node("source", size=8), node("big", "source", size=6), node("small", "big", size=3))
    assert merged(graph, MergeParams(widest=0.5, least_gain=0), budget=20) == []


def test_a_cheap_node_runs_again_with_its_reader():
    graph = read_twice(
        node("source", size=1),
        node("other", size=1),
        node("gather", "source", size=9, cost=1),
        node("product", "gather", "other", size=20),
    )
    assert merged(graph) == [("gather", "product")]
    assert merged(graph, LOSSLESS) == []


@pytest.mark.parametrize("repeatable", [False, True])
def test_a_dear_node_runs_with_a_reader_that_runs_once(repeatable):
    graph = read_twice(
        node("source", size=1),
        node("other", size=1),
        node("gradient", "source", size=4),
        node("reduced", "gradient", "other", size=9, recomputable=repeatable),
    )
    assert merged(graph) == ([] if repeatable else [("gradient", "reduced")])
