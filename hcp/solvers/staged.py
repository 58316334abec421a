"""The planner ``staged``: the staged model of a fixed order solved exactly, lazily, with fixed-order bounds.

The end rows alone come first: their optimum bounds every schedule whose first executions follow the order. Where the
schedule that it stands for breaks the budget inside stages, it is annealed coolly within the order, and the stages that
break it are modelled in detail for the next round; the bounds of these rounds hold for staged schedules only
(``fixed_order/stages.py`` says which these are). The last round's optimum is that of Checkmate's program.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from hcp.annealing import EngineParams, polish
from hcp.annealing.polish import REPAIR, PolishParams
from hcp.graph.errors import HcpError
from hcp.planning.compilation import ANNEALING
from hcp.planning.deadline import Deadline
from hcp.planning.parameters import Amount, Params, Share
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.solution import Bound, Solution, meets
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.scopes import FIXED_ORDER
from hcp.solvers.certificates.stages import StageCertificate, certify_stages
from hcp.solvers.fixed_order.lift import broken_stages, lift_stages, stage_hint
from hcp.solvers.fixed_order.stages import STAGED, StageGrid, StageModel, build_stage_grid, build_stage_model, order_of
from hcp.solvers.models.cpsat import solve_with_cpsat
from hcp.solvers.models.highs import LinearProgram, LpStatus
from hcp.solvers.models.integer import IntegerBackend, IntegerResult, IntegerStatus, IntegerTask
from hcp.solvers.models.pulp import solve_with_pulp
from hcp.solvers.start import StartParams, first_incumbent

BACKENDS: Final[Mapping[str, IntegerBackend]] = {"highs": solve_with_pulp, "cpsat": solve_with_cpsat}

# Beyond so many columns R and S the linear relaxation alone takes minutes, and the integer one gigabytes.
MOST_COLUMNS: Final = 250_000
# The grid itself has about nodes times nodes and values entries.
MOST_NODES: Final = 3_000


@dataclass(frozen=True)
class StagedParams(Params):
    """Parameters of the staged search.

    Attributes:
        linear_share: Share of the remaining time for the linear relaxation. A model that needs most of it is too large
            for the integer program.
        ends_share: Share of the remaining time for the integer program with the end rows alone.
        round_share: Share of the remaining time for each later round.
        polish_share: Share of the remaining time for each anneal of a lifted schedule; 0 leaves them out.
        least_round: No round begins with fewer seconds left.
        seconds_per_row: Seconds more for each row of the model: a back end takes them to read it.
        start: Parameters of the first incumbent.
        polish: Parameters of polishing lifted schedules.
        engine: Parameters of every annealing run.
    """

    linear_share: Share = 0.9
    ends_share: Share = 0.6
    round_share: Share = 0.8
    polish_share: Share = 0.1
    least_round: Amount = 0.05
    seconds_per_row: Amount = 5e-5
    start: StartParams = field(default_factory=StartParams)
    polish: PolishParams = field(default_factory=lambda: PolishParams(coolings=(REPAIR,)))
    engine: EngineParams = field(default_factory=EngineParams)


@dataclass(frozen=True)
class Staged:
    """Finds the cheapest schedule whose first executions follow the problem's order, or else the graph's own.

    Attributes:
        backend: ``"highs"``, which proves more of these models, or ``"cpsat"``.
        params: Tuned choices.
    """

    backend: str = "highs"
    params: StagedParams = field(default_factory=StagedParams)

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise HcpError(f"unknown backend {self.backend!r}; choose one of {', '.join(BACKENDS)}")

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Plans; OPTIMAL only where it is proved for all that the problem allows, the note tells about its order."""
        tracker = Tracker(problem, limits, control, "staged")
        return tracker.run(lambda _: _Search(tracker, BACKENDS[self.backend], self.params).run())


