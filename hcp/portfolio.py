"""The planner ``auto``: heuristics and the exact search in turn, with the memetic search beside them on a core."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from hcp.heuristics.chen_greedy import ChenGreedy
from hcp.heuristics.eviction import Eviction
from hcp.heuristics.interval_tree import IntervalTree
from hcp.heuristics.lower_sets import LowerSets
from hcp.heuristics.recompute_all import RecomputeAll
from hcp.heuristics.reorder import Reorder
from hcp.heuristics.revolve import Revolve
from hcp.heuristics.rotor import Rotor
from hcp.heuristics.sqrt_n import SqrtN
from hcp.planning.compilation import ANNEALING, STILL_COMPILING
from hcp.planning.deadline import Stop
from hcp.planning.planner import Planner
from hcp.planning.problem import (
    DEFAULT_CONTROL,
    DEFAULT_LIMITS,
    Control,
    Limits,
    Monitor,
    NotApplicable,
    Problem,
    Progress,
)
from hcp.planning.solution import Solution, Status
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import keep_everything
from hcp.solvers.cpsat import CpSat
from hcp.solvers.memetic import Evolution
from hcp.solvers.milp import Milp
from hcp.solvers.root import Root, solve_root

_Result = Callable[[], Solution]

# Those first that are mostly the best: on graphs of many thousands of nodes there is no time for all.
QUICK: Final[tuple[Planner, ...]] = (
    LowerSets(),
    Rotor(),
    Eviction(),
    ChenGreedy(),
    SqrtN(),
    Reorder(),
    IntervalTree(),
    Revolve(),
)
# Of the time that is left, for each, and for all; and while the searches, which serve better, are being compiled.
QUICK_SHARE: Final = 0.02
ALL_QUICK_SHARE: Final = 0.08
COLD_SHARE: Final = 0.2
ALL_COLD_SHARE: Final = 0.6
ROOT_SHARE: Final = 0.3
# CP-SAT is the quicker to prove; of larger models HiGHS makes more.
MOST_COLUMNS_PROVED: Final = 20_000
PROOF_SHARE: Final = 0.5
# What the memetic search gets beside the quick heuristics and the relaxation even where these take less.
LEAST_SEARCH: Final = 0.06
# Where the bound explains less of the extra cost, the relaxation misses what makes the graph hard: the memetic search
# has more use for the time than the relaxation's integer form.
LEAST_EXPLAINED: Final = 0.5
GLANCE_SHARE: Final = 0.05
# Of any turn, which has to load its solver.
LEAST_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Auto:
    """Runs its members in turn until the best schedule meets the best bound or the time is up.

    The quick heuristics and the memetic search beside them give an incumbent; conflicts prove what is small; the linear
    relaxation is solved once for both exact solvers, beside which the memetic search goes on.
    """

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Plans; who is asked to stop returns the best so far."""
        # Begins to compile what is not; the members that need none go first.
        compiled = ANNEALING.ready()
        tracker = Tracker(problem, limits, control, "auto")
        solution = tracker.run(lambda _: _Portfolio(tracker).run()())
        if compiled or tracker.done or ANNEALING.ready():
            return solution
        return replace(solution, note=f"{solution.note}; {STILL_COMPILING}".removeprefix("; "))


