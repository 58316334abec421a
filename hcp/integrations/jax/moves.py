"""Programs that move arrays to the host's memory and back by themselves, as policies that offload names have them do.

An array in the host's memory takes nothing of the device's, and moving one costs what the link says. Moves of a program
have engines of their own where copies overlap the computation; those of loops are in their steps' turn.
"""

from dataclasses import replace
from typing import Final

from hcp.graph.ir import Graph, Node
from hcp.integrations.jax.host import on_host
from hcp.integrations.jax.internals import is_variable, operation_name
from hcp.integrations.jax.lower import Lowered
from hcp.integrations.jax.program import size
from hcp.schedule.host import HostLink

MOVE: Final = "device_put"
OUT: Final = "to the host"
BACK: Final = "from the host"


def with_moves(lowered: Lowered, link: HostLink) -> Graph:
    """The graph of a program, with what its moves cost and without what is on the host."""
    return replace(lowered.graph, nodes=tuple(_with_moves(lowered, node, link) for node in lowered.graph.nodes))


def bytes_on_host(lowered: Lowered) -> int:
    """Bytes of all that a program moves to the host."""
    return sum(size(var) for group in lowered.groups.values() for var in group.outputs if on_host(var))


def _with_moves(lowered: Lowered, node: Node, link: HostLink) -> Node:
    group = lowered.groups[node.name]
    out = [var for var in group.outputs if on_host(var)]
    back = [var for var in group.inputs if is_variable(var) and on_host(var)]
    if not out and not back:
        return node
    there = {lowered.value_of[var] for var in out}
    outputs = tuple(replace(value, bytes=0) if value.name in there else value for value in node.outputs)
    moved = sum(link.offload_cost(size(var)) for var in out) + sum(link.fetch_cost(size(var)) for var in back)
    if operation_name(group.main) != MOVE:
        return replace(node, outputs=outputs, cost=node.cost + moved)
    engine = (OUT if out else BACK) if link.overlap else ""
    return replace(node, outputs=outputs, cost=moved, workspace=0, engine=engine)
