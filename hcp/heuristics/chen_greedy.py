"""Segments of about equally many bytes, after Chen et al.: Training Deep Nets with Sublinear Memory Cost (2016).

Algorithm 3, "memory planning with budget": walk the forward pass adding up the sizes of outputs; where the sum exceeds
b, end the segment there and start again from zero. The paper then searches b between B / sqrt 2 and sqrt 2 B, where B
is the geometric mean of what the segments' ends and the largest segment hold.

Differences from the paper: the rise of the order stands for the forward pass (see ``segments``); every position may
end a segment, and all that crosses is retained; and b is searched over its whole sensible range, from the largest
output to the sum of all, which holds the paper's interval.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hcp.heuristics.segments import Walk, checkpoint_segments, geometric
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule


@dataclass(frozen=True)
class ChenGreedy:
    """Segments of at most about ``b`` bytes of outputs.

    Attributes:
        segment_bytes: b; None searches for the cheapest schedule that fits.
    """

    segment_bytes: int | None = None

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the cheapest schedule within the budget over the segment sizes tried."""
        return choose(Tracker(problem, limits, control, "chen_greedy"), self._candidates(problem))

    def _candidates(self, problem: Problem) -> Iterator[Schedule]:
        walk = Walk(problem.graph, problem.given_order)
        index = problem.graph.index
        sizes = [int(index.size[index.outputs[v]].sum()) for v in walk.nodes[: walk.rise]]
        limits = geometric(max(sizes), max(1, sum(sizes)), 1.12)
        tried: set[tuple[int, ...]] = set()
        for limit in reversed(limits) if self.segment_bytes is None else [self.segment_bytes]:
            segments = tuple(_cut(sizes, limit))
            if segments not in tried:
                tried.add(segments)
                yield from checkpoint_segments(walk, segments)


def _cut(sizes: Sequence[int], limit: int) -> Iterator[int]:
    """The segment of each position."""
    segment = 0
    held = 0
    for size in sizes:
        yield segment
        held += size
        if held > limit:
            segment += 1
            held = 0
