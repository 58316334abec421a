"""The planner ``milp``: the cut relaxation solved exactly through PuLP, by HiGHS or any solver that PuLP finds."""

from dataclasses import dataclass, field
from functools import partial

from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem, ignore
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.solvers.cut_relaxation.relaxation import Relaxation
from hcp.solvers.lifting import OnLifted
from hcp.solvers.models.pulp import check_backend, solve_with_pulp
from hcp.solvers.search import SearchParams, search


@dataclass(frozen=True)
class Milp:
    """Bound, lift, polish with a mixed-integer solver as the exact one.

    Attributes:
        backend: A solver's name as PuLP lists it.
        relaxation: The linear relaxation of the problem to come, where it is solved already.
        on_lifted: Called with lifted schedules, which may break the budget, before they are polished.
        params: Tuned choices.
    """

    backend: str = "HiGHS"
    relaxation: Relaxation | None = None
    on_lifted: OnLifted = ignore
    params: SearchParams = field(default_factory=SearchParams)

    def __post_init__(self) -> None:
        check_backend(self.backend)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Plans; OPTIMAL is proved by the solver for every order, within its floating-point tolerances."""
        backend = partial(solve_with_pulp, backend=self.backend)
        tracker = Tracker(problem, limits, control, "milp")
        return search(tracker, backend, self.params, self.relaxation, self.on_lifted)
