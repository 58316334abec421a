"""Graphs from files and other libraries, and back into files."""

import json
import os
from pathlib import Path

from hcp.graph.errors import GraphError
from hcp.graph.fields import Record
from hcp.graph.files import read_json, write_atomically
from hcp.graph.format import SCHEMA, graph_from_dict, graph_to_dict
from hcp.graph.ir import Graph
from hcp.graph.nodelink import from_networkx, from_node_link

__all__ = ["from_networkx", "from_node_link", "graph_from_dict", "graph_to_dict", "load_graph", "save_graph"]


def load_graph(path: str | os.PathLike[str]) -> Graph:
    """The graph in a JSON file, either ``hcp-graph/1`` or networkx node-link (see ``from_networkx``).

    Raises:
        GraphError: If the file is missing, unreadable, not JSON or no legal graph; one sentence that names the file,
            the culprit and the mend.
    """
    data = read_json(path)
    name = Path(path).stem
    try:
        record = Record(data, "the file's content")
        if "schema" in record:
            return graph_from_dict(data, name)
        if "nodes" in record and ("links" in record or "edges" in record):
            return from_node_link(data, name)
    except GraphError as error:
        raise GraphError(f"graph file {os.fspath(path)!r}: {error}") from None
    raise GraphError(
        f'graph file {os.fspath(path)!r} has no known format; expected "schema": {SCHEMA!r}, '
        "or networkx node-link JSON with 'nodes' and 'links'"
    )


def save_graph(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Writes the graph as ``hcp-graph/1``; the file is whole or not there.

    Raises:
        HcpError: If the file cannot be written there.
    """
    write_atomically(path, json.dumps(graph_to_dict(graph), separators=(",", ":")) + "\n")
