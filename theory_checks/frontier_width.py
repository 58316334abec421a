"""The frontier width of the best order is no lower bound: recomputation can go below it, by any factor."""

from collections.abc import Callable
from itertools import accumulate

from hcp.graph.instances import training_chain
from hcp.graph.ir import Graph
from hcp.solvers.exhaustive import least_peak
from theory_checks.claims import require
from theory_checks.families import all_orders

CLAIM = "a training chain of n >= 5 steps has frontier width n in every order, and least peak 4"
SOURCE = "theory.md, frontier width"


def frontier_width(graph: Graph, order: tuple[str, ...]) -> int:
    """Most bytes live between two consecutive nodes of an order that runs every node once."""
    place = {name: i for i, name in enumerate(order)}
    change = [0] * (len(order) + 1)
    for value in graph.values.values():
        readers = [place[name] for name in graph.readers[value.name]]
        if readers:
            change[place[graph.producer[value.name]]] += value.bytes
            change[max(readers)] -= value.bytes
    return max(accumulate(change))


def check(full: bool = True, width: Callable[[int], int] = lambda n: n, peak: int = 4) -> int:
    """All orders of small training chains for the width, all schedules for the peak."""
    instances = 0
    for steps in range(5, 9 if full else 6):
        graph = training_chain(steps)
        best = min(frontier_width(graph, order) for order in all_orders(graph))
        least = least_peak(graph)
        require(best == width(steps), f"{graph.name}: the best order's frontier width is {best}")
        require(least == peak, f"{graph.name}: the least peak is {least}")
        require(least < best, f"{graph.name}: the least peak {least} does not beat the width {best}")
        instances += 1
    return instances
