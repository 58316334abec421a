"""Height-compressed replay of a graph's rise: blocks, a balanced interval tree over them, checkpoints between them.

The rise of the order (see ``segments``) is cut into blocks, and the blocks are the leaves of a balanced binary tree.
While block b is served, only frontiers at midpoints left of b on the path from the root to b are held. The fall asks
for the blocks from the last to the first, a post-order walk of the tree; to come to a block the nearest frontier held
is advanced, and frontiers on the block's own path are stored on the way.

A checkpoint is the whole frontier at a boundary: what the rise made before it and reads at or after it. Which midpoints
of a path are stored is a policy's choice: all of them (``balanced``, at most log2(blocks) frontiers), or those that a
dynamic programme over the tree finds cheapest for a budget (``dp``, see ``interval_policy``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Literal

from hcp.analysis.hcp_criteria import RiseProfile, rise_profile
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.heuristics.interval_policy import BlockFigures, select_checkpoints
from hcp.heuristics.segments import Walk
from hcp.schedule.actions import Schedule
from hcp.schedule.rematerialize import Retention, rematerialize

Policy = Literal["balanced", "dp"]
BlockSize = int | Literal["sqrt", "tuned"]


@dataclass(frozen=True)
class IntervalNode:
    """A node of the balanced tree: blocks ``low`` to ``high`` - 1; inner nodes are cut before block ``middle``."""

    low: int
    high: int
    left: "IntervalNode | None" = None
    right: "IntervalNode | None" = None

    @property
    def middle(self) -> int:
        """The first block of the right part."""
        return (self.low + self.high) // 2

    @property
    def height(self) -> int:
        """Inner nodes on the longest path to a leaf."""
        return 0 if self.left is None or self.right is None else 1 + max(self.left.height, self.right.height)


@dataclass(frozen=True)
class Checkpoint:
    """A frontier at a block boundary.

    Attributes:
        block: The block that begins there.
        position: Position in the order of the first node behind it.
        values: What the frontier holds, by name.
        bytes: Of these.
    """

    block: int
    position: int
    values: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class IntervalPlan:
    """What a height-compressed replay does.

    Attributes:
        walk: The graph, its order and its rise.
        blocks: Positions of the rise, block by block.
        tree: Over the blocks.
        checkpoints: The frontier before each block but the first.
        held: Per block, the blocks whose checkpoints are held while it is served, in increasing order.
        predicted_peak: Bytes that the balanced policy needs at most (see ``hcp.analysis.hcp_criteria``).
        policy: Who chose ``held``.
    """

    walk: Walk
    blocks: tuple[range, ...]
    tree: IntervalNode
    checkpoints: tuple[Checkpoint, ...]
    held: tuple[tuple[int, ...], ...]
    predicted_peak: int
    policy: Policy


def partition_into_blocks(length: int, count: int) -> tuple[range, ...]:
    """Positions 0 .. length - 1 in ``count`` runs of equally many, give or take one; at most one run a position."""
    count = max(1, min(count, length))
    starts = [-(-i * length // count) for i in range(count + 1)]
    return tuple(range(starts[i], starts[i + 1]) for i in range(count))


def build_balanced_interval_tree(count: int) -> IntervalNode:
    """The balanced binary tree over blocks 0 .. count - 1."""

    def build(low: int, high: int) -> IntervalNode:
        if high - low == 1:
            return IntervalNode(low, high)
        middle = (low + high) // 2
        return IntervalNode(low, high, build(low, middle), build(middle, high))

    return build(0, count)


def make_interval_plan(
    graph: Graph,
    order: tuple[str, ...] | None = None,
    *,
    block_size: BlockSize = "tuned",
    budget: int | None = None,
    policy: Policy = "balanced",
) -> IntervalPlan:
    """Plans a height-compressed replay.

    Args:
        graph: The computation.
        order: All nodes in a topological order; the graph's own where not given.
        block_size: Nodes in a block; ``"sqrt"`` for the root of the rise's length; ``"tuned"`` for the fewest blocks
            whose predicted peak fits the budget, or the least predicted peak where none fits or there is no budget.
        budget: Bytes; the policy ``dp`` needs it.
        policy: Which midpoints' checkpoints are held.

    Raises:
        HcpError: If the block size is not positive, or ``dp`` is given no budget.
    """
    walk = Walk(graph, graph.order if order is None else order)
    rise = rise_profile(graph, walk.order)
    if block_size == "sqrt":
        count = -(-rise.length // max(1, isqrt(rise.length)))
    elif block_size == "tuned":
        fitting = (k for k in range(1, rise.length + 1) if budget is not None and rise.predicted_peak(k) <= budget)
        count = next(fitting, None) or rise.best_blocks()
    elif block_size < 1:
        raise HcpError(f"block size {block_size} is not positive; give the nodes of a block, 'sqrt' or 'tuned'")
    else:
        count = -(-rise.length // block_size)
    return plan_blocks(walk, rise, count, budget=budget, policy=policy)


def plan_blocks(
    walk: Walk, rise: RiseProfile, count: int, *, budget: int | None = None, policy: Policy = "balanced"
) -> IntervalPlan:
    """The plan for a number of blocks; arguments as in ``make_interval_plan``."""
    blocks = partition_into_blocks(walk.rise, count)
    frontiers = _frontiers(walk, blocks)
    size, names = walk.graph.index.size, walk.graph.index.value_names
    checkpoints = tuple(
        Checkpoint(b, blocks[b].start, tuple(sorted(names[x] for x in frontier)), sum(int(size[x]) for x in frontier))
        for b, frontier in enumerate(frontiers)
        if b
    )
    held = [tuple(_path(block, len(blocks))) for block in range(len(blocks))]
    if policy == "dp":
        if budget is None:
            raise HcpError("policy 'dp' chooses checkpoints for a budget; give one, or use policy 'balanced'")
        # Where the programme finds nothing that fits, the balanced choice is the one with a proven bound.
        held = select_checkpoints(_figures(walk, rise, blocks), budget) or held
    tree = build_balanced_interval_tree(len(blocks))
    return IntervalPlan(walk, blocks, tree, checkpoints, tuple(held), rise.predicted_peak(len(blocks)), policy)


def build_replay_plan(plan: IntervalPlan) -> Schedule:
    """The schedule of a plan; what is in no held frontier is recomputed on demand."""
    walk, count = plan.walk, len(plan.blocks)
    label = [b for b, block in enumerate(plan.blocks) for _ in block]
    frontiers = _frontiers(walk, plan.blocks)
    held = [walk.made_in_fall.union(*(frontiers[cut] for cut in cuts)) for cuts in plan.held]
    # Epochs 0 .. count - 1 sweep through the rise, where the frontier to go on from is needed as well; the next count
    # serve the blocks in the fall. The last block serves the fall at once, with no drop in between.
    sweep = [block if block < count - 1 else 2 * count - 1 for block in label]
    epochs = [*sweep, *(count + block for block in walk.serving(label, walk.made_in_rise))]
    carried = [*(kept | frontier for kept, frontier in zip(held, frontiers, strict=True)), *held]
    carried[-1] = held[-1] | frontiers[-1]
    return rematerialize(walk.graph, walk.order, Retention(epochs, carried))


def _frontiers(walk: Walk, blocks: Sequence[range]) -> list[set[int]]:
    """Per block, what was made before it and is read in it or behind it in the rise."""
    label = [b for b, block in enumerate(blocks) for _ in block]
    found: list[set[int]] = [set() for _ in blocks]
    for x, made, last in walk.spans:
        for block in range(label[made] + 1, label[last] + 1):
            found[block].add(x)
    return found


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


def _figures(walk: Walk, rise: RiseProfile, blocks: Sequence[range]) -> BlockFigures:
    cost = walk.graph.index.cost
    return BlockFigures(
        cost=tuple(sum(int(cost[walk.nodes[i]]) for i in block) for block in blocks),
        frontier=tuple(rise.frontier[block.start] for block in blocks),
        widest=tuple(max(rise.frontier[i] for i in block) for block in blocks),
        made=tuple(sum(rise.made[i] for i in block) for block in blocks),
        fixed=rise.staying + rise.node,
    )
