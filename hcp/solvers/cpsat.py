"""The planner ``cpsat``: the cut relaxation solved exactly by OR-Tools' CP-SAT, lifted and polished."""

from dataclasses import dataclass

from hcp.planning.problem import Problem
from hcp.planning.solution import Solution
from hcp.solvers.cut_relaxation.relaxation import Relaxation
from hcp.solvers.models.cpsat import solve_with_cpsat
from hcp.solvers.models.integer import ignore
from hcp.solvers.search import OnLifted, search


@dataclass(frozen=True)
class CpSat:
    """Bound, lift, polish with CP-SAT as the exact solver.

    Attributes:
        relaxation: The linear relaxation of the problem to come, where it is solved already.
        on_lifted: Called with lifted schedules, which may break the budget, before they are polished.
    """

    relaxation: Relaxation | None = None
    on_lifted: OnLifted = ignore

    def __call__(self, problem: Problem, /) -> Solution:
        """Plans; OPTIMAL is proved by CP-SAT for every order."""
        return search(problem, solve_with_cpsat, "cpsat", self.relaxation, self.on_lifted)
