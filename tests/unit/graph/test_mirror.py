"""Forward passes with a backward pass that mirrors them."""

import networkx as nx
import pytest
from hypothesis import given, settings

import hcp
from hcp.graph.mirror import mirrored
from tests.effort import examples
from tests.strategies import graphs


def net():
    found = nx.DiGraph(name="net")
    for name, size in (("x", 4), ("a", 2), ("b", 3), ("sum", 1)):
        found.add_node(name, cost=size, bytes=size)
    found.add_edges_from([("x", "a"), ("x", "b"), ("a", "sum"), ("b", "sum")])
    return found


def test_backward_nodes_come_from_where_forward_ones_do():
    first = hcp.Node("a", inputs=("p",), outputs=(hcp.Value("x", 1),), source="layers.0: model.py:3")
    second = hcp.Node("b", inputs=("x",), outputs=(hcp.Value("y", 1),))
    graph = hcp.Graph((first, second), (hcp.Value("p", 1, "parameter"),))
    sources = {node.name: node.source for node in mirrored(graph).nodes}
    assert sources == {
        **dict.fromkeys(["b", "loss", "b:backward"], ""),
        **dict.fromkeys(["a", "a:backward"], first.source),
    }


def test_every_value_has_a_gradient_from_each_reader():
    graph = hcp.from_networkx(net(), training="mirror")
    assert [node.name for node in graph.nodes] == [
        "x",
        "a",
        "b",
        "sum",
        "loss",
        "sum:backward",
        "b:backward",
        "a:backward",
    ]
    backward = graph.node["sum:backward"]
    assert [value.bytes for value in backward.outputs] == [2, 3]
    assert graph.node["sum:backward"].cost == 2 * graph.node["sum"].cost
    # Those that read the same value each make a part of its gradient, which its own backward would add up.
    parts = [value.name for value in graph.values.values() if value.name.startswith("x:gradient")]
    assert sorted(parts) == ["x:gradient by a", "x:gradient by b"]


@settings(max_examples=examples(200), deadline=None)
@given(graphs())
def test_it_is_a_legal_graph_in_which_what_was_kept_costs_memory(graph):
    try:
        other = mirrored(graph)
    except hcp.GraphError:
        # Nothing in it has a gradient; the next test is about that.
        return
    assert other.order[: len(graph.order)] == graph.order
    usage = hcp.replay(other, hcp.keep_everything(other))
    assert usage.peak >= max(node.workspace for node in graph.nodes)
    forward = {node.name for node in graph.nodes}
    for node in other.nodes:
        if node.name not in forward and node.name != "loss":
            assert {*graph.node[node.name.removesuffix(":backward")].inputs} <= {*node.inputs}


def test_files_and_the_command_line_mirror_as_well(tmp_path):
    file = tmp_path / "g.json"
    hcp.save_graph(hcp.from_networkx(net()), file)
    assert hcp.load_graph(file, training="mirror") == hcp.from_networkx(net(), training="mirror")
    with pytest.raises(hcp.GraphError, match="is no ONNX model; leave input shapes out"):
        hcp.load_graph(file, input_shapes={"x": [1]})


def test_results_without_gradients_are_refused():
    value, other = hcp.Value("x", 4, "input"), hcp.Value("y", 4)
    graph = hcp.Graph((hcp.Node("double", inputs=("x",), outputs=(other,)),), (value,))
    with pytest.raises(hcp.GraphError, match="graph 'graph' has no result with a gradient"):
        mirrored(graph)
    assert mirrored(hcp.Graph(graph.nodes, (hcp.Value("x", 4, "parameter"),))).node["double:backward"]
