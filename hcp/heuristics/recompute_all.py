"""Recompute everything: the other extreme of keep_all.

Nothing of the rise (see ``segments``) is retained for the fall: every node of the fall that needs something of the rise
has it computed again from the graph's inputs, and dropped at once. On a chain of n nodes this runs O(n^2) nodes and
holds O(1) values. No paper claims it; comparisons need it as a corner. The rise itself keeps what it goes on to read,
and gradients stay until their last use, since dropping them as well would mean to run the backward pass again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from hcp.heuristics.segments import Walk
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.schedule.rematerialize import Retention, rematerialize


@dataclass(frozen=True)
class RecomputeAll:
    """Retains nothing for the fall."""

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the recompute-everything schedule where it meets the budget."""
        return choose(Tracker(problem, limits, control, "recompute_all"), self._candidates(problem))

    def _candidates(self, problem: Problem) -> Iterator[Schedule]:
        walk = Walk(problem.graph, problem.given_order)
        carried = [walk.made_in_fall] * (1 + len(walk.order) - walk.rise)
        epochs = [*[0] * walk.rise, *range(1, len(carried))]
        yield rematerialize(walk.graph, walk.order, Retention(epochs, carried))
