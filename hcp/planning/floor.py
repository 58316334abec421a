"""The bound on the peak by a graph's shape, with a host or without; ``GraphIndex.least_bytes`` has the proof."""

from dataclasses import dataclass
from typing import ClassVar

from hcp.graph.ir import Graph
from hcp.planning.solution import Bound, Quantity
from hcp.schedule.scopes import ORDER_FREE


@dataclass(frozen=True)
class FloorCertificate:
    """Some node alone needs as much, or the last one to run does beside all resident values."""

    of: ClassVar[Quantity] = "peak"
    scope: ClassVar[str] = ORDER_FREE
    any_host: ClassVar[bool] = True

    def proven(self, graph: Graph, budget: int) -> int:  # noqa: ARG002 - holds for every budget
        """What every schedule holds at some time."""
        return graph.index.least_bytes

    def to_dict(self, graph: Graph) -> dict[str, object]:  # noqa: ARG002 - says the same of every graph
        """What a plan file stores."""
        return {"kind": "floor/1"}


def floor_bound(graph: Graph) -> Bound:
    """The bound with its certificate."""
    return Bound(graph.index.least_bytes, "peak", ORDER_FREE, FloorCertificate(), "the largest node, or the end")
