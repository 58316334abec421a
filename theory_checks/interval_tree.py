"""The balanced interval tree on chains of layers: its peak and its recomputation stay within their proven bounds."""

from collections.abc import Callable
from math import ceil

from theory_checks.claims import require
from theory_checks.families import wide_chain
from theory_checks.measures import rise, tree_usage

CLAIM = "k blocks, frontier F = 2w-1: peak <= ceil(log2 k) F + ceil(n/k) + 2w, runs <= ceil(log2 k) + 1"
SOURCE = "theory.md, interval tree"


def height(blocks: int) -> int:
    """The height of the balanced tree over the blocks."""
    return (blocks - 1).bit_length()


def peak_bound(nodes: int, width: int, blocks: int) -> int:
    """A frontier for each level of the tree, the block's values, and two layers of gradients."""
    return height(blocks) * (2 * width - 1) + ceil(nodes / blocks) + 2 * width


def runs_bound(blocks: int) -> int:
    """The first pass, one for each level of the tree below the root, and one to serve the block itself."""
    return height(blocks) + 1


def extra_bound(nodes: int, blocks: int) -> float:
    """Half of the blocks at each level below the root, and each block once more to serve it."""
    return ceil(nodes / blocks) * blocks * (height(blocks) + 1) / 2


def check(
    full: bool = True,
    peak: Callable[[int, int, int], int] = peak_bound,
    runs: Callable[[int], int] = runs_bound,
    extra: Callable[[int, int], float] = extra_bound,
) -> int:
    """Every number of blocks on chains of several lengths and widths, and some on a long one."""
    instances = 0
    cases = [(100, 1), (17, 1), (32, 2), (16, 4), (24, 3)] if full else [(17, 1), (9, 2)]
    for layers, width in cases:
        forward = rise(wide_chain(layers, width))
        instances += sum(_holds(layers, width, k, peak, runs, extra) for k in range(1, forward + 1))
    if full:
        instances += sum(_holds(1000, 1, k, peak, runs, extra) for k in (1, 2, 8, 31, 32, 33, 250, 1000))
    return instances


def _holds(  # noqa: PLR0917 - the claim's parts
    layers: int,
    width: int,
    blocks: int,
    peak: Callable[[int, int, int], int],
    runs: Callable[[int], int],
    extra: Callable[[int, int], float],
) -> int:
    graph = wide_chain(layers, width)
    forward = rise(graph)
    usage = tree_usage(graph, blocks)
    where = f"{graph.name}, {blocks} blocks"
    require(usage.peak <= peak(forward, width, blocks), f"{where}: peak {usage.peak}")
    most = max(usage.recomputed.values(), default=0) + 1
    require(most <= runs(blocks), f"{where}: a node runs {most} times")
    more = usage.cost - graph.base_cost
    require(more <= extra(forward, blocks), f"{where}: {more} extra runs")
    return 1
