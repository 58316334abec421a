"""Keep everything: every node once, nothing recomputed."""

from dataclasses import dataclass

from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import keep_everything


@dataclass(frozen=True)
class KeepAll:
    """Runs the given order once; the cheapest schedule there is, where it fits."""

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the keep-everything schedule where it meets the budget."""
        return choose(
            Tracker(problem, limits, control, "keep_all"), [keep_everything(problem.graph, problem.given_order)]
        )
