"""Says what of a graph runs beside the computation: collectives on the network, for example."""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from hcp.graph.errors import GraphError
from hcp.graph.ir import Graph


def on_engines(graph: Graph, engines: Mapping[str, str]) -> Graph:
    """The graph in which some operations run on engines; see ``hcp.schedule.engines``.

    Args:
        graph: The computation.
        engines: Names of engines by patterns of operations or names of nodes, with ``*`` for anything, such as
            ``{"_c10d_functional.*": "network"}``. The first that a node matches is its engine's.

    Raises:
        GraphError: If nothing matches a pattern, or a node that does has a workspace.
    """
    matched = dict.fromkeys(engines, False)
    nodes = []
    for node in graph.nodes:
        found = [p for p in engines if fnmatchcase(node.op, p) or fnmatchcase(node.name, p)]
        matched.update(dict.fromkeys(found, True))
        nodes.append(replace(node, engine=engines[found[0]]) if found else node)
    unused = next((pattern for pattern, used in matched.items() if not used), None)
    if unused is not None:
        ops = sorted({node.op for node in graph.nodes if node.op})
        shown = ", ".join([*ops[:8], *(["..."] if len(ops) > 8 else [])])
        raise GraphError(f"no operation or node of graph {graph.name!r} matches {unused!r}; it has {shown}")
    return replace(graph, nodes=tuple(nodes))
