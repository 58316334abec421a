"""Freeing the order: the order-free optimum is the best fixed-order optimum, over all orders of a graph."""

from collections.abc import Callable

from hcp.graph.instances import random_graph
from hcp.graph.ir import Graph
from hcp.planning.problem import Problem
from hcp.planning.solution import Status
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.exhaustive import Exhaustive, least_peak
from theory_checks.claims import ClaimFailed, require
from theory_checks.families import all_orders
from theory_checks.sandwich import certified_bound

CLAIM = "min over all topological orders of the fixed-order optimum = order-free optimum >= the order-free bound"
SOURCE = "by definition of the scopes; formulations.md, what every bound says"


def order_free_optimum(graph: Graph, budget: int) -> int:
    """Least cost over every schedule."""
    return Exhaustive()(Problem(graph, budget)).bounds[0].value


def check(
    full: bool = True,
    optimum: Callable[[Graph, int], int] = order_free_optimum,
    bound: Callable[[Graph, int], int] = certified_bound,
) -> int:
    """Graphs of at most six nodes under their least and a middling peak, all orders each; some order must not do."""
    instances = 0
    order_mattered = 0
    for seed in range(240 if full else 40):
        graph = random_graph(3 + seed % 4, seed, edge_probability=0.4)
        orders = list(all_orders(graph))
        least, most = least_peak(graph), replay(graph, keep_everything(graph)).peak
        for budget in sorted({max(1, least), max(1, (least + most) // 2)}):
            solved = [Exhaustive()(Problem(graph, budget, order)) for order in orders]
            costs = [found.bounds[0].value for found in solved if found.status is Status.OPTIMAL]
            where = f"{graph.name}, budget {budget}, {len(orders)} orders"
            require(bool(costs), f"{where}: no order is feasible, yet {least} bytes are")
            free = optimum(graph, budget)
            require(min(costs) == free, f"{where}: the best order costs {min(costs)}, without order {free}")
            require(bound(graph, budget) <= min(costs), f"{where}: the bound exceeds {min(costs)}")
            order_mattered += len(costs) < len(orders) or max(costs) > free
            instances += 1
    if not order_mattered:
        raise ClaimFailed("no order was worse than another: the instances show nothing")
    return instances
