"""Topological orders, ancestors, induced subgraphs, and the check that a graph can repeat."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.errors import GraphError
from hcp.graph.instances import instance
from hcp.graph.ir import Graph, Node, Value
from hcp.graph.topo import ancestors, descendants, induced_subgraph, is_topological, topological_order
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs

any_graph = st.one_of(graphs(), seeded_graphs())


@given(any_graph, st.randoms(use_true_random=False))
def test_topological_orders(graph, random):
    assert topological_order(graph) == graph.order
    priority = {name: random.randint(0, 5) for name in graph.node}
    order = topological_order(graph, priority)
    assert is_topological(graph, order)
    assert Graph(graph.nodes, graph.inputs, order).order == order


def test_what_is_no_order():
    graph = instance("chain:3")
    assert is_topological(graph, ("v0", "v1", "v2"))
    for order in (("v1", "v0", "v2"), ("v0", "v1"), ("v0", "v1", "x"), ("v0", "v0", "v1", "v2")):
        assert not is_topological(graph, order)


@given(any_graph, st.data())
def test_ancestors_and_descendants_are_each_other_turned(graph, data):
    name = data.draw(st.sampled_from(graph.order))
    for other in graph.order:
        assert (other in ancestors(graph, [name])) == (name in descendants(graph, [other]))
    assert name in ancestors(graph, [name])


@settings(max_examples=examples(200))
@given(any_graph, st.data())
def test_induced_subgraphs_are_graphs_that_deliver_what_others_read(graph, data):
    names = data.draw(st.sets(st.sampled_from(graph.order), min_size=1))
    part = induced_subgraph(graph, names)
    assert part.order == tuple(name for name in graph.order if name in names)
    for node in part.nodes:
        assert node.inputs == graph.node[node.name].inputs
        for value in node.outputs:
            outside = any(reader not in names for reader in graph.readers[value.name])
            assert value.resident == (graph.values[value.name].resident or outside)
    assert {value.name for value in part.inputs} <= {read for name in names for read in graph.node[name].inputs}
    replay(part, keep_everything(part))


def test_a_whole_graph_is_its_own_part():
    graph = instance("unet:2")
    assert induced_subgraph(graph, graph.order) == graph
    with pytest.raises(GraphError, match="no node 'nowhere'"):
        induced_subgraph(graph, ["nowhere"])
    with pytest.raises(GraphError, match="no nodes"):
        induced_subgraph(graph, [])


def test_a_graph_can_be_validated_again():
    graph = Graph((Node("a", outputs=(Value("x", 1),)), Node("b", inputs=("x",))))
    assert graph.validate() == ("a", "b")
    object.__setattr__(graph, "order", ("b", "a"))
    with pytest.raises(GraphError, match="before node 'a'"):
        graph.validate()
