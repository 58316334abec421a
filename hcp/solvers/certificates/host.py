"""Bounds that hold where values can be fetched from the host: those of two ordinary graphs in which less is needed.

Bounds on recomputation alone do not hold here: a fetch brings a value back without its producer's inputs. Every
schedule that offloads and fetches stands for one of the graphs below, with a peak no higher, and a cost no higher but
for a constant. Whatever bounds their schedules therefore bounds those with a host link; proofs are in
``docs/formulations.md``.

``again``: a node may run again at no more than the cheapest way to have one of its values back. For the conflict
relaxation, which counts a node once however often it runs again, and forgets what that needs.

``provide``: a node runs once, and its values come from nodes of their own that need no inputs, each for no more than a
fetch or its share of running the node. For the cut relaxation, which counts every time.

Where copies overlap the computation, all is done no sooner than the computation, the offloads and the fetches each
are, and so no sooner than any mean of the three. Weights say which: a cost in the graph is that of the work, each kind
times its weight.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from hcp.graph.errors import GraphError, HcpError
from hcp.graph.fields import Record, as_amount, shown, whole
from hcp.graph.ir import LARGEST_TOTAL, Graph, Node, Value
from hcp.planning.solution import Certificate, Quantity
from hcp.schedule.host import HostLink
from hcp.solvers.formats import Format

# More adds nothing, and costs have to fit when they are counted so often.
MOST_WEIGHT: Final = 2**20

# The versions are those of the relaxed graphs; the second is for links whose copies overlap the computation.
HOST_FORMAT: Final = Format("host", 1)
OVERLAP_FORMAT: Final = Format("overlap", 1)
RELAXED: Final = ("again", "provide")

RelaxedKind = Literal["again", "provide"]


@dataclass(frozen=True, slots=True)
class Weights:
    """What each kind of work counts, in whole numbers of which at least one is above zero.

    Attributes:
        compute: Running nodes.
        offload: Copies to the host.
        fetch: Copies back.

    Raises:
        HcpError: If they are something else.
    """

    compute: int = 1
    offload: int = 1
    fetch: int = 1

    def __post_init__(self) -> None:
        if not whole(self.compute, self.offload, self.fetch) or min(self) < 0 or not 0 < sum(self) <= MOST_WEIGHT:
            raise HcpError(f"weights {[*self]} are not three whole numbers with a sum from 1 to {MOST_WEIGHT}")

    def __iter__(self) -> Iterator[int]:
        return iter((self.compute, self.offload, self.fetch))

    def divisor(self, host: HostLink) -> int:
        """So many times the time that all takes is no less than the weighted work."""
        return sum(self) if host.overlap else 1


EQUAL: Final = Weights()


@dataclass(frozen=True)
class HostCertificate:
    """A certificate about a relaxed graph, which bounds all schedules that use a host link.

    Attributes:
        host: The link; its capacity only restricts schedules and does not matter.
        relaxed: Which graph.
        proof: Bounds that graph's schedules.
        weights: Of the work in that graph.
    """

    host: HostLink
    relaxed: RelaxedKind
    proof: Certificate
    weights: Weights = EQUAL

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
        """Whether the relaxed graph is one for such a proof, and the weights are for the link."""
        if not self.host.overlap and self.weights != EQUAL:
            return False
        # What a fetch brings back needs no inputs. Only conflicts say whether they count on these.
        return self.relaxed == "provide" or not getattr(self.proof, "needs_inputs", True)

    def proven(self, graph: Graph, budget: int) -> int:
        """The bound that the relaxed graph's certificate proves of the graph with the link; 0 where nothing."""
        if not self.holds:
            return 0
        other = relax(graph, self.host, self.relaxed, self.weights)
        value = self.proof.proven(other.graph, budget)
        return value if self.of == "peak" else other.cost(value)

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores."""
        other = relax(graph, self.host, self.relaxed, self.weights).graph
        return {
            "kind": str(OVERLAP_FORMAT if self.host.overlap else HOST_FORMAT),
            "host": self.host.to_dict(),
            "relaxed": self.relaxed,
            **({"weights": [*self.weights]} if self.host.overlap else {}),
            "proof": self.proof.to_dict(other),
        }


def read_link(record: Record, graph: Graph) -> tuple[HostLink, RelaxedKind, Weights, Graph]:
    """What a certificate's ``to_dict`` wrote of the link, and the relaxed graph of which its proof speaks.

    Raises:
        GraphError: If it is something else.
    """
    host = HostLink.from_record(Record(record.get("host"), f"the host of {record.owner}"))
    if host.overlap != (record.text("kind").partition("/")[0] == OVERLAP_FORMAT.name):
        raise GraphError(f"{record.owner} is of kind {record.text('kind')!r}, which is not about its link")
    weights = _weights(record) if host.overlap else EQUAL
    match record.text("relaxed"):
        case "again" | "provide" as relaxed:
            return host, relaxed, weights, relax(graph, host, relaxed, weights).graph
        case unknown:
            choices = ", ".join(map(repr, RELAXED))
            raise GraphError(f"{record.owner} is about graph {unknown!r}; expected one of {choices}")


def _weights(record: Record) -> Weights:
    found = record.items("weights")
    if len(found) != 3:
        raise GraphError(f"{record.owner} has weights {shown(found)}; expected three")
    compute, offload, fetch = (as_amount(item, record.owner, "weights") for item in found)
    return Weights(compute, offload, fetch)


@dataclass(frozen=True)
class Relaxed:
    """A graph whose schedules can do all that those of another one with a host link can.

    Attributes:
        graph: Has bounds.
        constant: What each of its schedules costs more than the schedule that it stands for, at least.
        base: Cost of running every node of the other graph once.
        divisor: Of what schedules cost, to have the time that they take.
    """

    graph: Graph
    constant: int
    base: int
    divisor: int

    def cost(self, bound: int) -> int:
        """What a bound on the cost in this graph proves of the other one; 0 where nothing was proved."""
        return max(self.base, -((self.constant - bound) // self.divisor)) if bound else 0


def fetchable(graph: Graph, node: Node) -> tuple[Value, ...]:
    """The outputs of a node that are worth moving: they take memory, are read, and can be dropped."""
    return tuple(v for v in node.outputs if v.bytes and not v.resident and graph.readers[v.name])


def unused_word(word: str, graph: Graph) -> str:
    """A word with which no name of a graph begins."""
    while any(name.startswith(word) for name in (*graph.node, *graph.values)):
        word += "'"
    return word


@lru_cache(maxsize=8)
def relax(graph: Graph, host: HostLink, kind: RelaxedKind, weights: Weights = EQUAL) -> Relaxed:
    """The relaxed graph of a graph with a host link.

    Raises:
        GraphError: If the costs are too large for the weights.
    """
    base = weights.compute * graph.base_cost
    if weights.compute > 1 and base > LARGEST_TOTAL // 2:
        raise GraphError(f"the costs of graph {graph.name!r} are too large to be counted {weights.compute} times")
    weighted = replace(graph, nodes=tuple(replace(node, cost=weights.compute * node.cost) for node in graph.nodes))
    # A link may be so slow that sums would not fit; a smaller cost only weakens the bound.
    most = LARGEST_TOTAL // (4 * len(graph.values) + 1)
    prices = _Prices(host, weights, most)
    if kind == "again":
        nodes = tuple(_again(weighted, prices, node) for node in weighted.nodes)
        other = replace(graph, nodes=nodes)
    else:
        word = unused_word("provide", graph)
        parts = {node.name: _provided(weighted, prices, node, word) for node in weighted.nodes}
        nodes = tuple(part for name in graph.order for part in parts[name])
        other = replace(graph, nodes=nodes, order=tuple(node.name for node in nodes))
    return Relaxed(other, other.base_cost - base, graph.base_cost, weights.divisor(host))


@dataclass(frozen=True)
class _Prices:
    """What copies count; no more than ``most``."""

    host: HostLink
    weights: Weights
    most: int

    def fetch(self, value: Value) -> int:
        return min(self.most, self.weights.fetch * self.host.fetch_cost(value.bytes))

    def round_trip(self, value: Value) -> int:
        return min(self.most, self.fetch(value) + self.weights.offload * self.host.offload_cost(value.bytes))


def _again(graph: Graph, prices: _Prices, node: Node) -> Node:
    moves = [prices.round_trip(value) for value in fetchable(graph, node)]
    if not moves:
        return node
    again = [node.cost] if node.recomputable else []
    return replace(node, cost=min([*again, *moves]), recomputable=True)


def _provided(graph: Graph, prices: _Prices, node: Node, word: str) -> tuple[Node, ...]:
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
        cost = min([*share, prices.fetch(value)])
        parts.append(Node(f"{word} {value.name}", "provide", (token,), (value,), cost))
    return tuple(parts)
