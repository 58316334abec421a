"""Graphs as DOT text for Graphviz, and as SVG."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final

from hcp.graph.ir import Graph

_WIDE: Final = 130
_HIGH: Final = 46
_GAP_X: Final = 26
_GAP_Y: Final = 44


@dataclass(frozen=True)
class Marks:
    """What a drawing points out.

    Attributes:
        recomputed: Extra executions by node name, as ``Usage.recomputed`` has them; these nodes are orange.
        checkpoints: Values that a plan holds instead of computing them again; their nodes have a blue border.
        frontier: Values that are live at some moment; their edges are thick and red.
    """

    recomputed: Mapping[str, int] = field(default_factory=dict)
    checkpoints: Collection[str] = ()
    frontier: Collection[str] = ()

    def extra(self, node: str) -> int:
        """Extra executions of a node."""
        return self.recomputed.get(node, 0)


def to_dot(graph: Graph, marks: Marks | None = None) -> str:
    """The graph in the DOT language; values label the edges, dashed where they are resident."""
    marks = marks or Marks()
    lines = [f"digraph {_quoted(graph.name)} {{", "  node [shape=box];"]
    for node in graph.nodes:
        label = f"{node.name}\n{node.op}\ncost {node.cost}"
        style = ""
        if marks.extra(node.name):
            label += f"\nruns {marks.extra(node.name) + 1} times"
            style = ", style=filled, fillcolor=orange"
        if any(value.name in marks.checkpoints for value in node.outputs):
            style += ", color=blue, penwidth=3"
        lines.append(f"  {_quoted(node.name)} [label={_quoted(label)}{style}];")
    for node in graph.nodes:
        for name in node.inputs:
            if name in graph.producer:
                value = graph.values[name]
                label = _quoted(f"{value.name}: {value.bytes} B")
                style = ", style=dashed" if value.resident else ""
                style += ", color=red, penwidth=2" if name in marks.frontier else ""
                lines.append(f"  {_quoted(graph.producer[name])} -> {_quoted(node.name)} [label={label}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def to_svg(graph: Graph, marks: Marks | None = None) -> str:
    """The graph as an SVG picture: a row for each depth, nodes of a row in the graph's own order.

    Needs no other program. Meant for graphs of up to some hundred nodes; larger ones are better laid out by Graphviz.
    """
    marks = marks or Marks()
    place = _layout(graph)
    width = max(x for x, _ in place.values()) + _WIDE + _GAP_X
    height = max(y for _, y in place.values()) + _HIGH + _GAP_Y
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="11" text-anchor="middle">',
        f"<title>{escape(graph.name)}</title>",
    ]
    for node in graph.nodes:
        for name in node.inputs:
            if name in graph.producer:
                lines.append(_edge(graph, name, place[graph.producer[name]], place[node.name], marks))
    for node in graph.nodes:
        x, y = place[node.name]
        extra = marks.extra(node.name)
        held = any(value.name in marks.checkpoints for value in node.outputs)
        border = 'stroke="blue" stroke-width="3"' if held else 'stroke="black"'
        times = f", {extra + 1} runs" if extra else ""
        lines += [
            f"<g><title>{escape(f'{node.name}: {node.op}, cost {node.cost}{times}')}</title>",
            f'<rect x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}" rx="5" '
            f'fill="{"orange" if extra else "white"}" {border}/>',
            f'<text x="{x + _WIDE // 2}" y="{y + 19}">{escape(_short(node.name))}</text>',
            f'<text x="{x + _WIDE // 2}" y="{y + 35}" fill="#555">{escape(_short(node.op + times))}</text></g>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _edge(graph: Graph, name: str, start: tuple[int, int], end: tuple[int, int], marks: Marks) -> str:
    value = graph.values[name]
    x1, y1, x2, y2 = start[0] + _WIDE // 2, start[1] + _HIGH, end[0] + _WIDE // 2, end[1]
    bend = (y2 - y1) // 2
    style = 'stroke="red" stroke-width="2"' if name in marks.frontier else 'stroke="#999"'
    style += ' stroke-dasharray="5 3"' if value.resident else ""
    path = f"M {x1} {y1} C {x1} {y1 + bend}, {x2} {y2 - bend}, {x2} {y2}"
    return f'<path d="{path}" fill="none" {style}><title>{escape(f"{name}: {value.bytes} B")}</title></path>'


def _layout(graph: Graph) -> dict[str, tuple[int, int]]:
    """The upper left corner of each node's box."""
    depth: dict[str, int] = {}
    taken: Counter[int] = Counter()
    place = {}
    for name in graph.order:
        before = (graph.producer[read] for read in graph.node[name].inputs if read in graph.producer)
        row = depth[name] = 1 + max((depth[node] for node in before), default=-1)
        place[name] = (_GAP_X + taken[row] * (_WIDE + _GAP_X), _GAP_Y // 2 + row * (_HIGH + _GAP_Y))
        taken[row] += 1
    return place


def _short(text: str) -> str:
    return text if len(text) <= 20 else text[:19] + "…"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
