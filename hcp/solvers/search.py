"""Bound, lift, polish: the road that the exact planners share.

The linear relaxation gives a certified bound; its integer form gives a better one and the skeleton of a schedule; the
lifted schedule is annealed coolly until it fits the budget. Where a proved optimum of the integer form does not lift,
stages are added where the lifted schedule breaks the budget, and the integer form is solved again.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from hcp.annealing import CHAINS, polish
from hcp.annealing.polish import LAX, NEARBY
from hcp.graph.index import GraphIndex
from hcp.planning.compilation import ANNEALING
from hcp.planning.problem import Problem, ignore
from hcp.planning.solution import Bound, Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.cut_relaxation.chains import longest_path
from hcp.solvers.cut_relaxation.lift import hint, lift
from hcp.solvers.cut_relaxation.model import CutModel
from hcp.solvers.cut_relaxation.relaxation import Relaxation, Relaxer, infeasibility_note
from hcp.solvers.models.integer import IntegerBackend, IntegerResult, IntegerStatus, IntegerTask
from hcp.solvers.models.rows import FloatArray
from hcp.solvers.root import solve_root
from hcp.solvers.start import first_incumbent

# Of a lifted schedule, one after the other: the last keeps closest to it.
POLISHES: Final = (LAX, replace(LAX, mix=CHAINS), NEARBY)

# Shares of the time that is left: the first bounds, the integer form, the
# linear form with more stages.
ROOT_SHARE: Final = 0.3
INTEGER_SHARE: Final = 0.8
REFINE_SHARE: Final = 0.3

# Stages added where a lifted schedule breaks the budget.
ADDED_STAGES: Final = 12


OnLifted = Callable[[Schedule], None]


def search(
    tracker: Tracker,
    backend: IntegerBackend,
    relaxation: Relaxation | None = None,
    on_lifted: OnLifted = ignore,
) -> Solution:
    """Plans by the cut relaxation with a given solver for its integer form.

    Args:
        tracker: Of the search, which begins now.
        backend: Solves integer forms.
        relaxation: The linear relaxation, where it is solved already.
        on_lifted: Called with lifted schedules, which may break the budget, before they are polished.
    """
    return tracker.run(lambda _: _search(tracker, backend, relaxation, on_lifted))


def _search(tracker: Tracker, backend: IntegerBackend, relaxation: Relaxation | None, on_lifted: OnLifted) -> Solution:
    problem, deadline = tracker.problem, tracker.deadline
    graph = problem.graph
    tracker.offer(keep_everything(graph, problem.given_order))
    if tracker.done:
        return tracker.solution()
    if relaxation is None:
        root = solve_root(tracker, deadline.left * ROOT_SHARE)
        if root.hopeless is not None:
            return tracker.infeasible(root.hopeless, root.note)
        if root.relaxation is None:
            return tracker.solution("" if tracker.done else "the linear relaxation did not finish")
        relaxation = root.relaxation
    else:
        tracker.add_bound(relaxation.bound)
    if tracker.schedule is None:
        first_incumbent(tracker, problem)

    while not tracker.over:
        cut = relaxation.cut
        tracker.report(f"integer form, {len(cut.chain)} stages")
        result = backend(_task(tracker, relaxation, on_lifted))
        tracker.add_bound(Bound(result.bound, "cost", ORDER_FREE, None, f"{tracker.planner}, cut relaxation"))
        if result.status is IntegerStatus.INFEASIBLE:
            return tracker.infeasible(None, f"{tracker.planner} found the cut relaxation infeasible")
        if result.point is None:
            break
        lifted = lift(graph, cut, result.point)
        tracker.offer(lifted)
        on_lifted(lifted)
        _polish(tracker, lifted)
        finer = _refined(tracker, cut, lifted, result)
        relaxer = Relaxer(graph, problem.budget, deadline.part(deadline.left * REFINE_SHARE))
        refined = None if finer is None else relaxer.of(finer)
        if refined is None:
            break
        if refined.bound.of == "peak":
            return tracker.infeasible(refined.bound, infeasibility_note(refined.bound))
        tracker.add_bound(refined.bound)
        relaxation = refined
    return tracker.solution()


def _task(tracker: Tracker, relaxation: Relaxation, on_lifted: OnLifted) -> IntegerTask:
    problem, cut = tracker.problem, relaxation.cut
    newest: deque[FloatArray] = deque(maxlen=1)

    def poll() -> None:
        tracker.report(f"integer form, {len(cut.chain)} stages")
        if newest:
            point = newest.pop()
            if tracker.cost is None or cut.model.value(point) < tracker.cost:
                on_lifted(lift(problem.graph, cut, point))

    return IntegerTask(
        model=cut.model,
        hint={} if tracker.schedule is None else hint(problem.graph, cut, tracker.schedule),
        # Its own bound: better ones, of conflicts or other chains, may exceed the optimum of this relaxation.
        bound=relaxation.bound.value,
        deadline=tracker.deadline.part(tracker.deadline.left * INTEGER_SHARE),
        workers=tracker.limits.workers,
        seed=tracker.limits.seed,
        on_bound=tracker.raise_bound,
        on_point=ignore if on_lifted is ignore else newest.append,
        poll=poll,
    )


def _polish(tracker: Tracker, lifted: Schedule) -> None:
    """Cool anneals of a lifted schedule that does not fit the budget or meet the bound."""
    for attempt, cooling in enumerate(POLISHES):
        if not tracker.wait_for(ANNEALING) or tracker.over:
            return
        tracker.report("polishing the lifted schedule")
        seed = tracker.limits.seed + attempt
        tracker.offer(polish(tracker.problem, lifted, cooling=cooling, seed=seed, deadline=tracker.deadline))


def _refined(tracker: Tracker, cut: CutModel, lifted: Schedule, result: IntegerResult) -> tuple[int, ...] | None:
    """A longer chain with stages where a lifted optimum breaks the budget; None where that cannot help."""
    if result.status is not IntegerStatus.OPTIMAL:
        return None
    index = tracker.problem.graph.index
    spare = set(longest_path(index)) - set(cut.chain)
    excess = _excess_at_first(index, tracker.problem, lifted)
    wanted = sorted((v for v in spare if excess[v] > 0), key=lambda v: -excess[v])[:ADDED_STAGES]
    if not wanted:
        # The budget breaks where no chain node can stand, or first executions are fine: spread the new stages.
        wanted = sorted(spare, key=lambda v: -excess[v])[:ADDED_STAGES]
    if not wanted:
        return None
    depth = {v: bin(index.ancestors[v]).count("1") for v in (*cut.chain, *wanted)}
    return tuple(sorted((*cut.chain, *wanted), key=depth.__getitem__))


def _excess_at_first(index: GraphIndex, problem: Problem, schedule: Schedule) -> np.ndarray:
    """Per node: bytes over the budget, at worst, since the node before it on the schedule first executed."""
    rank = {name: i for i, name in enumerate(index.node_names)}
    excess = np.zeros(index.n, np.int64)
    seen: set[int] = set()
    worst = 0
    for name, held in zip(schedule.computes, replay(problem.graph, schedule).profile, strict=True):
        worst = max(worst, held - problem.budget)
        node = rank[name]
        if node not in seen:
            seen.add(node)
            excess[node] = worst
            worst = 0
    return excess
