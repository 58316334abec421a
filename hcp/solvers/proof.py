"""The planner ``proof``: a tree over the cut relaxation that proves optima, in integers, with a certificate.

The linear relaxation and a first incumbent are those of the exact planners. Branch and bound then splits the
relaxation until every leaf reaches the incumbent's cost; whole points on the way are lifted and polished. Where one is
cheaper than the incumbent and does not lift to a schedule within the budget, stages are added where it breaks it, and
the tree begins again. Whatever the tree has proved when its time is up is a bound with a certificate.
"""

from dataclasses import dataclass, field

from hcp.planning.parameters import Params, Share
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem, ignore
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import keep_everything
from hcp.solvers.cut_relaxation.relaxation import Relaxation, infeasibility_note
from hcp.solvers.lifting import Lifter, LiftingParams, OnLifted
from hcp.solvers.prover import Prover
from hcp.solvers.root import Root, RootParams, solve_root
from hcp.solvers.start import StartParams, first_incumbent
from hcp.solvers.tree.params import TreeParams


@dataclass(frozen=True)
class ProofParams(Params):
    """Parameters of the planner.

    Attributes:
        root_share: Of the time, for the first bounds.
        root: Of the first bounds.
        start: Of the first incumbent.
        lifting: Of what the trees meet.
        tree: Of the trees.
    """

    root_share: Share = 0.3
    root: RootParams = field(default_factory=RootParams)
    start: StartParams = field(default_factory=StartParams)
    lifting: LiftingParams = field(default_factory=LiftingParams)
    tree: TreeParams = field(default_factory=TreeParams)


@dataclass(frozen=True)
class Proof:
    """Proves how good the best schedule is, and looks for better ones on the way.

    Attributes:
        relaxation: The linear relaxation of the problem to come, where it is solved already.
        on_lifted: Called with lifted schedules, which may break the budget, before they are polished.
        params: Tuned choices.
    """

    relaxation: Relaxation | None = None
    on_lifted: OnLifted = ignore
    params: ProofParams = field(default_factory=ProofParams)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Plans; OPTIMAL has a certificate."""
        return Tracker(problem, limits, control, "proof").run(self._planned)

    def _planned(self, tracker: Tracker) -> Solution:
        problem, params = tracker.problem, self.params
        tracker.offer(keep_everything(problem.graph, problem.given_order))
        if tracker.done:
            return tracker.solution()
        root = Root(self.relaxation)
        if root.relaxation is None:
            root = solve_root(tracker, tracker.deadline.left * params.root_share, params.root)
        if root.infeasibility is not None:
            return tracker.infeasible(root.infeasibility, root.note)
        if tracker.schedule is None:
            first_incumbent(tracker, problem, params.start, params.lifting.engine)
        if root.relaxation is None:
            return tracker.solution("" if tracker.done else "the linear relaxation did not finish")
        lifter = Lifter(tracker, tracker.deadline, params.lifting, params.root.relaxation, self.on_lifted)
        proof = Prover(tracker, tracker.deadline, lifter, params.tree).prove(root.relaxation)
        return tracker.solution() if proof is None else tracker.infeasible(proof, infeasibility_note(proof))
