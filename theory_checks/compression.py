"""Where height compression works and where it fails: how the interval tree's best peak grows with the graph."""

from collections.abc import Callable, Mapping
from statistics import fmean

from hcp.graph.instances import binary_tree, pyramid, random_layered, training_chain
from hcp.graph.ir import Graph
from theory_checks.claims import require
from theory_checks.families import forward_rows, mirrored
from theory_checks.measures import bend, exponent, least_interval_tree_peak

CLAIM = "the interval tree's best peak grows like log n on chains, but with a power of n on the three families below"
SOURCE = "shown; theory.md, where height compression fails"


def _training(graph: Graph) -> Graph:
    return mirrored(forward_rows(graph), f"training-{graph.name}")


# Sizes rise by factors; seeds average out what random graphs add.
FAMILIES: Mapping[str, tuple[Callable[[int, int], Graph], tuple[int, ...], tuple[int, ...]]] = {
    "tree": (lambda depth, _: _training(binary_tree(depth)), (4, 5, 6, 7, 8), (0,)),
    "pyramid": (lambda rows, _: _training(pyramid(rows)), (7, 10, 15, 21, 30), (0,)),
    "random layered": (lambda n, seed: _training(random_layered(n, seed)), (50, 100, 200, 400), (0, 1, 2)),
}

# The fitted power of n lies in this interval. On pyramids the frontier is a row, about the square root of 2 n; on trees
# and random layered graphs it is a constant share of all values.
POWERS: Mapping[str, tuple[float, float]] = {
    "tree": (0.85, 1.1),
    "pyramid": (0.4, 0.7),
    "random layered": (0.8, 1.2),
}


# Chains of one less than a power of two; what a doubling adds is the same all the way, up to this factor. For n^0.2
# the upper half of these sizes adds 1.4 times as much as the lower one, or more.
CHAINS = tuple(2**k - 1 for k in range(4, 12))
MOST_BEND = 1.15


def check(
    full: bool = True,
    powers: Mapping[str, tuple[float, float]] = POWERS,
    chain_peak: Callable[[Graph], float] = least_interval_tree_peak,
) -> int:
    """Asks whether equal factors add equally on chains, and fits the power for each other family."""
    lengths = CHAINS if full else CHAINS[:6]
    found = [(length, chain_peak(training_chain(length))) for length in lengths]
    require(1 / MOST_BEND <= bend(found) <= MOST_BEND, f"chain: peaks {found} do not grow like a logarithm")
    instances = len(found)
    for name, (make, sizes, seeds) in FAMILIES.items():
        points = []
        for size in sizes if full else sizes[:3]:
            graphs = [make(size, seed) for seed in (seeds if full else seeds[:1])]
            nodes = len(graphs[0].nodes) // 2
            points.append((nodes, fmean(least_interval_tree_peak(graph) for graph in graphs)))
            instances += len(graphs)
        low, high = powers[name]
        fitted = exponent(points)
        require(low <= fitted <= high, f"{name}: peaks {points} grow with the power {fitted:.3f}")
    return instances