@dataclass
class _Portfolio:
    """The members' common state.

    Attributes:
        tracker: Best schedule and bounds.
        evolution: The memetic search, which goes on from turn to turn.
        beside: Cost of the best schedule that the search beside the others has and the tracker has not yet.
    """

    tracker: Tracker
    evolution: Evolution = field(default_factory=Evolution)
    beside: int | None = None

    def run(self) -> _Result:
        """Lets the members take their turns; returns how to make the result when all threads have ended."""
        tracker = self.tracker
        graph = tracker.problem.graph
        tracker.offer(keep_everything(graph, tracker.problem.given_order))
        if tracker.done:
            return tracker.solution
        with self.searching_beside(ALL_QUICK_SHARE + ROOT_SHARE, LEAST_SEARCH):
            result = self.quick()
            if result is not None:
                return result
            root = Root() if self.met() else solve_root(tracker, tracker.deadline.left * ROOT_SHARE)
        if root.hopeless is not None:
            return partial(tracker.infeasible, root.hopeless, root.note)
        relaxation = root.relaxation
        # A relaxation that says no more than "every node runs once" has no skeleton of a schedule either.
        if relaxation is not None and relaxation.bound.value > graph.base_cost:
            small = relaxation.cut.model.shape[1] <= MOST_COLUMNS_PROVED
            explained = self.explained() >= LEAST_EXPLAINED
            start_from = self.evolution.start_from
            exact = CpSat(relaxation, start_from) if small else Milp(relaxation=relaxation, on_lifted=start_from)
            share = PROOF_SHARE if explained else GLANCE_SHARE
            with self.searching_beside(share):
                result = self.turn(exact, share)
            if result is not None:
                return result
        return self.turn(self.evolution, 1.0) or tracker.solution

    def quick(self) -> _Result | None:
        """The heuristics that take no time worth speaking of; returns how to make the result where one ends it."""
        share, of_all = (QUICK_SHARE, ALL_QUICK_SHARE) if ANNEALING.ready() else (COLD_SHARE, ALL_COLD_SHARE)
        deadline = self.tracker.deadline.part(self.tracker.deadline.left * of_all)
        for planner in QUICK:
            if self.met() or deadline.over:
                break
            result = self.turn(planner, share)
            if result is not None:
                return result
        if self.tracker.schedule is None and self.beside is None:
            # Its schedules are far too long to be worth a look where anything else fits.
            return self.turn(RecomputeAll(), QUICK_SHARE)
        return None

    def turn(self, planner: Planner, share: float) -> _Result | None:
        """Lets one member search; returns how to make the portfolio's own result where that ends it."""
        tracker = self.tracker
        if tracker.over:
            return tracker.solution
        try:
            solution = planner(tracker.problem, self.limits(share), self.control(self.report, self.met))
        except NotApplicable:
            return None
        self.take_bounds(solution)
        if solution.status is Status.INFEASIBLE:
            return partial(tracker.infeasible, solution.bounds[-1] if solution.bounds else None, solution.note)
        tracker.offer(solution.schedule)
        return tracker.solution if tracker.deadline.stopped else None

    @contextmanager
    def searching_beside(self, share: float, least: float = 0.0) -> Iterator[None]:
        """Searches on another core while the block runs, then offers what was found; before it, where work is counted.

        Args:
            share: Of what is left, what the search may take.
            least: And what it gets even where the block ends earlier, unless it is needless.
        """
        tracker = self.tracker
        if tracker.deadline.counts_work:
            self.turn(self.evolution, share / 2)
            yield
            return
        enough = threading.Event()
        deadline = tracker.deadline.part(tracker.deadline.left * least)

        def monitor(progress: Progress) -> None:
            self.beside = progress.incumbent

        limits = replace(self.limits(share), workers=1)
        control = self.control(monitor, lambda: enough.is_set() or self.met())
        with ThreadPoolExecutor(1) as pool:
            search = pool.submit(self.evolution, tracker.problem, limits, control)
            try:
                yield
                while not tracker.done and not deadline.over and not wait([search], timeout=0.05).done:
                    tracker.report("auto: annealing")
            finally:
                enough.set()
                if search.exception() is None:
                    tracker.offer(search.result().schedule)
                    self.take_bounds(search.result())
        # Raises what the search raised.
        search.result()

    def met(self) -> bool:
        """Whether the best schedule of all meets the best bound: nobody has to go on."""
        return self.tracker.done or (self.beside is not None and self.beside <= self.tracker.bound)

    def explained(self) -> float:
        """The part of the best schedule's extra cost that the bound shows to be needed; 1 where there is none."""
        tracker = self.tracker
        base = tracker.problem.graph.base_cost
        costs = [cost for cost in (tracker.cost, self.beside) if cost is not None]
        return 1.0 if not costs or min(costs) == base else (tracker.bound - base) / (min(costs) - base)

    def take_bounds(self, solution: Solution) -> None:
        """Keeps the bounds that are new."""
        known = set(self.tracker.bounds)
        for bound in solution.bounds:
            if bound not in known:
                self.tracker.add_bound(bound)

    def report(self, progress: Progress) -> None:
        """Shows a member's progress against the best of all members."""
        tracker = self.tracker
        tracker.raise_bound(progress.bound or 0)
        costs = [cost for cost in (tracker.cost, progress.incumbent, self.beside) if cost is not None]
        tracker.control.monitor(
            replace(
                progress,
                planner=f"auto: {progress.planner}",
                seconds=tracker.deadline.seconds,
                incumbent=min(costs, default=None),
                bound=tracker.bound,
            )
        )

    def limits(self, share: float) -> Limits:
        """What a member may take: a share of what is left."""
        deadline = self.tracker.deadline
        return self.tracker.limits.part(deadline, max(LEAST_SECONDS, deadline.left * share))

    def control(self, monitor: Monitor, stop: Stop) -> Control:
        """A member starts from the best schedule, and stops when the portfolio has to."""
        deadline = self.tracker.deadline
        return Control(lambda: stop() or deadline.stopped, monitor, self.tracker.schedule)
