"""A plan as one page for the browser that works offline: memory over the schedule, what is live, recomputations, nodes.

The page holds Plotly's library, which draws and zooms (some 5 MB), and the plan as JSON, of which a script computes all
that is shown: the lifetimes of values, which add up to replay's profile. Needs the extra ``plot``.
"""

import json
import os
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final

from hcp.graph.errors import HcpError
from hcp.graph.files import write_atomically
from hcp.graph.ir import Graph
from hcp.graph.source import source_parts
from hcp.planning.plan import Plan
from hcp.report.steps import judged, steps_of
from hcp.report.tables import plan_table
from hcp.schedule.actions import Compute, Offload, Step
from hcp.schedule.lifetimes import lifetimes, returns
from hcp.schedule.states import Origin

# Numbers of origins and kinds of steps, which the script knows.
_ORIGINS: Final = tuple(Origin)


def save_page(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Writes the page of a plan; the file is whole or not there.

    Raises:
        HcpError: If the plan has no schedule, Plotly is missing, or the file cannot be written there.
    """
    write_atomically(path, to_page(plan))


def to_page(plan: Plan) -> str:
    """The page of a plan.

    Raises:
        HcpError: If the plan has no schedule, or Plotly is missing.
    """
    parts = files("hcp.report")
    page = Template((parts / "explorer.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=escape(_writable(f"{plan.graph.name}: plan of {plan.planner}")),
        style=(parts / "explorer.css").read_text(encoding="utf-8"),
        plotly=plotly_library(),
        data=_embedded(to_data(plan)),
        script=(parts / "explorer.js").read_text(encoding="utf-8"),
    )


def plotly_library() -> str:
    """Plotly's JavaScript library.

    Raises:
        HcpError: If Plotly is missing.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise HcpError("plotly is not installed; pip install 'hcp-checkpointing[plot]'") from None
    return str(get_plotlyjs())


def to_data(plan: Plan) -> dict[str, Any]:
    """What the page is made from, ready for JSON: columns of nodes, values, steps and lifetimes, by their places.

    Raises:
        HcpError: If the plan has no schedule.
    """
    graph = plan.graph
    schedule, usage = judged(plan)
    alive = lifetimes(graph, schedule)
    place = {name: i for i, name in enumerate(graph.values)}
    taken = steps_of(plan)
    return {
        "unit": graph.cost_unit,
        "budget": plan.problem.budget,
        "keepEverything": plan.base.peak,
        "peak": usage.peak,
        "peakStep": usage.peak_step,
        "profile": usage.profile,
        "facts": plan_table(plan).rows,
        "nodes": _nodes(graph),
        "values": _values(graph),
        "steps": {
            "kind": [_kind(each.step) for each in taken],
            "of": [_place_of(graph, each.step, place) for each in taken],
            "run": [each.run for each in taken],
            "cost": [each.end - each.start for each in taken],
        },
        "lives": {
            "value": [place[each.value] for each in alive],
            "origin": [_ORIGINS.index(each.origin) for each in alive],
            "first": [each.first for each in alive],
            "last": [each.last for each in alive],
        },
        "returns": [
            [step, place[each.value], each.dropped, each.needed, each.held]
            for step, why in returns(graph, alive, usage.profile).items()
            for each in why
        ],
    }


def _nodes(graph: Graph) -> dict[str, list[Any]]:
    sources = [source_parts(node.source) for node in graph.nodes]
    return {
        "name": [node.name for node in graph.nodes],
        "op": [node.op for node in graph.nodes],
        "path": [source.path for source in sources],
        "place": [f"{source.file}:{source.line}" if source.file else "" for source in sources],
        "cost": [node.cost for node in graph.nodes],
        "workspace": [node.workspace for node in graph.nodes],
    }


def _values(graph: Graph) -> dict[str, list[Any]]:
    values = graph.values.values()
    rank = {node.name: i for i, node in enumerate(graph.nodes)}
    return {
        "name": [value.name for value in values],
        "bytes": [value.bytes for value in values],
        "kind": [value.kind for value in values],
        "maker": [rank.get(graph.producer.get(value.name, ""), -1) for value in values],
    }


def _kind(step: Step) -> int:
    return 0 if isinstance(step, Compute) else 1 if isinstance(step, Offload) else 2


def _place_of(graph: Graph, step: Step, place: dict[str, int]) -> int:
    return graph.index.node_of[step.node] if isinstance(step, Compute) else place[step.value]


def _embedded(data: dict[str, Any]) -> str:
    """JSON that ends no script element, whatever names there are."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return _writable(text).replace("<", "\\u003c")


def _writable(text: str) -> str:
    """A text without halves of characters, which names may hold and no page can."""
    return text.encode(errors="replace").decode()
