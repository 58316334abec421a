"""The planner ``auto``: heuristics, annealing and the exact search in turn, each starting from the best so far."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from hcp.heuristics.anneal import Anneal
from hcp.heuristics.chen_greedy import ChenGreedy
from hcp.heuristics.eviction import Eviction
from hcp.heuristics.interval_tree import IntervalTree
from hcp.heuristics.keep_all import KeepAll
from hcp.heuristics.lower_sets import LowerSets
from hcp.heuristics.recompute_all import RecomputeAll
from hcp.heuristics.reorder import Reorder
from hcp.heuristics.revolve import Revolve
from hcp.heuristics.rotor import Rotor
from hcp.heuristics.sqrt_n import SqrtN
from hcp.schedule.solution import NotApplicable, Planner, Problem, Progress, Solution, Status
from hcp.schedule.stopwatch import Stopwatch
from hcp.schedule.tracker import Tracker
from hcp.solvers.cpsat import CpSat
from hcp.solvers.milp import Milp
from hcp.solvers.relaxation import Relaxation, Relaxer, infeasibility_note

# Pairs (planner, share of the time that is left when its turn comes).
QUICK: Final[tuple[tuple[Planner, float], ...]] = (
    (KeepAll(), 1.0),
    (SqrtN(), 0.1),
    (ChenGreedy(), 0.1),
    (IntervalTree(), 0.1),
    (RecomputeAll(), 0.02),
    (Revolve(), 0.02),
    (Rotor(), 0.05),
    (LowerSets(), 0.05),
    (Eviction(), 0.05),
    (Reorder(), 0.05),
    (Anneal(), 0.06),
)
RELAXATION_SHARE: Final = 0.2
# Where the bound explains less of the extra cost, the relaxation misses what makes the graph hard: annealing serves it
# better than the relaxation's integer form.
LEAST_EXPLAINED: Final = 0.5


@dataclass(frozen=True)
class Auto:
    """Runs its members in turn until the best schedule meets the best bound or the time is up.

    The quick heuristics and a short anneal give an incumbent; the linear relaxation is solved once for both exact
    solvers. CP-SAT is the quicker to prove what is easy, and HiGHS the better to raise the bound of what is not.
    """

    def __call__(self, problem: Problem, /) -> Solution:
        """Plans; Ctrl-C returns the best so far."""
        tracker = Tracker(problem, "auto")
        try:
            for planner, share in QUICK:
                solution = _turn(tracker, planner, share)
                if solution is not None:
                    return solution
            relaxation = _relaxation(tracker)
            if relaxation is not None and relaxation.bound.of == "peak":
                return tracker.infeasible(relaxation.bound, infeasibility_note(relaxation.bound))
            # A relaxation that says no more than "every node runs once" has no skeleton of a schedule either.
            telling = relaxation is not None and relaxation.bound.value > problem.graph.base_cost
            for planner, share in _thorough(tracker, relaxation if telling else None):
                solution = _turn(tracker, planner, share)
                if solution is not None:
                    return solution
        except KeyboardInterrupt:
            return tracker.interrupted()
        return tracker.solution()


def _thorough(tracker: Tracker, relaxation: Relaxation | None) -> Iterator[tuple[Planner, float]]:
    if relaxation is not None:
        yield CpSat(relaxation), 0.2
        if _explained(tracker) >= LEAST_EXPLAINED:
            yield Anneal(), 0.4
            yield Milp(relaxation=relaxation), 1.0
    yield Anneal(), 1.0


def _explained(tracker: Tracker) -> float:
    """The part of the best schedule's extra cost that the bound shows to be needed; 1 where there is no schedule."""
    base = tracker.problem.graph.base_cost
    return 1.0 if tracker.cost is None or tracker.cost == base else (tracker.bound - base) / (tracker.cost - base)


def _relaxation(tracker: Tracker) -> Relaxation | None:
    if tracker.done or tracker.watch.left <= 0:
        return None
    tracker.report("auto: linear relaxation")
    watch = Stopwatch(tracker.watch.left * RELAXATION_SHARE)
    relaxation = Relaxer(tracker.problem.graph, tracker.problem.budget, watch).best()
    if relaxation is not None:
        tracker.add_bound(relaxation.bound)
    return relaxation


def _turn(tracker: Tracker, planner: Planner, share: float) -> Solution | None:
    """Lets one member search; returns the portfolio's own result where that ends it."""
    if tracker.done or tracker.watch.left <= 0:
        return tracker.solution()
    try:
        solution = planner(_shared(tracker, share))
    except NotApplicable:
        return None
    known = set(tracker.bounds)
    for bound in solution.bounds:
        if bound not in known:
            tracker.add_bound(bound)
    if solution.status is Status.INFEASIBLE:
        return tracker.infeasible(solution.bounds[-1] if solution.bounds else None, solution.note)
    tracker.offer(solution.schedule)
    return tracker.interrupted() if solution.interrupted else None


def _shared(tracker: Tracker, share: float) -> Problem:
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