@dataclass
class _Search:
    """One run: rounds of ever more detailed models.

    Attributes:
        best: The largest bound on the cost by scope.
    """

    tracker: Tracker
    backend: IntegerBackend
    params: StagedParams
    best: dict[str, int] = field(default_factory=dict)

    def run(self) -> Solution:
        tracker = self.tracker
        graph = tracker.problem.graph
        self.ordered = replace(tracker.problem, order=tracker.problem.given_order)
        tracker.offer(keep_everything(graph, self.ordered.order))
        if tracker.done:
            return tracker.solution()
        if self.hintable() is None:
            first_incumbent(tracker, self.ordered, self.params.start, self.params.engine)
        grid = self.lay_out()
        if grid is None:
            return tracker.solution(
                f"the staged model takes at most {MOST_NODES} nodes and {MOST_COLUMNS} columns; "
                "use 'auto' for large graphs"
            )
        staged = build_stage_model(grid, self.ordered.budget)
        ended = self.relax(staged)
        if ended is not None:
            return ended
        while not self.closed() and tracker.deadline.left > self.least_round(staged):
            result = self.solve(staged)
            if result.status is IntegerStatus.INFEASIBLE:
                return self.infeasible(_scope(staged))
            self.bound(result.bound, _scope(staged), "integer program")
            if result.point is None:
                break
            lifted = lift_stages(graph, grid, result.point)
            tracker.offer(lifted)
            broken = broken_stages(graph, lifted, self.ordered.budget) - staged.detailed
            if not broken:
                break
            self.polish(lifted)
            tracker.report(f"adding detail to {len(broken)} stages")
            staged = build_stage_model(grid, self.ordered.budget, staged.detailed | broken)
        return tracker.solution(self.verdict())

    def least_round(self, staged: StageModel) -> float:
        """What a round needs to be worth its beginning."""
        return self.params.least_round + self.params.seconds_per_row * staged.model.shape[0]

    def lay_out(self) -> StageGrid | None:
        """The grid, where it is not too large."""
        index = self.ordered.graph.index
        if index.n > MOST_NODES:
            return None
        grid = build_stage_grid(index, self.ordered.budget, order_of(self.ordered))
        return grid if grid.count <= MOST_COLUMNS else None

    def relax(self, staged: StageModel) -> Solution | None:
        """Bounds by the linear relaxation of the end rows; a solution where that ends the search."""
        self.tracker.report("linear relaxation")
        linear = LinearProgram(staged.model).solve(self._share(self.params.linear_share))
        if linear.status is LpStatus.INFEASIBLE:
            return self.infeasible(FIXED_ORDER)
        if linear.status is LpStatus.STOPPED:
            return self.tracker.solution("the linear relaxation did not finish in time")
        problem = self.ordered
        value, proof = certify_stages(problem.graph, staged, problem.budget, linear.multipliers)
        # Certificates are about the graph's own order.
        own = problem.order == problem.graph.order
        self.bound(value, FIXED_ORDER, "linear relaxation", proof if own else None)
        return None

    def bound(self, value: int, scope: str, source: str, certificate: StageCertificate | None = None) -> None:
        if value > self.best.get(scope, self.tracker.problem.graph.base_cost):
            self.best[scope] = value
            self.tracker.add_bound(Bound(value, "cost", scope, certificate, f"staged model, {source}"))

    def closed(self) -> bool:
        """Whether the incumbent meets the bound of all schedules in the order."""
        return meets(self.tracker.cost, self.best.get(FIXED_ORDER, 0))

    def hintable(self) -> Schedule | None:
        schedule = self.tracker.schedule
        return schedule if schedule is not None and schedule.follows(self.ordered.given_order) else None

    def solve(self, staged: StageModel) -> IntegerResult:
        tracker = self.tracker
        start = self.hintable()
        # What bounds every schedule in the order bounds the staged ones among them.
        known = max(self.best.values(), default=tracker.problem.graph.base_cost)
        phase = f"integer program, {len(staged.detailed)} of {len(staged.grid.order)} stages in detail"
        tracker.report(phase)
        return self.backend(
            IntegerTask(
                model=staged.model,
                hint={} if start is None else stage_hint(tracker.problem.graph, staged, start),
                bound=known,
                deadline=self._share(self.params.round_share if staged.detailed else self.params.ends_share),
                workers=tracker.limits.workers,
                seed=tracker.limits.seed,
                poll=lambda: tracker.report(phase),
            )
        )

    def polish(self, lifted: Schedule) -> None:
        """Cool anneals within the order that make a lifted schedule fit."""
        params = self.params
        if not params.polish_share or not self.tracker.wait_for(ANNEALING):
            return
        for attempt, cooling in enumerate(params.polish.coolings):
            self.tracker.report("polishing the lifted schedule")
            found = polish(
                self.ordered,
                lifted,
                cooling=cooling,
                moves=params.polish.moves,
                seed=self.tracker.limits.seed + attempt,
                deadline=self._share(params.polish_share),
                params=params.engine,
            )
            self.tracker.offer(found)

    def _share(self, share: float) -> Deadline:
        """Of what is left."""
        return self.tracker.deadline.part(self.tracker.deadline.left * share)

    def infeasible(self, scope: str) -> Solution:
        """Proved for the given order only, and maybe for staged schedules only."""
        note = f"the staged model shows that no schedule ({scope}) stays within {self.ordered.budget} bytes"
        if scope == FIXED_ORDER and self.tracker.problem.order is not None and self.tracker.schedule is None:
            return self.tracker.infeasible(None, note)
        return self.tracker.solution(note)

    def verdict(self) -> str:
        """What is proved about the incumbent, where it is more than its status says."""
        for scope in (FIXED_ORDER, STAGED):
            if meets(self.tracker.cost, self.best.get(scope, 0)):
                return f"no schedule ({scope}) in the given order costs less"
        return ""


def _scope(staged: StageModel) -> str:
    return STAGED if staged.detailed else FIXED_ORDER
