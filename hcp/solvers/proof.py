"""The planner ``proof``: a tree over the cut relaxation that proves optima, in integers, with a certificate.

The linear relaxation and a first incumbent are those of the exact planners. Branch and bound then splits the
relaxation until every leaf reaches the incumbent's cost; whole points on the way are lifted and polished. Where one is
cheaper than the incumbent and does not lift to a schedule within the budget, stages are added where it breaks it, and
the tree begins again. Whatever the tree has proved when its time is up is a bound with a certificate.
"""

from dataclasses import dataclass, field

from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem, ignore
from hcp.planning.solution import Solution, meets
from hcp.planning.tracker import Tracker
from hcp.solvers.cut_relaxation.relaxation import infeasibility_note
from hcp.solvers.exact import ExactParams, begin
from hcp.solvers.lifting import Lifter, OnLifted
from hcp.solvers.prover import Prover


@dataclass(frozen=True)
class Proof:
    """Proves how good the best schedule is, and looks for better ones on the way.

    Attributes:
        prover: Of the problem to come, where its linear relaxation is solved already: each call goes on where the last
            one ended. None to begin with the relaxation in every call.
        on_lifted: Called with lifted schedules, which may break the budget, before they are polished.
        params: Tuned choices.
        cost_limit: Where given, the search ends with a schedule that costs no more, or the proof that all cost more.
    """

    prover: Prover | None = None
    on_lifted: OnLifted = ignore
    params: ExactParams = field(default_factory=ExactParams)
    cost_limit: int | None = None

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Plans; OPTIMAL has a certificate."""
        return Tracker(problem, limits, control, "proof").run(self._planned)

    def _planned(self, tracker: Tracker) -> Solution:
        params, prover = self.params, self.prover
        begun = begin(tracker, params, None if prover is None else prover.relaxation)
        if isinstance(begun, Solution):
            return begun
        deadline = tracker.deadline.part(tracker.deadline.left, lambda: self._settled(tracker))
        lifter = Lifter(tracker, deadline, params.lifting, params.root.relaxation, self.on_lifted)
        proof = (prover or Prover(begun, params.tree, self.cost_limit)).prove(lifter, deadline)
        return tracker.solution() if proof is None else tracker.infeasible(proof, infeasibility_note(proof))

    def _settled(self, tracker: Tracker) -> bool:
        """Whether it is known on which side of the limit on the cost the optimum is."""
        limit = self.cost_limit
        return limit is not None and (tracker.bound > limit or meets(tracker.cost, limit))
