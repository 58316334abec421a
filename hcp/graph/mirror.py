"""Training steps of which only the forward pass is known: a backward pass that mirrors it.

As Checkmate's extractor makes one from a model (Jain et al. 2020): every operation has one backward operation, which
reads what it read, what it made and the gradients of that, and makes a gradient of each thing that it read. This is a
*model* of a training step. Frameworks save less than a backward may read here, fuse, and have backwards of other costs;
capture the step (``hcp.integrations``) where that matters.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hcp.graph.errors import GraphError
from hcp.graph.fields import shown
from hcp.graph.ir import Graph, Node, Value


def trained(graph: Graph, training: str | None, constant: Iterable[str] = ()) -> Graph:
    """The graph of a training step where one is asked for.

    Args:
        graph: A forward pass.
        training: None for the graph as it is, or ``"mirror"``.
        constant: Values without gradients, such as integers.

    Raises:
        GraphError: On another kind of training, or if nothing has a gradient.
    """
    if training is None:
        return graph
    if training != "mirror":
        raise GraphError(f"training {shown(training)} is not understood; give 'mirror'")
    return mirrored(graph, constant)


def mirrored(graph: Graph, constant: Iterable[str] = ()) -> Graph:
    """A forward pass with a backward pass that mirrors it, in reverse order.

    Results of the forward pass have gradients from a node ``loss``, which reads them all. Those of parameters stay to
    the end; the model's inputs have none.

    Raises:
        GraphError: If nothing has a gradient.
    """
    moving = _moving(graph, {*constant, *(value.name for value in graph.inputs if value.kind != "parameter")})
    ends = [name for name in graph.required_outputs if name in moving]
    if not ends:
        raise GraphError(f"graph {graph.name!r} has no result with a gradient; training needs floating-point results")
    loss = Node("loss", "loss", tuple(ends), tuple(_gradient(graph, name, "loss") for name in ends), 0)
    backward, parts = [loss], {name: [_named(name, "loss")] for name in ends}
    for name in reversed(graph.order):
        backward += _backward(graph, graph.node[name], moving, parts)
    forward = tuple(_dropping(node, moving) for node in graph.nodes)
    order = (*graph.order, *(node.name for node in backward))
    return Graph((*forward, *backward), graph.inputs, order, f"{graph.name}, mirrored", graph.cost_unit)


def _backward(graph: Graph, node: Node, moving: set[str], parts: dict[str, list[str]]) -> Iterator[Node]:
    """A node's backward, if it has one; adds what it makes to the parts of gradients, by value."""
    given = [part for value in node.outputs for part in parts.get(value.name, ())]
    wanted = [name for name in node.inputs if name in moving]
    if not given or not wanted:
        return
    reads = (*given, *node.inputs, *(value.name for value in node.outputs))
    outputs = tuple(_gradient(graph, name, node.name) for name in wanted)
    # As much as the operation for each thing of which it makes a gradient.
    cost = len(wanted) * node.cost
    for name in wanted:
        parts.setdefault(name, []).append(_named(name, node.name))
    yield Node(f"{node.name}:backward", f"{node.op}_backward", reads, outputs, cost, node.workspace, source=node.source)


def _moving(graph: Graph, fixed: set[str]) -> set[str]:
    """The values that depend on parameters, or on nothing at all, and have gradients."""
    found = {value.name for value in graph.inputs if value.name not in fixed}
    for name in graph.order:
        node = graph.node[name]
        if not node.inputs or any(read in found for read in node.inputs):
            found.update(value.name for value in node.outputs if value.name not in fixed and value.bytes)
    return found


def _dropping(node: Node, moving: set[str]) -> Node:
    """A node whose results need not stay: their gradients are all that is asked for."""
    outputs = tuple(
        Value(value.name, value.bytes) if value.name in moving and value.kind == "output" else value
        for value in node.outputs
    )
    return replace(node, outputs=outputs)


def _gradient(graph: Graph, name: str, maker: str) -> Value:
    """The part of a value's gradient that one reader's backward makes; of a parameter it stays."""
    value = graph.values[name]
    return Value(_named(name, maker), value.bytes, "gradient", resident=value.kind == "parameter")


def _named(name: str, maker: str) -> str:
    return f"{name}:gradient by {maker}"
