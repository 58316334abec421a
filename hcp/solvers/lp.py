"""The planner ``lp``: order-free lower bounds from linear programmes; no schedule."""

from dataclasses import dataclass, field

from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.solvers.root import RootParams, solve_root


@dataclass(frozen=True)
class Lp:
    """Bounds the cost by conflicts, and by the cut relaxation for several chains, strengthened by cuts.

    Attributes:
        params: Tuned choices.
    """

    params: RootParams = field(default_factory=RootParams)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Bounds the cost; INFEASIBLE where a relaxation proves that no schedule meets the budget."""
        return Tracker(problem, limits, control, "lp").run(self._bounded)

    def _bounded(self, tracker: Tracker) -> Solution:
        root = solve_root(tracker, tracker.deadline.left, self.params)
        if root.infeasibility is not None:
            return tracker.infeasible(root.infeasibility, root.note)
        if root.relaxation is None and not tracker.done:
            return tracker.solution("the linear relaxation did not finish in time")
        tracker.report("bounds proved")
        return tracker.solution("solver 'lp' computes a lower bound and no schedule")
