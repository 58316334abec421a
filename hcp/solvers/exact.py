"""What the exact searches by the cut relaxation share: parameters, and the way to a relaxation and an incumbent."""

from dataclasses import dataclass, field

from hcp.planning.parameters import Params, Share
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import keep_everything
from hcp.solvers.cut_relaxation.relaxation import Relaxation
from hcp.solvers.lifting import LiftingParams
from hcp.solvers.root import RootParams, solve_root
from hcp.solvers.start import StartParams, first_incumbent
from hcp.solvers.tree.params import TreeParams


@dataclass(frozen=True)
class ExactParams(Params):
    """Parameters of exact searches.

    Attributes:
        root_share: Share of the remaining time for the first bounds.
        root: Parameters of the first bounds.
        start: Parameters of the first incumbent.
        lifting: Parameters of lifted schedules, and of more stages where they break the budget.
        tree: Parameters of proofs.
    """

    root_share: Share = 0.3
    root: RootParams = field(default_factory=RootParams)
    start: StartParams = field(default_factory=StartParams)
    lifting: LiftingParams = field(default_factory=LiftingParams)
    tree: TreeParams = field(default_factory=TreeParams)


def begin(tracker: Tracker, params: ExactParams, relaxation: Relaxation | None = None) -> Relaxation | Solution:
    """Bounds a problem and finds an incumbent; returns the result where that ends the search.

    Args:
        tracker: Of the search.
        params: Tuned choices.
        relaxation: The linear relaxation, where it is solved already.
    """
    problem = tracker.problem
    tracker.offer(keep_everything(problem.graph, problem.given_order))
    if tracker.done:
        return tracker.solution()
    if relaxation is None:
        root = solve_root(tracker, tracker.deadline.left * params.root_share, params.root)
        if root.infeasibility is not None:
            return tracker.infeasible(root.infeasibility, root.note)
        relaxation = root.relaxation
    else:
        tracker.add_bound(relaxation.bound)
    if tracker.schedule is None:
        first_incumbent(tracker, problem, params.start, params.lifting.engine)
    if relaxation is None:
        return tracker.solution("" if tracker.done else "the linear relaxation did not finish")
    return relaxation
