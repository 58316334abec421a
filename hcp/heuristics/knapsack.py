"""A knapsack on saved bytes: what compilers do today.

PyTorch's ``activation_memory_budget`` chooses what the forward pass saves for the backward pass by a 0/1 knapsack:
items are forward nodes, an item weighs the bytes of its output and is worth the time to run it again, and the capacity
is a share of what saving everything would take (``torch/_functorch/_activation_checkpointing/knapsack.py``,
``dp_knapsack``, which divides memory into 10,000 units). What is not saved is recomputed once, before its first use in
the backward pass, and stays to its last.

What is implemented: that knapsack, by dynamic programming over ``levels`` units of memory with weights rounded up. The
rise of the order (see ``segments``) stands for the forward pass, and the items are its nodes with outputs that the fall
reads. The one table has the choices for all capacities; the planner tries many of them and keeps the cheapest whose
replay fits.

Known shortfalls, the method's own: an item's worth is its own cost, while recomputing it may need other items that were
not saved either; and the capacity counts saved bytes, not the peak, so that there may be no capacity that fits. PyTorch
offers only some nodes (it always recomputes cheap, fusible ones); here all are offered.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hcp.graph.cancellation import ticking
from hcp.heuristics.segments import Walk
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.schedule.rematerialize import Retention, rematerialize


@dataclass(frozen=True)
class Knapsack:
    """Saves the nodes that are worth most and fit a capacity.

    Attributes:
        capacity: Bytes that may be saved; None searches for the cheapest schedule that fits.
        levels: Units that memory is divided into.
        tries: How many capacities the search tries.
    """

    capacity: int | None = None
    levels: int = 2000
    tries: int = 40

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the cheapest schedule within the budget over the capacities tried."""
        return choose(Tracker(problem, limits, control, "knapsack"), self._candidates(problem))

    def _candidates(self, problem: Problem) -> Iterator[Schedule]:
        walk = Walk(problem.graph, problem.given_order)
        index = problem.graph.index
        fall_reads = {x for v in walk.nodes[walk.rise :] for x in index.inputs[v].tolist()} & walk.made_in_rise
        saved = {v: fall_reads & set(index.outputs[v].tolist()) for v in walk.nodes[: walk.rise]}
        items = [v for v, values in saved.items() if values]
        weights = [sum(int(index.size[x]) for x in saved[v]) for v in items]
        largest = sum(weights) if self.capacity is None else self.capacity
        # PyTorch's capacities are shares of the largest, too.
        shares = range(self.tries, -1, -1) if self.capacity is None else [self.tries]
        capacities = [largest * share // self.tries for share in shares]
        tried: set[frozenset[int]] = set()
        for chosen in most_valuable(weights, index.cost[items].tolist(), capacities, self.levels):
            if chosen not in tried:
                tried.add(chosen)
                retained = walk.made_in_fall.union(*(saved[items[i]] for i in chosen))
                epochs = [*[0] * walk.rise, *[1] * (len(walk.order) - walk.rise)]
                yield rematerialize(walk.graph, walk.order, Retention(epochs, [set(), retained]))


def most_valuable(
    weights: Sequence[int], worths: Sequence[int], capacities: Sequence[int], levels: int
) -> Iterator[frozenset[int]]:
    """The items that are worth most together, for each capacity; exact where the largest is at most ``levels``.

    Args:
        weights: Of each item, zero or more.
        worths: Of each item, zero or more.
        capacities: The weights that the chosen items must not exceed together.
        levels: Weights are rounded up to this share of the largest capacity.
    """
    unit = max(1, -(-max(capacities) // levels))
    units = [-(-weight // unit) for weight in weights]
    size = max(capacities) // unit + 1
    best = np.zeros(size, np.int64)
    taken = np.zeros((len(units), size), np.bool_)
    for i, (weight, worth) in enumerate(ticking(zip(units, worths, strict=True))):
        if weight < size:
            with_item = best[: size - weight] + worth
            taken[i, weight:] = with_item > best[weight:]
            best[weight:] = np.maximum(best[weight:], with_item)
    for capacity in capacities:
        left = capacity // unit
        chosen = []
        for i in reversed(range(len(units))):
            if taken[i, left]:
                chosen.append(i)
                left -= units[i]
        yield frozenset(chosen)
