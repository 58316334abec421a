"""The planner ``auto``: heuristics, annealing and the exact search in turn, each starting from the best so far."""

from dataclasses import dataclass, replace

from hcp.heuristics.anneal import Anneal
from hcp.heuristics.chen_greedy import ChenGreedy
from hcp.heuristics.interval_tree import IntervalTree
from hcp.heuristics.keep_all import KeepAll
from hcp.heuristics.sqrt_n import SqrtN
from hcp.schedule.solution import Planner, Problem, Progress, Solution, Status
from hcp.schedule.tracker import Tracker
from hcp.solvers.cpsat import CpSat


@dataclass(frozen=True)
class Auto:
    """Runs its members in turn until the best schedule meets the best bound or the time is up.

    Attributes:
        turns: Pairs (planner, share of the time that is left when its turn comes).
    """

    turns: tuple[tuple[Planner, float], ...] = (
        (KeepAll(), 1.0),
        (SqrtN(), 0.1),
        (ChenGreedy(), 0.1),
        (IntervalTree(), 0.1),
        (Anneal(), 0.06),
        (CpSat(), 0.3),
        (Anneal(), 0.4),
        (CpSat(), 1.0),
    )

    def __call__(self, problem: Problem, /) -> Solution:
        """Plans; Ctrl-C returns the best so far."""
        tracker = Tracker(problem, "auto")
        try:
            for planner, share in self.turns:
                if tracker.done or tracker.watch.left <= 0:
                    break
                solution = planner(_turn(tracker, share))
                for bound in solution.bounds:
                    tracker.add_bound(bound)
                if solution.status is Status.INFEASIBLE:
                    return tracker.infeasible(solution.bounds[-1] if solution.bounds else None, solution.note)
                tracker.offer(solution.schedule)
                if solution.interrupted:
                    return tracker.interrupted()
        except KeyboardInterrupt:
            return tracker.interrupted()
        return tracker.solution()


def _turn(tracker: Tracker, share: float) -> Problem:
    """The problem as a member gets it; what it reports is shown against the best of all members."""

    def monitor(progress: Progress) -> None:
        tracker.raise_bound(progress.bound or 0)
        costs = [cost for cost in (tracker.cost, progress.incumbent) if cost is not None]
        tracker.problem.monitor(
            replace(
                progress,
                planner=f"auto: {progress.planner}",
                seconds=tracker.watch.seconds,
                incumbent=min(costs, default=None),
                bound=tracker.bound,
            )
        )

    return replace(
        tracker.problem,
        time_limit=max(0.1, tracker.watch.left * share),
        incumbent=tracker.schedule,
        monitor=monitor,
    )
