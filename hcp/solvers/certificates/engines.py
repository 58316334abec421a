"""Bounds where nodes run on engines beside the computation: of a graph without any, and of one engine's queue.

All is done no sooner than any engine is done with its own work, and so no sooner than any mean of them. A schedule's
work, each engine's times a weight, is what it costs in a graph without engines whose costs are weighted; bounds of that
graph hold here, divided by all weights together (``weighted``).

An engine can begin with the nodes of a set no sooner than all that comes before one of them has run, and when the last
of them is done, all that comes after it has to follow (``queue_bound``): the bound of a machine with heads and tails,
Carlier 1982. It holds within every budget, and with a host. Proofs are in ``docs/formulations.md``.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from hcp.graph.cancellation import ticking
from hcp.graph.errors import GraphError, HcpError
from hcp.graph.fields import Record, as_amount
from hcp.graph.index import members
from hcp.graph.ir import LARGEST_TOTAL, Graph
from hcp.planning.checks import BeyondLimit, check_size
from hcp.planning.solution import Bound, Certificate, Quantity
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.certificates.host import MOST_WEIGHT
from hcp.solvers.formats import Format

ENGINES_FORMAT: Final = Format("engines", 1)
QUEUE_FORMAT: Final = Format("queue", 1)


@dataclass(frozen=True, slots=True)
class EngineWeights:
    """What the work of each engine counts, in whole numbers of which at least one is above zero.

    Attributes:
        amounts: By engine, the computation's under the empty name; in the order of ``names``.

    Raises:
        HcpError: If they are something else.
    """

    amounts: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        numbers = [amount for _, amount in self.amounts]
        if min(numbers, default=-1) < 0 or not 0 < sum(numbers) <= MOST_WEIGHT:
            raise HcpError(f"weights {numbers} are not whole numbers with a sum from 1 to {MOST_WEIGHT}")

    @classmethod
    def of(cls, graph: Graph, amounts: Mapping[str, int]) -> "EngineWeights":
        """Weights of a graph's engines.

        Raises:
            HcpError: If they are not those of all its engines.
        """
        if amounts.keys() != {"", *graph.engines}:
            raise HcpError(f"weights are of engines {[*amounts]}; the graph has {['', *graph.engines]}")
        return cls(tuple((name, amounts[name]) for name in ("", *graph.engines)))

    @property
    def total(self) -> int:
        """So many times the time that all takes is no less than the weighted work."""
        return sum(amount for _, amount in self.amounts)


def fits(graph: Graph, counts: Mapping[str, int]) -> bool:
    """Whether sums of costs that are counted so often, by engine, are small enough for a graph."""
    return sum(node.cost for node in graph.nodes) * max(counts.values()) <= LARGEST_TOTAL // 2


def weighted(graph: Graph, weights: EngineWeights) -> Graph:
    """The graph without engines in which a node costs as often as much as its engine's weight says.

    Raises:
        GraphError: If the costs are too large for the weights.
    """
    counts = dict(weights.amounts)
    if not fits(graph, counts):
        raise GraphError(f"the costs of graph {graph.name!r} are too large to be counted {max(counts.values())} times")
    nodes = tuple(replace(node, cost=counts[node.engine] * node.cost, engine="") for node in graph.nodes)
    return replace(graph, nodes=nodes)


@dataclass(frozen=True)
class EnginesCertificate:
    """A certificate about a graph without engines, which bounds schedules of one with them.

    Attributes:
        weights: Of the work in that graph.
        proof: Bounds that graph's schedules.
    """

    with_engines: ClassVar[bool] = True
    weights: EngineWeights
    proof: Certificate

    @property
    def of(self) -> Quantity:
        """What it bounds."""
        return self.proof.of

    @property
    def scope(self) -> str:
        """Of which schedules it speaks."""
        return self.proof.scope

    def proven(self, graph: Graph, budget: int) -> int:
        """The bound that the other graph's certificate proves of the graph with engines; 0 where nothing."""
        value = self.proof.proven(weighted(graph, self.weights), budget)
        return value if self.of == "peak" else carried(graph, self.weights, value)

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores."""
        return {
            "kind": str(ENGINES_FORMAT),
            "weights": dict(self.weights.amounts),
            "proof": self.proof.to_dict(weighted(graph, self.weights)),
        }


def carried(graph: Graph, weights: EngineWeights, bound: int) -> int:
    """What a bound on the cost in the weighted graph proves of the graph with engines; 0 where nothing was proved."""
    return max(graph.base_cost, -(-bound // weights.total)) if bound else 0


def read_weights(record: Record, graph: Graph) -> EngineWeights:
    """The weights that ``EnginesCertificate.to_dict`` wrote.

    Raises:
        HcpError: If they are something else.
    """
    found = record.get("weights")
    if not isinstance(found, dict):
        raise GraphError(f"{record.owner} has weights that are no object; expected one amount for each engine")
    return EngineWeights.of(graph, {name: as_amount(item, record.owner, "weights") for name, item in found.items()})


@dataclass(frozen=True)
class QueueCertificate:
    """The bound of one engine's queue; it follows from the graph alone."""

    of: ClassVar[Quantity] = "cost"
    scope: ClassVar[str] = ORDER_FREE
    any_host: ClassVar[bool] = True
    with_engines: ClassVar[bool] = True
    engine: str

    def proven(self, graph: Graph, budget: int) -> int:  # noqa: ARG002 - holds for every budget
        """When all is done, at the earliest."""
        return queue_bound(graph, self.engine)

    def to_dict(self, graph: Graph) -> dict[str, object]:  # noqa: ARG002 - says the same of every graph
        """What a plan file stores."""
        return {"kind": str(QUEUE_FORMAT), "engine": self.engine}


