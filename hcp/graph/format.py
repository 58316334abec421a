"""hcp's own graph format, ``hcp-graph/1``, as JSON-ready dictionaries."""

from typing import Final

from hcp.graph.errors import GraphError
from hcp.graph.fields import Record, shown
from hcp.graph.ir import Graph, Node, Value

SCHEMA: Final = "hcp-graph/1"


def graph_to_dict(graph: Graph) -> dict[str, object]:
    """The graph in ``hcp-graph/1``; ``graph_from_dict`` gives it back exactly."""
    return {
        "schema": SCHEMA,
        "name": graph.name,
        "cost_unit": graph.cost_unit,
        "order": list(graph.order),
        "values": [
            {"name": value.name, "bytes": value.bytes, "kind": value.kind, "resident": value.resident}
            for value in graph.values.values()
        ],
        "nodes": [_node_to_dict(node) for node in graph.nodes],
    }


def graph_from_dict(data: object, name: str = "graph") -> Graph:
    """The graph that an ``hcp-graph/1`` object describes.

    Args:
        data: The object, as a JSON reader gives it.
        name: The graph's name where the object has none.

    Raises:
        GraphError: On anything that is not such an object; names what is wrong and the remedy.
    """
    record = Record(data, "the graph")
    schema = record.get("schema")
    if schema != SCHEMA:
        raise GraphError(f"the graph has schema {shown(schema)}; expected {SCHEMA!r}")
    values: dict[str, Value] = {}
    for i, item in enumerate(record.items("values")):
        value = _value_from_dict(item, i)
        if value.name in values:
            raise GraphError(f"value {value.name!r} is listed twice; values must have different names")
        values[value.name] = value
    nodes = tuple(_node_from_dict(item, i, values) for i, item in enumerate(record.items("nodes")))
    produced = {value.name for node in nodes for value in node.outputs}
    return Graph(
        nodes=nodes,
        inputs=tuple(value for value in values.values() if value.name not in produced),
        order=tuple(record.texts("order")) if "order" in record else (),
        name=record.text("name", name),
        cost_unit=record.text("cost_unit", "ns"),
    )


def _node_to_dict(node: Node) -> dict[str, object]:
    data: dict[str, object] = {
        "name": node.name,
        "op": node.op,
        "inputs": list(node.inputs),
        "outputs": [value.name for value in node.outputs],
        "cost": node.cost,
        "workspace": node.workspace,
        "recomputable": node.recomputable,
    }
    if node.engine:
        data["engine"] = node.engine
    if node.source:
        data["source"] = node.source
    if node.source_id is not None:
        data["source_id"] = node.source_id
    return data


def _value_from_dict(item: object, position: int) -> Value:
    name = Record(item, f"entry {position} of the values").text("name")
    record = Record(item, f"value {name!r}")
    return Value(
        name=name,
        bytes=record.amount("bytes"),
        kind=record.text("kind", "activation"),
        resident=record.flag("resident", False),
    )


def _node_from_dict(item: object, position: int, values: dict[str, Value]) -> Node:
    name = Record(item, f"entry {position} of the nodes").text("name")
    record = Record(item, f"node {name!r}")
    outputs = record.texts("outputs")
    unknown = next((output for output in outputs if output not in values), None)
    if unknown is not None:
        raise GraphError(f"node {name!r} creates unknown value {unknown!r}; add it to the graph's values")
    source_id = record.get("source_id")
    if source_id is not None and (isinstance(source_id, bool) or not isinstance(source_id, int | str)):
        raise GraphError(f"node {name!r} has source_id {shown(source_id)}; expected a whole number or a string")
    return Node(
        name=name,
        op=record.text("op", ""),
        inputs=tuple(record.texts("inputs")),
        outputs=tuple(values[output] for output in outputs),
        cost=record.amount("cost"),
        workspace=record.amount("workspace", 0),
        recomputable=record.flag("recomputable", True),
        source_id=source_id,
        engine=record.text("engine", ""),
        source=record.text("source", ""),
    )
