"""Chains of steps that tape what their backwards read, for the tests of chain algorithms."""

from hcp.graph.ir import Graph, Node, Value
from hcp.heuristics.sequence import block_sequence


def taped_chain(n, draw=lambda: 1):
    """n steps: each makes a state and a tape; its backward reads the gradient, the state before it and the tape."""
    nodes = []
    for i in range(n):
        made = (Value(f"a{i}", draw()), Value(f"s{i}", draw()))
        nodes.append(Node(f"f{i}", inputs=(f"a{i - 1}",) if i else (), outputs=made, cost=draw(), workspace=draw() - 1))
    for i in reversed(range(n)):
        reads = [f"g{i + 1}"] * (i < n - 1) + [f"a{i - 1}"] * (i > 0) + [f"s{i}"] + [f"a{i}"] * (draw() > 2)
        made = (Value(f"g{i}", draw()), Value(f"w{i}", draw() - 1, "gradient", resident=True))
        nodes.append(Node(f"b{i}", inputs=tuple(reads), outputs=made, cost=draw(), workspace=draw() - 1))
    return Graph(tuple(nodes))


def sequence_of(graph):
    return block_sequence(graph, graph.order, "test")
