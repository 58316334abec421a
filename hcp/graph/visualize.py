"""Graphs as DOT text, for Graphviz."""

from collections.abc import Mapping

from hcp.graph.ir import Graph


def to_dot(graph: Graph, recomputed: Mapping[str, int] | None = None) -> str:
    """The graph in the DOT language.

    Args:
        graph: What to draw; values label the edges, dashed where they are resident.
        recomputed: Extra executions by node name, as ``Usage.recomputed`` has them; these nodes are coloured.
    """
    extra = recomputed or {}
    lines = [f"digraph {_quoted(graph.name)} {{", "  node [shape=box];"]
    for node in graph.nodes:
        label = f"{node.name}\n{node.op}\ncost {node.cost}"
        style = ""
        if extra.get(node.name):
            label += f"\nruns {extra[node.name] + 1} times"
            style = ", style=filled, fillcolor=orange"
        lines.append(f"  {_quoted(node.name)} [label={_quoted(label)}{style}];")
    for node in graph.nodes:
        for name in node.inputs:
            if name in graph.producer:
                value = graph.values[name]
                label = _quoted(f"{value.name}: {value.bytes} B")
                style = ", style=dashed" if value.resident else ""
                lines.append(f"  {_quoted(graph.producer[name])} -> {_quoted(node.name)} [label={label}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
