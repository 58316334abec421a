"""Bound, lift, polish: the search that the exact planners share.

The linear relaxation gives a certified bound. Its integer program gives a better one and a point that is lifted to a
schedule, which is annealed at low temperature until it fits the budget. Where a proved optimum lifts to a schedule over
the budget, stages are added where that breaks it, and the integer program is solved again.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hcp.annealing import EngineParams, polish
from hcp.annealing.polish import PolishParams
from hcp.graph.index import GraphIndex
from hcp.planning.compilation import ANNEALING
from hcp.planning.parameters import Count, Params, Share
from hcp.planning.problem import Problem, ignore
from hcp.planning.solution import Bound, Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.cut_relaxation.chains import longest_path
from hcp.solvers.cut_relaxation.cuts import CutModel
from hcp.solvers.cut_relaxation.lift import hint, lift
from hcp.solvers.cut_relaxation.relaxation import Relaxation, Relaxer, infeasibility_note
from hcp.solvers.models.integer import IntegerBackend, IntegerResult, IntegerStatus, IntegerTask
from hcp.solvers.models.rows import FloatArray
from hcp.solvers.root import RootParams, solve_root
from hcp.solvers.start import StartParams, first_incumbent

OnLifted = Callable[[Schedule], None]


@dataclass(frozen=True)
class SearchParams(Params):
    """Parameters of the exact search by the cut relaxation.

    Attributes:
        root_share: Share of the remaining time for the first bounds.
        integer_share: Share of the remaining time for the integer program.
        refine_share: Share of the remaining time for the linear relaxation with more stages; 0 leaves it out.
        added_stages: Stages added where a lifted schedule breaks the budget; 0 adds none.
        root: Parameters of the first bounds.
        start: Parameters of the first incumbent.
        polish: Parameters of polishing lifted schedules.
        engine: Parameters of every annealing run.
    """

    root_share: Share = 0.3
    integer_share: Share = 0.8
    refine_share: Share = 0.3
    added_stages: Count = 12
    root: RootParams = field(default_factory=RootParams)
    start: StartParams = field(default_factory=StartParams)
    polish: PolishParams = field(default_factory=PolishParams)
    engine: EngineParams = field(default_factory=EngineParams)


def search(
    tracker: Tracker,
    backend: IntegerBackend,
    params: SearchParams,
    relaxation: Relaxation | None = None,
    on_lifted: OnLifted = ignore,
) -> Solution:
    """Plans by the cut relaxation with a given solver for its integer program.

    Args:
        tracker: Of the search, which begins now.
        backend: Solves integer programs.
        params: Tuned choices.
        relaxation: The linear relaxation, where it is solved already.
        on_lifted: Called with lifted schedules, which may break the budget, before they are polished.
    """
    return tracker.run(lambda _: _Search(tracker, backend, params, on_lifted).run(relaxation))


@dataclass(frozen=True)
class _Search:
    """One search; the attributes are the arguments of ``search``."""

    tracker: Tracker
    backend: IntegerBackend
    params: SearchParams
    on_lifted: OnLifted

    def run(self, relaxation: Relaxation | None) -> Solution:
        tracker, problem = self.tracker, self.tracker.problem
        tracker.offer(keep_everything(problem.graph, problem.given_order))
        if tracker.done:
            return tracker.solution()
        if relaxation is None:
            root = solve_root(tracker, tracker.deadline.left * self.params.root_share, self.params.root)
            if root.infeasibility is not None:
                return tracker.infeasible(root.infeasibility, root.note)
            relaxation = root.relaxation
        else:
            tracker.add_bound(relaxation.bound)
        if tracker.schedule is None:
            first_incumbent(tracker, problem, self.params.start, self.params.engine)
        if relaxation is None:
            return tracker.solution("" if tracker.done else "the linear relaxation did not finish")
        return self.integer_programs(relaxation)

    def integer_programs(self, relaxation: Relaxation) -> Solution:
        """Solves integer programs with more and more stages."""
        tracker = self.tracker
        while not tracker.over:
            form = relaxation.form
            tracker.report(f"integer program, {len(form.chain)} stages")
            result = self.backend(self.task(relaxation))
            tracker.add_bound(Bound(result.bound, "cost", ORDER_FREE, None, f"{tracker.planner}, cut relaxation"))
            if result.status is IntegerStatus.INFEASIBLE:
                return tracker.infeasible(None, f"{tracker.planner} found the cut relaxation infeasible")
            if result.point is None:
                break
            lifted = lift(tracker.problem.graph, form, result.point)
            tracker.offer(lifted)
            self.on_lifted(lifted)
            self.polish(lifted)
            finer = self.finer_chain(form, lifted, result)
            refined = None if finer is None else self.relaxed(finer)
            if refined is None:
                break
            if refined.bound.of == "peak":
                return tracker.infeasible(refined.bound, infeasibility_note(refined.bound))
            tracker.add_bound(refined.bound)
            relaxation = refined
        return tracker.solution()

    def relaxed(self, chain: tuple[int, ...]) -> Relaxation | None:
        """The linear relaxation with the stages of a chain."""
        deadline = self.tracker.deadline.part(self.tracker.deadline.left * self.params.refine_share)
        problem = self.tracker.problem
        return Relaxer(problem.graph, problem.budget, deadline, self.params.root.relaxation).solve_chain(chain)

    def task(self, relaxation: Relaxation) -> IntegerTask:
        """The integer program, as its solver takes it."""
        tracker, form = self.tracker, relaxation.form
        graph = tracker.problem.graph
        newest: deque[FloatArray] = deque(maxlen=1)

        def poll() -> None:
            tracker.report(f"integer program, {len(form.chain)} stages")
            if newest:
                point = newest.pop()
                if tracker.cost is None or form.model.value(point) < tracker.cost:
                    self.on_lifted(lift(graph, form, point))

        return IntegerTask(
            model=form.model,
            hint={} if tracker.schedule is None else hint(graph, form, tracker.schedule),
            # Its own bound: better ones, of conflicts or other chains, may exceed the optimum of this relaxation.
            bound=relaxation.bound.value,
            deadline=tracker.deadline.part(tracker.deadline.left * self.params.integer_share),
            workers=tracker.limits.workers,
            seed=tracker.limits.seed,
            on_bound=tracker.raise_bound,
            on_point=ignore if self.on_lifted is ignore else newest.append,
            poll=poll,
        )

    def polish(self, lifted: Schedule) -> None:
        """Cool anneals of a lifted schedule that does not fit the budget or meet the bound."""
        tracker, params = self.tracker, self.params
        for attempt, cooling in enumerate(params.polish.coolings):
            if not tracker.wait_for(ANNEALING) or tracker.over:
                return
            tracker.report("polishing the lifted schedule")
            found = polish(
                tracker.problem,
                lifted,
                cooling=cooling,
                moves=params.polish.moves,
                seed=tracker.limits.seed + attempt,
                deadline=tracker.deadline,
                params=params.engine,
            )
            tracker.offer(found)

    def finer_chain(self, form: CutModel, lifted: Schedule, result: IntegerResult) -> tuple[int, ...] | None:
        """A longer chain with stages where a lifted optimum breaks the budget; None where that cannot help."""
        if result.status is not IntegerStatus.OPTIMAL or not self.params.refine_share:
            return None
        index, most = self.tracker.problem.graph.index, self.params.added_stages
        spare = set(longest_path(index)) - set(form.chain)
        excess = _excess_at_first(index, self.tracker.problem, lifted)
        wanted = sorted((v for v in spare if excess[v] > 0), key=lambda v: -excess[v])[:most]
        if not wanted:
            # The budget breaks where no chain node can stand, or first executions are fine: spread the new stages.
            wanted = sorted(spare, key=lambda v: -excess[v])[:most]
        if not wanted:
            return None
        depth = {v: bin(index.ancestors[v]).count("1") for v in (*form.chain, *wanted)}
        return tuple(sorted((*form.chain, *wanted), key=depth.__getitem__))


def _excess_at_first(index: GraphIndex, problem: Problem, schedule: Schedule) -> np.ndarray:
    """Per node: bytes over the budget, at worst, since the node before it on the schedule first executed."""
    excess = np.zeros(index.n, np.int64)
    seen: set[int] = set()
    worst = 0
    for name, held in zip(schedule.computes, replay(problem.graph, schedule).profile, strict=True):
        worst = max(worst, held - problem.budget)
        node = index.node_of[name]
        if node not in seen:
            seen.add(node)
            excess[node] = worst
            worst = 0
    return excess
