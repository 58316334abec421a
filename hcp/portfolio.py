"""The planner ``auto``: heuristics and the exact search in turn, and the memetic search in parallel."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from hcp.heuristic_portfolio import QUICK
from hcp.heuristics.interval_tree import IntervalTree
from hcp.heuristics.mixed import Mixed
from hcp.heuristics.recompute_all import RecomputeAll
from hcp.heuristics.reorder import Reorder
from hcp.heuristics.revolve import Revolve
from hcp.planning.compilation import ANNEALING, STILL_COMPILING
from hcp.planning.deadline import MOST_STARVED, Stop
from hcp.planning.parameters import Amount, Count, Params, Positive, Share
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
from hcp.solvers.coarse import Coarse, CoarseParams
from hcp.solvers.cpsat import CpSat
from hcp.solvers.cut_relaxation.relaxation import Relaxation
from hcp.solvers.memetic import Evolution, MemeticParams
from hcp.solvers.milp import Milp
from hcp.solvers.proof import Proof
from hcp.solvers.prover import Prover
from hcp.solvers.repetition.search import LayerParams, LayerSearch
from hcp.solvers.root import Root, first_bound, solve_root
from hcp.solvers.search import SearchParams

_Result = Callable[[], Solution]


@dataclass(frozen=True)
class AutoParams(Params):
    """Parameters of the portfolio.

    Attributes:
        quick_share: Share of the remaining time for each quick heuristic; 0 leaves them out.
        all_quick_share: Share of the remaining time for all of them.
        first_share: In place of quick_share until a schedule has been found, which takes long on large graphs.
        all_first_share: In place of all_quick_share until then.
        first_bound_share: Share of the remaining time for the first bound, which comes after the first quick heuristic.
        compiling_share: In place of quick_share while the compiled searches are not ready.
        all_compiling_share: In place of all_quick_share while they are not.
        coarse_from: Nodes per second of the limit from which a graph is large for it: the memetic search then makes few
            runs and long ones, as that on the coarse graph does.
        coarse_share: Share of the remaining time, for such a graph, for the search on a coarse one; 0 leaves it out.
        tree_share: Share of the remaining time for the tree of relaxations, which proves in integers; 0 leaves it out.
        proof_share: Share of the time that remains then for the solver of integer programs; 0 leaves it out.
        last_tree_share: Share of the time that remains then for the tree again; 0 leaves that out.
        least_explained: Least share of the incumbent's extra cost that the bound has to account for. Where it is less,
            the relaxation is weak on this graph, and the memetic search gets most of the exact searches' time.
        weak_share: At most, of any exact search, where the relaxation is weak; 0 leaves them out there.
        most_columns_proved: Models with at most this many columns are solved by CP-SAT, which proves small ones sooner;
            larger ones by HiGHS.
        least_search: Share of the remaining time that the memetic search gets in parallel with the quick heuristics and
            the relaxation, even where these take less.
        least_seconds: Least seconds of a turn, since it has to load its solver.
        layers: Parameters of the search of few of many equal layers.
        coarse: Parameters of the search on a coarse graph.
        memetic: Parameters of the memetic search.
        search: Parameters of the first bounds, whose share of the time is its root_share, and of the exact search,
            which needs them: a root_share of 0 leaves out both.
    """

    quick_share: Share = 0.02
    all_quick_share: Share = 0.08
    first_share: Share = 0.1
    all_first_share: Share = 0.3
    first_bound_share: Share = 0.1
    compiling_share: Share = 0.2
    all_compiling_share: Share = 0.6
    coarse_from: Amount = 60
    coarse_share: Share = 0.5
    tree_share: Share = 0.3
    proof_share: Share = 0.3
    last_tree_share: Share = 0.5
    least_explained: Share = 0.5
    weak_share: Share = 0.05
    most_columns_proved: Count = 20_000
    least_search: Share = 0.06
    least_seconds: Positive = 0.1
    layers: LayerParams = field(default_factory=LayerParams)
    coarse: CoarseParams = field(default_factory=CoarseParams)
    memetic: MemeticParams = field(default_factory=MemeticParams)
    search: SearchParams = field(default_factory=SearchParams)


@dataclass(frozen=True)
class Auto:
    """Runs its members in turn until the best schedule meets the best bound or the time is up.

    The quick heuristics and, in parallel, the memetic search give an incumbent; where a graph has many equal layers,
    that begins with plans of few of them. Conflicts bound small graphs. The linear relaxation is solved once for both
    exact solvers, and the memetic search goes on in parallel with them.

    Attributes:
        params: Tuned choices, with those of the members.
    """

    params: AutoParams = field(default_factory=AutoParams)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Plans; who is asked to stop returns the best so far."""
        # Begins to compile what is not; the members that need none go first.
        compiled = ANNEALING.ready()
        tracker = Tracker(problem, limits, control, "auto")
        solution = tracker.run(lambda _: _Portfolio(tracker, self.params).run()())
        if compiled or tracker.done or ANNEALING.ready():
            return solution
        return replace(solution, note=f"{solution.note}; {STILL_COMPILING}".removeprefix("; "))


