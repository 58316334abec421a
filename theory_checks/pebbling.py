"""Pebbling prices of paths, complete binary trees and pyramids, by exact search over all recomputing schedules."""

from collections.abc import Callable, Mapping

from hcp.graph.instances import binary_tree, chain, pyramid
from hcp.graph.ir import Graph
from hcp.solvers.exhaustive import least_peak
from theory_checks.claims import require

CLAIM = "least peaks: path 2; complete binary tree and pyramid of height h: h + 2 (h >= 1), with any recomputation"
SOURCE = "Savage, Models of Computation, ch. 10 (with sliding: one less); theory.md, pebbling prices"

Formula = Callable[[int], int]

PRICES: Mapping[str, tuple[Callable[[int], Graph], tuple[int, ...], Formula]] = {
    "path": (chain, (2, 3, 6, 12), lambda _: 2),
    "tree": (binary_tree, (1, 2, 3), lambda height: height + 2),
    "pyramid": (pyramid, (1, 2, 3, 4), lambda height: height + 2),
}


def check(full: bool = True, prices: Mapping[str, Formula] | None = None) -> int:
    """Searches all schedules of each graph for the smallest peak; ``prices`` overrides formulas by name."""
    instances = 0
    for name, (make, sizes, formula) in PRICES.items():
        price = (prices or {}).get(name, formula)
        for size in sizes if full else sizes[:2]:
            found = least_peak(make(size))
            require(found == price(size), f"{name} {size}: the least peak is {found}")
            instances += 1
    return instances