def read_queue(record: Record, graph: Graph) -> QueueCertificate:
    """What ``QueueCertificate.to_dict`` wrote.

    Raises:
        GraphError: If it is of another graph.
    """
    engine = record.text("engine")
    if engine and engine not in graph.engines:
        raise GraphError(f"{record.owner} is of engine {engine!r}, which the graph does not have")
    return QueueCertificate(engine)


def queue_bounds(graph: Graph) -> Iterator[Bound]:
    """The bound of each engine's queue; none of a graph that is too large for its check."""
    with suppress(BeyondLimit):
        check_size(graph.index, 1)
        yield from _queues(graph)


def _queues(graph: Graph) -> Iterator[Bound]:
    for engine in ("", *graph.engines):
        value, where = queue_bound(graph, engine), f"engine {engine!r}" if engine else "the computation"
        yield Bound(value, "cost", ORDER_FREE, QueueCertificate(engine), f"what {where} has to do, and when it can")


def queue_bound(graph: Graph, engine: str) -> int:
    """The time before one engine's work, of it, and after it, at least: the largest over sets of its nodes.

    A node's head is what one engine has to do for the nodes before it, and its tail for those after it. Of all sets of
    nodes with heads and tails as long as two given ones or longer, those are enough that hold all of them.

    Raises:
        BeyondLimit: If the graph is too large.
    """
    check_size(graph.index, 1)
    heads, tails = (_busiest(graph, engine, each) for each in (graph.index.ancestors, graph.index.descendants))
    queue = sorted((node for node in graph.nodes if node.engine == engine), key=lambda node: -tails[node.name])
    head = np.array([heads[node.name] for node in queue], np.int64)
    tail = np.array([tails[node.name] for node in queue], np.int64)
    cost = np.array([node.cost for node in queue], np.int64)
    best = 0
    for least in ticking(np.unique(head).tolist()):
        # Those with a head as long or longer, and of these the ones with the longest tails.
        taken = head >= least
        best = max(best, least + int((cost[taken].cumsum() + tail[taken]).max()))
    return best


def _busiest(graph: Graph, engine: str, around: list[int]) -> dict[str, int]:
    """For each node of an engine, the most that one engine has to do for the nodes around it, given as bits by node."""
    names = graph.index.node_names
    on = [graph.node[name].engine for name in names]
    own = np.array([[other == mine for mine in on] for other in ("", *graph.engines)]) * graph.index.cost
    return {
        names[v]: int(own[:, members(around[v], len(names))].sum(axis=1).max())
        for v in ticking(range(len(names)))
        if on[v] == engine
    }
