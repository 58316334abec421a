"""Graphs from files and other libraries, and back into files."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from hcp.graph.errors import GraphError
from hcp.graph.fields import Record
from hcp.graph.files import read_json, write_atomically
from hcp.graph.format import SCHEMA, graph_from_dict, graph_to_dict
from hcp.graph.ir import Graph
from hcp.graph.mirror import trained
from hcp.graph.nodelink import from_networkx, from_node_link
from hcp.graph.onnx_model import from_onnx

__all__ = [
    "from_networkx",
    "from_node_link",
    "from_onnx",
    "graph_from_dict",
    "graph_to_dict",
    "load_graph",
    "save_graph",
]


def load_graph(
    path: str | os.PathLike[str],
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    training: str | None = None,
) -> Graph:
    """The graph in a file: ``hcp-graph/1``, networkx node-link JSON (see ``from_networkx``), or ONNX by its suffix.

    Args:
        path: Of the file.
        input_shapes: Of an ONNX model's inputs; see ``from_onnx``.
        training: ``"mirror"`` to add a backward pass to a forward one (``hcp.graph.mirror``).

    Raises:
        GraphError: If the file is missing, unreadable, not JSON or no legal graph; one sentence that names the file,
            what is wrong and the remedy.
    """
    if Path(path).suffix == ".onnx":
        return from_onnx(path, input_shapes=input_shapes, training=training)
    if input_shapes:
        raise GraphError(f"graph file {os.fspath(path)!r} is no ONNX model; leave input shapes out")
    return trained(_read(path), training)


def _read(path: str | os.PathLike[str]) -> Graph:
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
