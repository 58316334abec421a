"""Schedules of contracted graphs, expanded and held against replay."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcp.graph.errors import GraphError
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.sequences import without_unread
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.coarsening.contraction import contract
from tests.strategies import graphs, seeded_graphs


def pieces(graph, random):
    """The graph's order, cut at random: pieces of one order never depend on each other."""
    groups = [[]]
    for node in graph.index.order.tolist():
        if groups[-1] and random.random() < 0.4:
            groups.append([])
        groups[-1].append(node)
    random.shuffle(groups)
    return groups


def wandering(graph, random, extra=8):
    """A legal sequence with repetitions: nodes run again wherever that is allowed and drawn."""
    computes = list(graph.order)
    for _ in range(extra):
        again = random.choice(graph.nodes)
        if again.recomputable:
            computes.insert(random.randint(computes.index(again.name) + 1, len(computes)), again.name)
    return computes


def usage(graph, computes):
    return replay(graph, Schedule.from_computes(graph, computes))


@given(st.one_of(graphs(), seeded_graphs()), st.integers(0, 10**6))
def test_expanded_schedules_are_legal_and_cost_and_hold_no_more(graph, seed):
    random = Random(seed)
    contraction = contract(graph, pieces(graph, random))
    coarse = contraction.coarse
    computes = wandering(coarse, random)
    said = usage(coarse, computes)
    whole = [member for name in computes for member in contraction.members[name]]
    assert usage(graph, whole).cost == said.cost
    assert usage(graph, whole).peak <= said.peak
    found = usage(graph, contraction.expand(computes))
    assert found.cost <= said.cost
    assert found.peak <= said.peak


@given(st.one_of(graphs(), seeded_graphs()), st.integers(0, 10**6))
def test_schedules_of_the_graph_are_gathered_to_legal_ones_of_the_coarse_graph(graph, seed):
    random = Random(seed)
    contraction = contract(graph, pieces(graph, random))
    coarse = contraction.coarse
    usage(coarse, contraction.gathered(wandering(graph, random)))
    whole = [member for name in coarse.order for member in contraction.members[name]]
    assert contraction.gathered(whole) == coarse.order


@given(st.one_of(graphs(), seeded_graphs()), st.integers(0, 10**6))
def test_unread_executions_are_left_out_without_harm(graph, seed):
    computes = wandering(graph, Random(seed))
    names = graph.index.node_names
    nodes = without_unread(graph.index, [graph.index.node_of[name] for name in computes])
    kept = [names[node] for node in nodes]
    before, after = usage(graph, computes), usage(graph, kept)
    assert after.cost <= before.cost
    assert after.peak <= before.peak
    assert without_unread(graph.index, nodes) == nodes


@given(graphs())
def test_groups_of_one_change_nothing(graph):
    contraction = contract(graph, [[node] for node in range(graph.index.n)])
    assert contraction.coarse == graph
    assert contraction.expand(graph.order) == graph.order


def test_what_only_members_read_is_workspace():
    graph = Graph(
        (
            Node("a", outputs=(Value("x", 5),), cost=2),
            Node("b", inputs=("x",), outputs=(Value("y", 7), Value("unread", 1)), cost=3, workspace=4),
            Node("c", inputs=("y",), outputs=(Value("z", 2),), cost=1),
            Node("d", inputs=("z",)),
        )
    )
    contraction = contract(graph, [[0, 1, 2], [3]])
    merged = contraction.coarse.node["a"]
    assert (merged.inputs, merged.outputs, merged.cost) == ((), (Value("z", 2),), 6)
    # b holds x, y, what nobody reads and its workspace: 17, of which z's 2 are counted as an output.
    assert merged.workspace == 15
    assert replay(contraction.coarse, keep_everything(contraction.coarse)).peak == 17


def test_a_group_that_holds_one_that_runs_once_runs_once():
    graph = Graph((Node("a", outputs=(Value("x", 1),)), Node("b", inputs=("x",), recomputable=False)))
    assert not contract(graph, [[0, 1]]).coarse.node["a"].recomputable


def test_groups_that_depend_on_each_other_are_refused():
    graph = Graph(
        (
            Node("a", outputs=(Value("x", 1),)),
            Node("b", inputs=("x",), outputs=(Value("y", 1),)),
            Node("c", inputs=("x", "y")),
        )
    )
    with pytest.raises(GraphError, match="cycle"):
        contract(graph, [[0, 2], [1]])
