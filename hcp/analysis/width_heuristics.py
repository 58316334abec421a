"""Orders compared by their frontiers, without recomputation.

A new heuristic is one function and one line in ``ORDERS``; planner ``reorder`` tries it from then on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hcp.analysis import orders
from hcp.analysis.frontier_width import frontier_profile, summarize_frontier
from hcp.analysis.liu import tree_order
from hcp.graph.ir import Graph

# A graph and a seed -> its nodes by index, in a topological order; None where the rule does not fit the graph.
OrderRule = Callable[[Graph, int], list[int] | None]

ORDERS: Final[Mapping[str, OrderRule]] = {
    "given": orders.given,
    "depth-first": orders.depth_first,
    "breadth-first": orders.breadth_first,
    "greedy live-set": orders.greedy_live_set,
    "random greedy": orders.random_greedy,
    "annealed": orders.annealed,
    "tree": tree_order,
}


@dataclass(frozen=True)
class OrderStats:
    """An order and its frontier, in bytes.

    Attributes:
        rule: Which rule it comes from.
        order: All nodes.
        peak: Most bytes while a node runs.
        width: Most bytes live between two nodes.
        average: Mean of the bytes live after each node.
        optimal: Whether no order has a smaller peak, proved by the rule.
    """

    rule: str
    order: tuple[str, ...]
    peak: int
    width: int
    average: float
    optimal: bool


@lru_cache(maxsize=32)
def evaluate_orders(graph: Graph, seed: int = 0) -> tuple[OrderStats, ...]:
    """Every rule that fits the graph, in the order of the table."""
    found = []
    for rule, function in ORDERS.items():
        nodes = function(graph, seed)
        if nodes is None:
            continue
        order = tuple(graph.index.node_names[v] for v in nodes)
        summary = summarize_frontier(frontier_profile(graph, order))
        found.append(OrderStats(rule, order, summary.peak, summary.width, summary.average, function is tree_order))
    return tuple(found)


def best_heuristic_order(graph: Graph, seed: int = 0) -> tuple[str, ...]:
    """The order of least peak that any rule found; the earliest rule's among equals."""
    return min(evaluate_orders(graph, seed), key=lambda stats: stats.peak).order
