"""Generators: their shapes, their seeds, and planning them."""

from itertools import pairwise

import networkx as nx
import pytest

from hcp.graph.errors import GraphError
from hcp.graph.instances import (
    INSTANCES,
    binary_tree,
    chain,
    instance,
    pyramid,
    random_graph,
    random_layered,
    residual_net,
    training_chain,
    transformer,
    unet,
)
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.exhaustive import least_peak


@pytest.mark.parametrize("name", INSTANCES)
def test_generators_repeat_themselves(name):
    graph = instance(f"{name}:4")
    assert graph == instance(f"{name}:4")
    assert replay(graph, keep_everything(graph)).cost == graph.base_cost


def test_seeds_matter():
    assert random_layered(50, 1) != random_layered(50, 2)
    assert random_graph(9, 1) != random_graph(9, 2)
    assert chain(20, uniform=False, seed=1) != chain(20, uniform=False, seed=2)


def test_shapes():
    assert len(chain(7).edges) == 6
    assert replay(chain(7), keep_everything(chain(7))).peak == 2
    assert len(training_chain(7).nodes) == 14
    assert len(residual_net(3).nodes) == 2 * 10
    assert len(binary_tree(3).nodes) == 15
    assert len(pyramid(3).nodes) == 10
    # A backward node holds its gradient, what it makes, and the saved values of all before it.
    assert replay(training_chain(7), keep_everything(training_chain(7))).peak == 8


def test_pebbling_numbers():
    # The black pebbling number is depth + 2 for pyramids and for complete binary trees (Cook 1974).
    assert [least_peak(pyramid(n)) for n in (1, 2, 3)] == [3, 4, 5]
    assert [least_peak(binary_tree(n)) for n in (1, 2)] == [3, 4]


def test_unet_has_long_skips_and_halving_sizes():
    graph = unet(2)
    sizes = {value.bytes for value in graph.values.values()}
    assert sizes == {64, 32, 16}
    position = {name: i for i, name in enumerate(graph.order)}
    forward = len(graph.nodes) // 2
    spans = [position[b] - position[a] for a, b in graph.edges if position[b] < forward]
    assert max(spans) > 4


def test_transformer_has_every_feature():
    graph = transformer(2)
    assert any(value.resident for value in graph.values.values())
    assert any(node.workspace for node in graph.nodes)
    assert any(len(node.outputs) > 1 for node in graph.nodes)
    boundary = graph.node["BOUNDARY"]
    assert not boundary.recomputable
    assert boundary.cost == 0
    before = graph.order.index("BOUNDARY")
    assert all(":backward" in name or ":sum" in name or name == "END" for name in graph.order[before + 1 :])


@pytest.mark.parametrize("n", [3, 10, 100, 500])
@pytest.mark.parametrize("seed", range(3))
def test_random_layered(n, seed):
    graph = random_layered(n, seed)
    assert len(graph.nodes) == n
    digraph = nx.DiGraph(graph.edges)
    assert [v for v in digraph if digraph.out_degree(v) == 0] == [f"v{n - 1}"]
    depth = {}
    for v in nx.topological_sort(digraph):
        depth[v] = 1 + max((depth[u] for u in digraph.predecessors(v)), default=-1)
    # Adjacent layers are joined, so nodes are numbered layer by layer.
    assert all(depth[f"v{a}"] <= depth[f"v{b}"] for a, b in pairwise(range(n)))


def test_random_graphs_have_every_feature_among_them():
    many = [random_graph(8, seed) for seed in range(50)]
    values = [value for graph in many for value in graph.values.values()]
    nodes = [node for graph in many for node in graph.nodes]
    assert {len(node.outputs) for node in nodes} == {0, 1, 2, 3}
    assert {value.bytes == 0 for value in values} == {True, False}
    assert {node.cost == 0 for node in nodes} == {True, False}
    assert {node.recomputable for node in nodes} == {True, False}
    assert any(value.resident and value.kind == "activation" for value in values)
    assert any(node.workspace for node in nodes)
    assert any(graph.inputs for graph in many)
    plain = random_graph(8, 0, plain=True)
    assert [len(node.outputs) for node in plain.nodes] == [1] * 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("circle:3", "no generator 'circle'; choose from chain"),
        ("unet", "the size in 'unet' is ''"),
        ("unet:-1", "the size in 'unet:-1' is '-1'"),
        ("unet:x", "expected a whole number"),
        ("unet:0", "got size 0; expected at least 1"),
        ("transformer:0", "got size 0; expected at least 1"),
        ("random-layered:2", "got size 2; expected at least 3"),
    ],
)
def test_bad_names(text, message):
    with pytest.raises(GraphError, match=message):
        instance(text)
