"""Equal segments on a training chain: memory grows like the square root, at one extra forward pass at most."""

from collections.abc import Callable
from math import ceil, isqrt

from hcp.graph.instances import training_chain
from hcp.heuristics.sqrt_n import SqrtN
from theory_checks.claims import require
from theory_checks.measures import exponent, rise, usage_of

CLAIM = "k segments of a training chain: peak <= k + ceil(n/k), no node runs three times; at k = sqrt n, n^0.5"
SOURCE = "Chen et al. 2016, arXiv:1604.06174; theory.md, square-root law"


def peak_bound(nodes: int, segments: int) -> int:
    """A value for each boundary between segments, one segment's values, and two gradients, less one counted twice."""
    return segments + ceil(nodes / segments)


def check(full: bool = True, bound: Callable[[int, int], int] = peak_bound, power: float = 0.5) -> int:
    """Every number of segments on small chains, and the fitted power on chains of up to 4,096 nodes."""
    instances = 0
    for length in (16, 50, 90) if full else (16,):
        graph = training_chain(length)
        forward = rise(graph)
        for segments in range(1, forward + 1):
            usage = usage_of(SqrtN(segments=segments), graph)
            where = f"{graph.name}, {segments} segments"
            require(usage.peak <= bound(forward, segments), f"{where}: peak {usage.peak}")
            require(max(usage.recomputed.values(), default=0) <= 1, f"{where}: a node runs three times")
            instances += 1
    points = []
    for length in (64, 256, 1024, 4096) if full else (64, 256, 1024):
        usage = usage_of(SqrtN(segments=isqrt(length)), training_chain(length))
        points.append((length, usage.peak))
        require(usage.cost <= 4 * length, f"length {length}: more than an extra forward pass")
        instances += 1
    fitted = exponent(points)
    require(abs(fitted - power) < 0.05, f"peaks {points} grow with the power {fitted:.3f}")
    return instances
