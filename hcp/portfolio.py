"""The planner ``auto``: heuristics and the exact search in turn, with annealing beside them on a core of its own."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from hcp.heuristics.anneal import Anneal
from hcp.heuristics.chen_greedy import ChenGreedy
from hcp.heuristics.eviction import Eviction
from hcp.heuristics.interval_tree import IntervalTree
from hcp.heuristics.lower_sets import LowerSets
from hcp.heuristics.recompute_all import RecomputeAll
from hcp.heuristics.reorder import Reorder
from hcp.heuristics.revolve import Revolve
from hcp.heuristics.rotor import Rotor
from hcp.heuristics.sqrt_n import SqrtN
from hcp.schedule.actions import keep_everything
from hcp.schedule.solution import NotApplicable, Planner, Problem, Progress, Solution, Status
from hcp.schedule.stopwatch import Stopwatch
from hcp.schedule.tracker import Tracker
from hcp.solvers.cpsat import CpSat
from hcp.solvers.milp import Milp
from hcp.solvers.root import Root, solve_root

_Result = Callable[[], Solution]

QUICK: Final[tuple[Planner, ...]] = (
    Reorder(),
    SqrtN(),
    ChenGreedy(),
    IntervalTree(),
    Revolve(),
    Rotor(),
    LowerSets(),
    Eviction(),
)
# Of the time that is left, for each, and for all: on graphs of many thousands of nodes each takes its time.
QUICK_SHARE: Final = 0.03
ALL_QUICK_SHARE: Final = 0.12
ROOT_SHARE: Final = 0.3
# CP-SAT proves small models; of larger ones it is given a glance.
MOST_COLUMNS_PROVED: Final = 5_000
# What annealing gets beside the quick heuristics and the relaxation even where these take less.
LEAST_ANNEALING: Final = 0.06
# Where the bound explains less of the extra cost, the relaxation misses what makes the graph hard: annealing serves it
# better than the relaxation's integer form.
LEAST_EXPLAINED: Final = 0.5


@dataclass(frozen=True)
class Auto:
    """Runs its members in turn until the best schedule meets the best bound or the time is up.

    The quick heuristics and annealing beside them give an incumbent; conflicts prove what is small; the linear
    relaxation is solved once for both exact solvers. CP-SAT is the quicker to prove what is easy, and HiGHS the better
    to raise the bound of what is not.
    """

    def __call__(self, problem: Problem, /) -> Solution:
        """Plans; Ctrl-C returns the best so far."""
        tracker = Tracker(problem, "auto")
        try:
            return _members(tracker)()
        except KeyboardInterrupt:
            return tracker.interrupted()


def _members(tracker: Tracker) -> _Result:
    """Lets the members take their turns; returns how to make the result when all threads have ended."""
    graph, problem = tracker.problem.graph, tracker.problem
    tracker.offer(keep_everything(graph, problem.given_order))
    if tracker.done:
        return tracker.solution
    with _annealing_beside(tracker, LEAST_ANNEALING) as annealing:
        spent = Stopwatch(tracker.watch.left * ALL_QUICK_SHARE)
        for planner in QUICK:
            if annealing.done() or spent.left <= 0:
                break
            result = _turn(tracker, planner, QUICK_SHARE)
            if result is not None:
                return result
        if tracker.schedule is None and not annealing.done():
            # Its schedules are far too long to be worth a look where anything else fits.
            result = _turn(tracker, RecomputeAll(), QUICK_SHARE)
            if result is not None:
                return result
        root = Root() if annealing.done() else solve_root(tracker, tracker.watch.left * ROOT_SHARE)
    if root.hopeless is not None:
        return partial(tracker.infeasible, root.hopeless, root.note)
    relaxation = root.relaxation
    # A relaxation that says no more than "every node runs once" has no skeleton of a schedule either.
    if relaxation is not None and relaxation.bound.value > graph.base_cost:
        small = relaxation.cut.model.shape[1] <= MOST_COLUMNS_PROVED
        result = _turn(tracker, CpSat(relaxation), 0.2 if small else 0.05)
        if result is None and _explained(tracker) >= LEAST_EXPLAINED:
            result = _turn(tracker, Anneal(), 0.45)
            if result is None:
                with _annealing_beside(tracker, 0.0):
                    result = _turn(tracker, Milp(relaxation=relaxation), 1.0)
        if result is not None:
            return result
    return _turn(tracker, Anneal(), 1.0) or tracker.solution


@contextmanager
def _annealing_beside(tracker: Tracker, least: float) -> "Iterator[Future[Solution]]":
    """Anneals on another core while the block runs, then offers what it found; yields the annealing's result to come.

    Args:
        tracker: The portfolio's.
        least: Share of the time left that annealing gets even where the block ends earlier, unless that is needless.
    """
    enough = threading.Event()
    watch = Stopwatch(tracker.watch.left * least)

    def watched(progress: Progress) -> None:
        if enough.is_set() or (progress.incumbent is not None and progress.incumbent <= tracker.bound):
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool:
        annealing = pool.submit(Anneal(), replace(_shared(tracker, 1.0), workers=1, monitor=watched))
        try:
            yield annealing
            while not tracker.done and watch.left > 0 and not wait([annealing], timeout=0.05).done:
                tracker.report("auto: annealing")
        finally:
            enough.set()
            if annealing.exception() is None:
                tracker.offer(annealing.result().schedule)
                _take_bounds(tracker, annealing.result())
    # Raises what the annealing raised.
    annealing.result()


def _explained(tracker: Tracker) -> float:
    """The part of the best schedule's extra cost that the bound shows to be needed; 1 where there is no schedule."""
    base = tracker.problem.graph.base_cost
    return 1.0 if tracker.cost is None or tracker.cost == base else (tracker.bound - base) / (tracker.cost - base)


def _turn(tracker: Tracker, planner: Planner, share: float) -> _Result | None:
    """Lets one member search; returns how to make the portfolio's own result where that ends it."""
    if tracker.done or tracker.watch.left <= 0:
        return tracker.solution
    try:
        solution = planner(_shared(tracker, share))
    except NotApplicable:
        return None
    _take_bounds(tracker, solution)
    if solution.status is Status.INFEASIBLE:
        return partial(tracker.infeasible, solution.bounds[-1] if solution.bounds else None, solution.note)
    tracker.offer(solution.schedule)
    return tracker.interrupted if solution.interrupted else None


def _take_bounds(tracker: Tracker, solution: Solution) -> None:
    known = set(tracker.bounds)
    for bound in solution.bounds:
        if bound not in known:
            tracker.add_bound(bound)


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
