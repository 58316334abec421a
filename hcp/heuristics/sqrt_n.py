"""Uniform segments, after Chen, Xu, Zhang, Guestrin: Training Deep Nets with Sublinear Memory Cost (2016), section 4.

The forward pass is cut into k segments of equally many nodes; only what crosses segments is retained, and the
backward pass recomputes one segment at a time. With k = sqrt(n) memory is O(sqrt n) at one extra forward pass.

Differences from the paper: the rise of the order stands for the forward pass (see ``segments``); what crosses may be
more than one value; only what the backward pass asks for is recomputed; and k is searched instead of fixed, since the
paper's k is the best for uniform chains alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

from hcp.heuristics.segments import Walk, checkpoint_segments, geometric
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule


@dataclass(frozen=True)
class SqrtN:
    """Segments of equally many nodes.

    Attributes:
        segments: How many; None searches for the cheapest that fits.
    """

    segments: int | None = None

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the cheapest schedule within the budget over the numbers of segments tried."""
        return choose(Tracker(problem, limits, control, "sqrt_n"), self._candidates(problem))

    def _candidates(self, problem: Problem) -> Iterator[Schedule]:
        walk = Walk(problem.graph, problem.given_order)
        counts = {*geometric(1, walk.rise, 1.15), max(1, isqrt(walk.rise))}
        for count in sorted(counts) if self.segments is None else [max(1, min(self.segments, walk.rise))]:
            yield from checkpoint_segments(walk, [i * count // walk.rise for i in range(walk.rise)])
