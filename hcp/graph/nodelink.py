"""networkx graphs, and the node-link JSON that networkx writes, as hcp graphs.

A plain graph is the special case of one value a node, none of them resident.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hcp.graph.errors import GraphError
from hcp.graph.fields import Record, as_list, shown
from hcp.graph.ir import Graph, Node, Value
from hcp.graph.mirror import trained

if TYPE_CHECKING:
    import networkx as nx


def from_networkx(digraph: "nx.DiGraph", *, training: str | None = None) -> Graph:
    """The graph of a networkx directed graph.

    Nodes need the attributes ``cost`` and ``bytes`` (whole numbers); ``name`` becomes the operation. The graph
    attributes ``name``, ``order`` (a topological order of the nodes) and ``cost_unit`` are optional. Nodes must be
    ints or strings.

    Args:
        digraph: The graph.
        training: ``"mirror"`` to add a backward pass to a forward one (``hcp.graph.mirror``).

    Raises:
        GraphError: On an undirected graph, a missing or bad attribute, or a cycle.
    """
    if not digraph.is_directed():
        raise GraphError("the networkx graph is undirected; give a DiGraph whose edges point from producer to reader")
    found = _build(
        Record(dict(digraph.graph), "the networkx graph"),
        [(node, Record(dict(attributes), f"node {node!r}")) for node, attributes in digraph.nodes(data=True)],
        [(source, target) for source, target in digraph.edges()],
        name="graph",
    )
    return trained(found, training)


def from_node_link(data: object, name: str = "graph") -> Graph:
    """The graph of a node-link JSON object, with ``links`` or ``edges``; attributes as in ``from_networkx``.

    Raises:
        GraphError: On anything that is not such an object; names what is wrong and the remedy.
    """
    record = Record(data, "the graph")
    if not record.flag("directed", True):
        raise GraphError("the graph is undirected; write it from a DiGraph whose edges point from producer to reader")
    keys = [key for key in ("links", "edges") if key in record]
    if len(keys) != 1:
        raise GraphError(f"the graph has {'both' if keys else 'neither'} 'links' and 'edges'; expected one of them")
    nodes = []
    for i, item in enumerate(record.items("nodes")):
        entry = Record(item, f"entry {i} of the nodes")
        if "id" not in entry:
            raise GraphError(f"entry {i} of the nodes has no attribute 'id'; add it")
        nodes.append((entry.get("id"), Record(item, f"node {shown(entry.get('id'))}")))
    links = []
    for i, item in enumerate(record.items(keys[0])):
        entry = Record(item, f"entry {i} of the {keys[0]}")
        missing = next((end for end in ("source", "target") if end not in entry), None)
        if missing is not None:
            raise GraphError(f"entry {i} of the {keys[0]} has no attribute {missing!r}; add it")
        links.append((entry.get("source"), entry.get("target")))
    # Some older networkx versions write the graph's attributes as an empty list.
    attributes = record.get("graph") or {}
    return _build(Record(attributes, "the object 'graph'"), nodes, links, name)


def _build(
    attributes: Record,
    nodes: Iterable[tuple[object, Record]],
    links: Iterable[tuple[object, object]],
    name: str,
) -> Graph:
    records: dict[str, tuple[int | str, Record]] = {}
    for given, record in nodes:
        node_id = _checked_id(given)
        if str(node_id) in records:
            raise GraphError(f"node id {shown(given)} appears twice; ids must be unique, also when written as text")
        records[str(node_id)] = (node_id, record)
    reads: dict[str, list[str]] = {node: [] for node in records}
    for source, target in links:
        for end in (source, target):
            if str(_checked_id(end)) not in records:
                raise GraphError(f"the edge {shown(source)} -> {shown(target)} names unknown node {shown(end)}; add it")
        reads[str(target)].append(str(source))
    order: list[object] = []
    if "order" in attributes:
        order = as_list(attributes.get("order"), "the graph", "order")
    return Graph(
        nodes=tuple(_node(node_id, record, reads[node]) for node, (node_id, record) in records.items()),
        order=tuple(str(_checked_id(item)) for item in order),
        name=attributes.text("name", name) or name,
        cost_unit=attributes.text("cost_unit", "units"),
    )


def _node(node_id: int | str, record: Record, reads: list[str]) -> Node:
    op = record.get("name", "")
    return Node(
        name=str(node_id),
        op=op if isinstance(op, str) else shown(op),
        inputs=tuple(reads),
        outputs=(Value(str(node_id), record.amount("bytes")),),
        cost=record.amount("cost"),
        source_id=None if isinstance(node_id, str) else node_id,
    )


def _checked_id(found: object) -> int | str:
    if isinstance(found, bool) or not isinstance(found, int | str) or shown(found).startswith("a number"):
        raise GraphError(f"{shown(found)} is no node id; expected a whole number or a string")
    return found
