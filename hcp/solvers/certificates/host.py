"""Bounds that hold where values can be fetched from the host: those of two ordinary graphs in which less is needed.

Bounds on recomputation alone do not hold here: a fetch brings a value back without its producer's inputs. Every
schedule that offloads and fetches stands for one of the graphs below, with a peak no higher, and a cost no higher but
for a constant. Whatever bounds their schedules therefore bounds those with a host link; proofs are in
``docs/formulations.md``.

``again``: a node may run again at no more than the cheapest way to have one of its values back. For the conflict
relaxation, which counts a node once however often it runs again, and forgets what that needs.

``provide``: a node runs once, and its values come from nodes of their own that need no inputs, each for no more than a
fetch or its share of running the node. For the cut relaxation, which counts every time.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from hcp.graph.errors import GraphError
from hcp.graph.fields import Record
from hcp.graph.ir import LARGEST_TOTAL, Graph, Node, Value
from hcp.planning.solution import Certificate, Quantity
from hcp.schedule.host import HostLink
from hcp.solvers.formats import Format

# The version is that of the relaxed graphs.
HOST_FORMAT: Final = Format("host", 1)
RELAXED: Final = ("again", "provide")

RelaxedKind = Literal["again", "provide"]


@dataclass(frozen=True)
class HostCertificate:
    """A certificate about a relaxed graph, which bounds all schedules that use a host link.

    Attributes:
        host: The link; its capacity only restricts schedules and does not matter.
        relaxed: Which graph.
        proof: Bounds that graph's schedules.
    """

    host: HostLink
    relaxed: RelaxedKind
    proof: Certificate

    @property
    def of(self) -> Quantity:
        """What it bounds."""
        return self.proof.of

    @property
    def scope(self) -> str:
        """Of which schedules it speaks."""
        return self.proof.scope

    @property
    def holds(self) -> bool:
        """Whether the relaxed graph is one for such a proof."""
        # What a fetch brings back needs no inputs. Only conflicts say whether they count on these.
        return self.relaxed == "provide" or not getattr(self.proof, "needs_inputs", True)

    def proven(self, graph: Graph, budget: int) -> int:
        """The bound that the relaxed graph's certificate proves of the graph with the link; 0 where nothing."""
        if not self.holds:
            return 0
        other = relax(graph, self.host, self.relaxed)
        value = self.proof.proven(other.graph, budget)
        return value if self.of == "peak" else other.cost(value)

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores."""
        other = relax(graph, self.host, self.relaxed).graph
        return {
            "kind": str(HOST_FORMAT),
            "host": self.host.to_dict(),
            "relaxed": self.relaxed,
            "proof": self.proof.to_dict(other),
        }


def read_link(record: Record, graph: Graph) -> tuple[HostLink, RelaxedKind, Graph]:
    """What a certificate's ``to_dict`` wrote of the link, and the relaxed graph of which its proof speaks.

    Raises:
        GraphError: If it is something else.
    """
    host = HostLink.from_record(Record(record.get("host"), f"the host of {record.owner}"))
    match record.text("relaxed"):
        case "again" | "provide" as relaxed:
            return host, relaxed, relax(graph, host, relaxed).graph
        case unknown:
            choices = ", ".join(map(repr, RELAXED))
            raise GraphError(f"{record.owner} is about graph {unknown!r}; expected one of {choices}")


@dataclass(frozen=True)
class Relaxed:
    """A graph whose schedules can do all that those of another one with a host link can.

    Attributes:
        graph: Has bounds.
        constant: What each of its schedules costs more than the schedule that it stands for, at least.
        base: Cost of running every node of the other graph once.
    """

    graph: Graph
    constant: int
    base: int

    def cost(self, bound: int) -> int:
        """What a bound on the cost in this graph proves of the other one; 0 where nothing was proved."""
        return max(self.base, bound - self.constant) if bound else 0


def fetchable(graph: Graph, node: Node) -> tuple[Value, ...]:
    """The outputs of a node that are worth moving: they take memory, are read, and can be dropped."""
    return tuple(v for v in node.outputs if v.bytes and not v.resident and graph.readers[v.name])


def unused_word(word: str, graph: Graph) -> str:
    """A word with which no name of a graph begins."""
    while any(name.startswith(word) for name in (*graph.node, *graph.values)):
        word += "'"
    return word


@lru_cache(maxsize=8)
def relax(graph: Graph, host: HostLink, kind: RelaxedKind) -> Relaxed:
    """The relaxed graph of a graph with a host link."""
    # A link may be so slow that sums would not fit; a smaller cost only weakens the bound.
    most = LARGEST_TOTAL // (4 * len(graph.values) + 1)
    if kind == "again":
        nodes = tuple(_again(graph, host, node, most) for node in graph.nodes)
        constant = sum(node.cost for node in nodes) - graph.base_cost
        return Relaxed(replace(graph, nodes=nodes), constant, graph.base_cost)
    word = unused_word("provide", graph)
    parts = {node.name: _provided(graph, host, node, most, word) for node in graph.nodes}
    nodes = tuple(part for name in graph.order for part in parts[name])
    order = tuple(node.name for node in nodes)
    other = replace(graph, nodes=nodes, order=order)
    return Relaxed(other, other.base_cost - graph.base_cost, graph.base_cost)


def _again(graph: Graph, host: HostLink, node: Node, most: int) -> Node:
    moves = [host.round_trip_cost(v.bytes) for v in fetchable(graph, node)]
    if not moves:
        return node
    again = [node.cost] if node.recomputable else []
    return replace(node, cost=min(*again, *moves, most), recomputable=True)


def _provided(graph: Graph, host: HostLink, node: Node, most: int, word: str) -> tuple[Node, ...]:
    values = fetchable(graph, node)
    total = sum(value.bytes for value in values)
    if not values:
        return (replace(node, recomputable=False),)
    token = f"{word} after {node.name}"
    rest = tuple(value for value in node.outputs if value not in values)
    parts = [replace(node, outputs=(*rest, Value(token, 0)), workspace=node.workspace + total, recomputable=False)]
    for value in values:
        # Running the node again gives all its values, so that each may be charged its share and no more.
        share = [node.cost * value.bytes // total] if node.recomputable else []
        cost = min(*share, host.fetch_cost(value.bytes), most)
        parts.append(Node(f"{word} {value.name}", "provide", (token,), (value,), cost))
    return tuple(parts)
