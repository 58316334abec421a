"""DOT and SVG: everything is drawn once, marks are visible, names are escaped."""

from xml.etree import ElementTree

import pytest

from hcp.graph.instances import INSTANCES, instance, training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.graph.visualize import Marks, to_dot, to_svg

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", sorted(INSTANCES))
def test_every_node_and_edge_is_drawn_once(name):
    graph = instance(f"{name}:3")
    reads = sum(read in graph.producer for node in graph.nodes for read in node.inputs)
    root = ElementTree.fromstring(to_svg(graph))
    assert len(root.findall(f"{SVG}g")) == len(graph.nodes)
    assert len(root.findall(f"{SVG}path")) == reads
    boxes = [(box.get("x"), box.get("y")) for box in root.iter(f"{SVG}rect")]
    assert len(set(boxes)) == len(graph.nodes)
    dot = to_dot(graph)
    assert dot.count(" -> ") == reads


def test_marks_are_visible():
    graph = training_chain(4)
    marks = Marks({"v1": 2}, checkpoints={"v0"}, frontier={"v2"})
    dot = to_dot(graph, marks)
    assert "runs 3 times" in dot
    assert dot.count("fillcolor=orange") == 1
    assert dot.count("color=blue") == 1
    assert dot.count("color=red") == len(graph.readers["v2"])
    svg = to_svg(graph, marks)
    assert "3 runs" in svg
    assert svg.count('fill="orange"') == 1
    assert svg.count('stroke="blue"') == 1
    assert svg.count('stroke="red"') == len(graph.readers["v2"])


def test_names_are_escaped():
    graph = Graph((Node("<a>&", 'x"y', (), (Value("<v>", 1, resident=True),)), Node("b" * 40, "", ("<v>",))))
    root = ElementTree.fromstring(to_svg(graph))
    assert '<a>&: x"y, cost 0' in [title.text for title in root.iter(f"{SVG}title")]
    assert "stroke-dasharray" in to_svg(graph)
    assert '\\"' in to_dot(graph)
