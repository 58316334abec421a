"""The planner ``lp``: an order-free lower bound from the linear form of the cut relaxation; no schedule."""

from dataclasses import dataclass

from hcp.schedule.solution import Problem, Solution
from hcp.schedule.tracker import Tracker
from hcp.solvers.relaxation import Relaxer, infeasibility_note


@dataclass(frozen=True)
class Lp:
    """Bounds the cost by the cut relaxation's linear form, for several chains, strengthened by path cuts."""

    def __call__(self, problem: Problem, /) -> Solution:
        """Bounds the cost; INFEASIBLE where a relaxation proves that no schedule meets the budget."""
        tracker = Tracker(problem, "lp")
        try:
            tracker.report("linear relaxation")
            found = Relaxer(problem.graph, problem.budget, tracker.watch).best()
        except KeyboardInterrupt:
            return tracker.interrupted()
        if found is None:
            return tracker.solution("the linear relaxation did not finish in time")
        if found.bound.of == "peak":
            return tracker.infeasible(found.bound, infeasibility_note(found.bound))
        tracker.add_bound(found.bound)
        tracker.report("linear relaxation solved")
        return tracker.solution("lp only bounds the cost")
