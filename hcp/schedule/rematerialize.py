"""From a rule of what to retain to a schedule: walks an order and recomputes on demand what the rule dropped."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np

from hcp.graph.cancellation import tick
from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph
from hcp.schedule.actions import Schedule


@dataclass(frozen=True)
class Retention:
    """What a strategy retains while it walks an order.

    The order is cut into epochs. Within an epoch everything computed is at hand as long as it is read; where
    the next epoch begins, only the carried values stay. Values that cannot be computed again (the graph's inputs,
    residents, outputs of nodes that run once) are always carried.

    Attributes:
        epochs: The epoch of each position of the order, as an index into ``carried``.
        carried: Per epoch: the values (by index) that stay where it begins.
    """

    epochs: Sequence[int]
    carried: Sequence[Set[int]]


def rematerialize(graph: Graph, order: Sequence[str], retention: Retention) -> Schedule:
    """The schedule that runs the nodes in this order and re-runs what is needed to bring back dropped values.

    What is re-run is the closure of the missing inputs, back to values at hand, in the order's own sequence. First
    executions follow the order; every instance is freed after its last use.

    Args:
        graph: The computation.
        order: All nodes, in a topological order.
        retention: What stays from epoch to epoch.
    """
    index = graph.index
    nodes = [index.node_of[name] for name in order]
    return Schedule.from_nodes(graph, _computes(index, nodes, retention))


def lasting(index: GraphIndex) -> set[int]:
    """The values that stay in any case: inputs, residents, and outputs of nodes that run once."""
    # Producer -1 is that of inputs, which are not droppable whatever the mask of the last node says.
    return set(np.flatnonzero(~(index.droppable & index.recomputable[index.producer])).tolist())


def _computes(index: GraphIndex, order: Sequence[int], retention: Retention) -> Iterator[int]:
    inputs = index.inputs.tolists()
    outputs = index.outputs.tolists()
    producer: list[int] = index.producer.tolist()
    position = {v: i for i, v in enumerate(order)}
    always = lasting(index)
    at_hand = {x for x in range(index.m) if producer[x] < 0}
    epochs = retention.epochs
    for i, node in enumerate(order):
        tick()
        if i and epochs[i] != epochs[i - 1]:
            carried = retention.carried[epochs[i]]
            at_hand = {x for x in at_hand if x in always or x in carried}
        for again in sorted(makers(inputs[node], inputs, producer, at_hand), key=position.__getitem__):
            yield again
            at_hand.update(outputs[again])
        yield node
        at_hand.update(outputs[node])


def makers(
    values: Iterable[int], inputs: Sequence[Sequence[int]], producer: Sequence[int], at_hand: Set[int]
) -> set[int]:
    """The nodes that have to run to have these values, starting from what is at hand."""
    found = {producer[x] for x in values if x not in at_hand}
    stack = list(found)
    while stack:
        for x in inputs[stack.pop()]:
            if x not in at_hand and producer[x] not in found:
                found.add(producer[x])
                stack.append(producer[x])
    return found
