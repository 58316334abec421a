"""Other orders: keep everything in a better order, and where that does not do, drop what is cheap to bring back.

The orders come from the table of ``hcp.analysis.width_heuristics``; an order added there is tried here. Each is kept
whole first, since it then costs nothing extra, and then run with the eviction that knows the future (see
``hcp.schedule.annealing.eviction``). Nothing is proved but that a schedule without recomputation is optimal.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from hcp.analysis.width_heuristics import evaluate_orders
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.select import choose
from hcp.schedule.solution import Problem, Solution


@dataclass(frozen=True)
class Reorder:
    """Tries the orders of every rule, with and without eviction."""

    def __call__(self, problem: Problem) -> Solution:
        """Returns the cheapest schedule within the budget; a fixed order is the only one tried."""
        return choose(problem, "reorder", self._candidates(problem))

    def _candidates(self, problem: Problem) -> Iterator[Schedule]:
        graph = problem.graph
        if problem.order is None:
            stats = sorted(evaluate_orders(graph, problem.seed), key=lambda entry: entry.peak)
            orders = [entry.order for entry in stats]
        else:
            orders = [problem.order]
        orders = list(dict.fromkeys(orders))
        yield from (keep_everything(graph, order) for order in orders)

        from hcp.schedule.annealing import Annealer

        annealer = Annealer(graph, problem.budget, problem.order)
        for order in orders:
            yield annealer.schedule(annealer.evicted(annealer.indices(order)))
