"""The quick heuristics, and a portfolio of these and annealing: what ``auto`` is where no solver is installed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hcp.heuristics.anneal import Anneal
from hcp.heuristics.chen_greedy import ChenGreedy
from hcp.heuristics.eviction import Eviction
from hcp.heuristics.interval_tree import IntervalTree
from hcp.heuristics.lower_sets import LowerSets
from hcp.heuristics.mixed import Mixed
from hcp.heuristics.recompute_all import RecomputeAll
from hcp.heuristics.reorder import Reorder
from hcp.heuristics.revolve import Revolve
from hcp.heuristics.rotor import Rotor
from hcp.heuristics.sqrt_n import SqrtN
from hcp.planning.parameters import Params, Positive, Share
from hcp.planning.planner import Planner
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, NotApplicable, Problem
from hcp.planning.solution import Solution, Status
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import keep_everything

# Those first that are the best for the time that they take: on graphs of many thousands of nodes there is none for all.
QUICK: Final[tuple[Planner, ...]] = (
    Mixed(),
    Rotor(),
    LowerSets(),
    Eviction(),
    ChenGreedy(),
    SqrtN(),
    Reorder(),
    IntervalTree(),
    Revolve(),
)


@dataclass(frozen=True)
class HeuristicParams(Params):
    """Parameters of the portfolio without solvers.

    Attributes:
        quick_share: Share of the remaining time for each quick heuristic; annealing gets what they leave.
        least_seconds: Least seconds of a turn.
    """

    quick_share: Share = 0.1
    least_seconds: Positive = 0.1


@dataclass(frozen=True)
class HeuristicPortfolio:
    """Asks the quick heuristics in turn, then anneals from the best of their schedules until the time is up.

    It proves nothing but that recomputing nothing is optimal: bounds come from solvers.

    Attributes:
        missing: The package for want of which it runs in place of ``hcp.portfolio.Auto``; the solution names it.
        params: Tuned choices.
    """

    missing: str = ""
    params: HeuristicParams = field(default_factory=HeuristicParams)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Plans; who is asked to stop returns the best so far."""
        return Tracker(problem, limits, control, "auto").run(self._planned)

    def _planned(self, tracker: Tracker) -> Solution:
        tracker.offer(keep_everything(tracker.problem.graph, tracker.problem.given_order))
        found = self._ask(tracker, QUICK, self.params.quick_share)
        if found is None and tracker.schedule is None:
            # Its schedules are far too long to be worth a look where anything else fits.
            found = self._ask(tracker, (RecomputeAll(),), self.params.quick_share)
        if found is None:
            found = self._ask(tracker, (Anneal(),), 1.0)
        if found is not None:
            return found
        note = f"{self.missing} is not installed: heuristics and annealing alone, without bounds"
        return tracker.solution(note if self.missing else "")

    def _ask(self, tracker: Tracker, planners: Sequence[Planner], share: float) -> Solution | None:
        """Lets planners search one after the other; returns a solution where one says that nothing fits."""
        for planner in planners:
            if tracker.over:
                break
            seconds = max(self.params.least_seconds, tracker.deadline.left * share)
            limits = tracker.limits.part(tracker.deadline, seconds)
            control = Control(lambda: tracker.deadline.stopped, tracker.control.monitor, tracker.schedule)
            try:
                solution = planner(tracker.problem, limits, control)
            except NotApplicable:
                continue
            if solution.status is Status.INFEASIBLE:
                return tracker.infeasible(solution.bounds[-1] if solution.bounds else None, solution.note)
            tracker.offer(solution.schedule)
        return None
