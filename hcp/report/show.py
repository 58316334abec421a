"""Graphs and the list of planners as tables."""

from collections.abc import Mapping
from itertools import islice

from hcp.graph.ir import Graph
from hcp.graph.visualize import Marks
from hcp.report.tables import Table
from hcp.report.units import bytes_text, cost_text
from hcp.schedule.actions import Schedule
from hcp.schedule.host import HostLink
from hcp.schedule.replay import keep_everything_usage, replay
from hcp.schedule.states import states


def graph_table(graph: Graph) -> Table:
    """What a graph holds, as pairs."""
    keep = keep_everything_usage(graph)
    peak_node = graph.order[keep.peak_step]
    values = graph.values.values()
    rows = (
        ("graph", graph.name),
        ("nodes", str(len(graph.nodes))),
        ("edges", str(graph.edge_count)),
        ("values", f"{len(graph.values)}, {bytes_text(sum(value.bytes for value in values))} in all"),
        ("resident", bytes_text(sum(value.bytes for value in values if value.resident))),
        ("inputs", f"{len(graph.inputs)}, {bytes_text(graph.index.base_bytes)}"),
        ("run once", str(sum(not node.recomputable for node in graph.nodes))),
        ("keep-everything cost", cost_text(keep.cost, graph.cost_unit)),
        ("keep-everything peak", f"{bytes_text(keep.peak)} ({keep.peak} bytes) at node {peak_node!r}"),
        ("least budget", _least_text(graph)),
    )
    return Table(("", "value"), rows, (False, False))


def _least_text(graph: Graph) -> str:
    index = graph.index
    worst = int(index.floor.argmax())
    if int(index.floor[worst]) < index.least_bytes:
        return f"{bytes_text(index.least_bytes)} or more: held while the last node runs"
    return f"{bytes_text(index.least_bytes)} or more: held while node {index.node_names[worst]!r} runs"


def plan_marks(graph: Graph, schedule: Schedule, host: HostLink | None = None) -> Marks:
    """What a drawing of a schedule points out.

    The frontier is what is live when the schedule first reaches its peak; of that, what can be dropped and is not made
    twice are its checkpoints, where it recomputes anything at all.
    """
    usage = replay(graph, schedule, host)
    at_peak = next(islice(states(graph, schedule), usage.peak_step, None))
    live = {name for name in at_peak.live if name in graph.producer}
    once = {name for name in live if not graph.values[name].resident and graph.producer[name] not in usage.recomputed}
    return Marks(usage.recomputed, frozenset(once) if usage.recomputed else frozenset(), frozenset(live))


def planners_table(planners: Mapping[str, tuple[object, str]]) -> Table:
    """The planners by name."""
    return Table(("planner", "what it is"), tuple((name, text) for name, (_, text) in planners.items()), (False, False))
