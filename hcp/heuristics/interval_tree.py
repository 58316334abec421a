"""Height-compressed replay: a balanced interval tree over blocks of the order, checkpoints on one root-to-leaf path.

The rise of the order (see ``segments``) is cut into blocks, and the blocks are the leaves of a balanced binary tree.
While block b is served, only the frontiers at the midpoints left of b on the path from the root to b are held: at most
log2(blocks) of them. The fall asks for the blocks from the last to the first, a post-order walk of the tree; to come to
a block it re-runs from the nearest frontier held and stores the midpoints of the block's own path on the way. On a
uniform chain of n nodes memory is O(log n) values and a block, and every node runs O(log n) times.

The frontier at a midpoint is what the rise made before it and reads at or after it. On general graphs it may be wide;
what is not in a held frontier is recomputed on demand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hcp.heuristics.segments import Walk, geometric
from hcp.schedule.actions import Schedule
from hcp.schedule.rematerialize import Retention, rematerialize
from hcp.schedule.select import choose
from hcp.schedule.solution import Problem, Solution


@dataclass(frozen=True)
class IntervalTree:
    """Balanced interval tree over blocks.

    Attributes:
        blocks: How many; None searches for the cheapest that fits.
    """

    blocks: int | None = None

    def __call__(self, problem: Problem) -> Solution:
        """Returns the cheapest schedule within the budget over the numbers of blocks tried."""
        return choose(problem, "interval_tree", self._candidates(problem))

    def _candidates(self, problem: Problem) -> Iterator[Schedule]:
        walk = Walk(problem.graph, problem.given_order)
        counts = geometric(1, walk.rise, 1.25) if self.blocks is None else [max(1, min(self.blocks, walk.rise))]
        for count in counts:
            yield _replay_tree(walk, [i * count // walk.rise for i in range(walk.rise)])


def _replay_tree(walk: Walk, blocks: Sequence[int]) -> Schedule:
    count = blocks[-1] + 1
    frontier: list[set[int]] = [set() for _ in range(count)]
    for x, made, last in walk.spans:
        for block in range(blocks[made] + 1, blocks[last] + 1):
            frontier[block].add(x)
    held = [walk.made_in_fall.union(*(frontier[cut] for cut in _path(block, count))) for block in range(count)]
    # Epochs 0 .. count - 1 sweep through the rise, where the frontier to go on from is needed as well; the next count
    # serve the blocks in the fall. The last block serves the fall at once, with no drop in between.
    sweep = [block if block < count - 1 else 2 * count - 1 for block in blocks]
    epochs = [*sweep, *(count + block for block in walk.serving(blocks, walk.made_in_rise))]
    carried = [*(held[block] | frontier[block] for block in range(count)), *held]
    carried[-1] = held[-1] | frontier[-1]
    return rematerialize(walk.graph, walk.order, Retention(epochs, carried))


def _path(block: int, count: int) -> Iterator[int]:
    """The midpoints at or left of a block on its path from the root of the tree over 0 .. count - 1."""
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        if block >= middle:
            yield middle
            low = middle
        else:
            high = middle