@dataclass
class _Portfolio:
    """The members' common state.

    Attributes:
        tracker: Best schedule and bounds.
        params: Tuned choices.
        large: Whether the graph is large for the limit, so that runs have to be few and long.
        evolution: The memetic search, which goes on from turn to turn.
        layers: The same after a search of few layers, where the graph has many equal ones.
        background_cost: Cost of the best schedule that the parallel search has found and the tracker does not have yet.
    """

    tracker: Tracker
    params: AutoParams
    large: bool = field(init=False)
    evolution: Evolution = field(init=False)
    layers: LayerSearch = field(init=False)
    background_cost: int | None = None

    def __post_init__(self) -> None:
        tracker, params = self.tracker, self.params
        self.large = tracker.problem.graph.index.n >= params.coarse_from * tracker.deadline.left
        self.evolution = Evolution(params=params.coarse.memetic if self.large else params.memetic)
        self.layers = LayerSearch(self.evolution, tracker.deadline.left, params.layers)

    def run(self) -> _Result:
        """Lets the members take their turns; returns how to make the result when all threads have ended."""
        tracker, params = self.tracker, self.params
        graph = tracker.problem.graph
        tracker.offer(keep_everything(graph, tracker.problem.given_order))
        if tracker.done:
            return tracker.solution
        share = min(1.0, params.all_quick_share + params.search.root_share)
        with self.searching_in_parallel(share, params.least_search):
            result = self.quick()
            if result is not None:
                return result
            root = self.root()
        if root.infeasibility is not None:
            return partial(tracker.infeasible, root.infeasibility, root.note)
        result = self.coarse()
        if result is not None:
            return result
        # A relaxation that says no more than "every node runs once" has no skeleton of a schedule either.
        if root.relaxation is not None and root.relaxation.bound.value > graph.base_cost:
            result = self.exact(root.relaxation)
            if result is not None:
                return result
        return self.turn(self.layers, 1.0) or tracker.solution

    def quick(self) -> _Result | None:
        """The heuristics that take no time worth speaking of; returns how to make the result where one ends it."""
        deadline = self.tracker.deadline
        begun, left = deadline.passed, deadline.left
        for position, planner in enumerate(QUICK):
            if position == 1:
                self.first_bound()
            share, of_all = self.quick_shares()
            if self.met() or deadline.passed - begun > left * of_all:
                break
            result = self.turn(planner, share)
            if result is not None:
                return result
        # Where time was short for all of them, the one that finds most often, those for chains, and one whose schedules
        # are far too long to be worth a look where anything else fits.
        for planner in (Reorder(), Mixed(), Revolve(), IntervalTree(), RecomputeAll()):
            result = None if self.found else self.turn(planner, self.params.first_share)
            if result is not None:
                return result
        return None

    @property
    def found(self) -> bool:
        """Whether any member has a schedule."""
        return self.tracker.schedule is not None or self.background_cost is not None

    def quick_shares(self) -> tuple[float, float]:
        """Of the time that is left, for a quick heuristic and for all of them."""
        params = self.params
        if not ANNEALING.ready():
            return params.compiling_share, params.all_compiling_share
        if not self.found:
            return params.first_share, params.all_first_share
        return params.quick_share, params.all_quick_share

    def first_bound(self) -> None:
        """A bound before anything that may take long, so that there always is one."""
        params = self.params
        if params.search.root_share and params.first_bound_share and not self.met():
            first_bound(self.tracker, self.tracker.deadline.left * params.first_bound_share, params.search.root)

    def root(self) -> Root:
        """The first bounds, unless they are needless."""
        params = self.params.search
        if not params.root_share or self.met():
            return Root()
        return solve_root(self.tracker, self.tracker.deadline.left * params.root_share, params.root)

    def coarse(self) -> _Result | None:
        """The search on a coarse graph, where the graph is large for the limit."""
        if self.met() or not self.large or self.layers.repeats:
            return None
        return self.turn(Coarse(self.params.coarse), self.params.coarse_share)

    def exact(self, relaxation: Relaxation) -> _Result | None:
        """The exact searches, one after the other; returns how to make the result where one ends it."""
        search, params = self.params.search, self.params
        prover = Prover(relaxation, search.tree)
        proof = Proof(prover, self.evolution.start_from, search)
        result = self.exact_turn(proof, params.tree_share)
        if result is None and not self.met():
            result = self.exact_turn(self.solver(relaxation), params.proof_share)
        if result is None and not self.met() and prover.waits:
            result = self.exact_turn(proof, params.last_tree_share)
        return result

    def exact_turn(self, planner: Planner, share: float) -> _Result | None:
        """The turn of an exact search, a short one where the relaxation is weak."""
        share = share if self.explained() >= self.params.least_explained else min(share, self.params.weak_share)
        if not share:
            return None
        with self.searching_in_parallel(share):
            return self.turn(planner, share)

    def solver(self, relaxation: Relaxation) -> Planner:
        """The solver of the relaxation's integer program."""
        search, on_lifted = self.params.search, self.evolution.start_from
        if relaxation.form.model.shape[1] <= self.params.most_columns_proved:
            return CpSat(relaxation, on_lifted, search)
        return Milp(relaxation=relaxation, on_lifted=on_lifted, params=search)

    def turn(self, planner: Planner, share: float) -> _Result | None:
        """Lets one member search; returns how to make the portfolio's own result where that ends it."""
        tracker = self.tracker
        if tracker.over:
            return tracker.solution
        if not share:
            return None
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
    def searching_in_parallel(self, share: float, least: float = 0.0) -> Iterator[None]:
        """Searches on another core while the block runs, then offers what was found; before it, where work is counted.

        Args:
            share: Of what is left, what the search may take.
            least: And what it gets even where the block ends earlier, unless it is needless.
        """
        tracker = self.tracker
        if tracker.deadline.counts_work:
            self.turn(self.layers, share / 2)
            yield
            return
        enough = threading.Event()
        deadline = tracker.deadline.part(tracker.deadline.left * least)

        def monitor(progress: Progress) -> None:
            self.background_cost = progress.incumbent

        # On a busy machine the block's own share may end so much later on the clock.
        limits = replace(self.limits(min(1.0, MOST_STARVED * share)), workers=1)
        control = self.control(monitor, lambda: enough.is_set() or self.met())
        with ThreadPoolExecutor(1) as pool:
            search = pool.submit(self.layers, tracker.problem, limits, control)
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
        """Whether the best schedule of all meets the best bound, which ends the search."""
        return self.tracker.done or (self.background_cost is not None and self.background_cost <= self.tracker.bound)

    def explained(self) -> float:
        """The part of the best schedule's extra cost that the bound shows to be needed; 1 where there is none."""
        tracker = self.tracker
        base = tracker.problem.graph.base_cost
        costs = [cost for cost in (tracker.cost, self.background_cost) if cost is not None]
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
        costs = [cost for cost in (tracker.cost, progress.incumbent, self.background_cost) if cost is not None]
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
        return self.tracker.limits.part(deadline, max(self.params.least_seconds, deadline.left * share))

    def control(self, monitor: Monitor, stop: Stop) -> Control:
        """A member starts from the best schedule, and stops when the portfolio has to."""
        deadline = self.tracker.deadline
        return Control(lambda: stop() or deadline.stopped, monitor, self.tracker.schedule)
