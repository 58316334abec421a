"""The planner ``cpsat``: the cut relaxation solved exactly by OR-Tools' CP-SAT, lifted and polished."""

from dataclasses import dataclass, field

from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem, ignore
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.solvers.cut_relaxation.relaxation import Relaxation
from hcp.solvers.lifting import OnLifted
from hcp.solvers.models.cpsat import solve_with_cpsat
from hcp.solvers.search import SearchParams, search


@dataclass(frozen=True)
class CpSat:
    """Bound, lift, polish with CP-SAT as the exact solver.

    Attributes:
        relaxation: The linear relaxation of the problem to come, where it is solved already.
        on_lifted: Called with lifted schedules, which may break the budget, before they are polished.
        params: Tuned choices.
    """

    relaxation: Relaxation | None = None
    on_lifted: OnLifted = ignore
    params: SearchParams = field(default_factory=SearchParams)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Plans; OPTIMAL is proved by CP-SAT for every order."""
        tracker = Tracker(problem, limits, control, "cpsat")
        return search(tracker, solve_with_cpsat, self.params, self.relaxation, self.on_lifted)
