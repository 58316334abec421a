"""Which midpoints of a balanced interval tree to checkpoint: a dynamic programme over the tree's nodes.

C(v, a, m) is the least cost to serve the blocks under tree node v, where the nearest frontier held to the left is the
one before block a and m bytes are left:

    leaf b:       advance from a through b, if the widest frontier on the way and what b makes fit m
    inner node:   the lesser of  C(right, a, m) + C(left, a, m)                                   (hold nothing here)
                  and            advance(a, middle) + C(right, middle, m - frontier(middle)) + C(left, a, m)

The second at every node is the balanced policy, so that the programme's cost is never above that policy's where the
latter fits. The rightmost path is free of charge: the first sweep passes there anyway.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcp.graph.cancellation import tick

_Int64 = NDArray[np.int64]

_IMPOSSIBLE: Final = 2**60
_LEVELS: Final = 256


@dataclass(frozen=True)
class BlockFigures:
    """What the programme knows of the blocks; bytes and cost units.

    Attributes:
        cost: Of running each block's rise.
        frontier: Before each block.
        widest: The widest frontier at the cuts inside each block, its own start included.
        made: Droppable bytes that each block makes.
        fixed: Bytes held in any case.
    """

    cost: tuple[int, ...]
    frontier: tuple[int, ...]
    widest: tuple[int, ...]
    made: tuple[int, ...]
    fixed: int


def select_checkpoints(figures: BlockFigures, budget: int) -> list[tuple[int, ...]] | None:
    """Per block, the blocks whose checkpoints are held while it is served.

    None where nothing fits the budget by these figures, which are on the safe side.
    """
    if budget < figures.fixed:
        return None
    programme = _Programme(figures, budget - figures.fixed)
    costs, _ = programme.solve(0, len(figures.cost), 0)
    return programme.held(len(costs) - 1) if costs[-1] < _IMPOSSIBLE else None


class _Programme:
    """The dynamic programme for one amount of memory, divided into levels; sizes are rounded up."""

    def __init__(self, figures: BlockFigures, memory: int) -> None:
        self.figures = figures
        self.unit = max(1, -(-memory // _LEVELS))
        self.memory = np.arange(memory // self.unit + 1)
        self.advance = [0, *accumulate(figures.cost)]
        self.table: dict[tuple[int, int, int], tuple[_Int64, NDArray[np.bool_]]] = {}

    def units(self, size: int) -> int:
        return -(-size // self.unit)

    def solve(self, low: int, high: int, start: int) -> tuple[_Int64, NDArray[np.bool_]]:
        """Cost for each amount of memory, and whether the midpoint is held."""
        tick()
        key = low, high, start
        if key not in self.table:
            self.table[key] = self._leaf(low, start) if high - low == 1 else self._inner(low, high, start)
        return self.table[key]

    def held(self, memory: int) -> list[tuple[int, ...]]:
        """The choices on each block's path, for this many units."""
        found: list[tuple[int, ...]] = []
        # Tree nodes to visit, from left to right: blocks, nearest checkpoint, units left, checkpoints held.
        stack: list[tuple[int, int, int, int, tuple[int, ...]]] = [(0, len(self.figures.cost), 0, memory, ())]
        while stack:
            low, high, start, left, cuts = stack.pop()
            if high - low == 1:
                found.append(cuts)
                continue
            middle = (low + high) // 2
            if self.solve(low, high, start)[1][left]:
                less = left - self.units(self.figures.frontier[middle])
                stack.append((middle, high, middle, less, (*cuts, middle)))
            else:
                stack.append((middle, high, start, left, cuts))
            stack.append((low, middle, start, left, cuts))
        return found

    def _leaf(self, block: int, start: int) -> tuple[_Int64, NDArray[np.bool_]]:
        figures = self.figures
        needed = max(figures.widest[start : block + 1]) + figures.made[block]
        free = block == len(figures.cost) - 1
        cost = 0 if free else self.advance[block + 1] - self.advance[start]
        costs = np.where(self.memory >= self.units(needed), cost, _IMPOSSIBLE)
        return costs, np.zeros(len(costs), np.bool_)

    def _inner(self, low: int, high: int, start: int) -> tuple[_Int64, NDArray[np.bool_]]:
        middle = (low + high) // 2
        left = self.solve(low, middle, start)[0]
        without = self.solve(middle, high, start)[0]
        advance = 0 if high == len(self.figures.cost) else self.advance[middle] - self.advance[start]
        kept = np.full(len(self.memory), _IMPOSSIBLE)
        shift = min(self.units(self.figures.frontier[middle]), len(kept))
        kept[shift:] = self.solve(middle, high, middle)[0][: len(kept) - shift] + advance
        held = kept < without
        return np.minimum(np.where(held, kept, without) + left, _IMPOSSIBLE), held
