"""Other orders: keep everything in a better order, and where that does not do, drop what is cheap to bring back.

The orders come from the table of ``hcp.analysis.width_heuristics``; an order added there is tried here. Each is kept
whole first, since it then costs nothing extra, and then run with the eviction that knows the future (see
``hcp.annealing.greedy_eviction``). Nothing is proved but that a schedule without recomputation is optimal.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from hcp.analysis.width_heuristics import ORDERS
from hcp.planning.compilation import ANNEALING
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, keep_everything


@dataclass(frozen=True)
class Reorder:
    """Tries the orders of every rule, with and without eviction."""

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the cheapest schedule within the budget; a fixed order is the only one tried."""
        return choose(Tracker(problem, limits, control, "reorder"), self._candidates(problem, limits.seed))

    def _candidates(self, problem: Problem, seed: int) -> Iterator[Schedule]:
        from hcp.annealing import Annealer

        graph = problem.graph
        annealer = Annealer(graph, problem.budget, problem.order)
        tried: set[tuple[str, ...]] = set()
        for rule in ORDERS.values():
            nodes = rule(graph, seed) if problem.order is None else annealer.indices(problem.order)
            if nodes is None:
                continue
            order = tuple(graph.index.node_names[v] for v in nodes)
            if order not in tried:
                tried.add(order)
                yield keep_everything(graph, order)
                # Where eviction is still being compiled, others may come without it.
                if ANNEALING.ready():
                    yield annealer.schedule(annealer.evicted(nodes))
