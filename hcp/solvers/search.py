"""Bound, lift, polish: the search that the exact planners share.

The linear relaxation gives a certified bound. Its integer program gives a better one and a point that is lifted to a
schedule, which is annealed at low temperature until it fits the budget. Where a proved optimum lifts to a schedule over
the budget, stages are added where that breaks it, and the integer program is solved again.
"""

from collections import deque
from dataclasses import dataclass
from functools import cached_property

from hcp.planning.parameters import Share
from hcp.planning.problem import ignore
from hcp.planning.solution import Bound, Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.cut_relaxation.lift import hint, lift
from hcp.solvers.cut_relaxation.relaxation import Relaxation, infeasibility_note
from hcp.solvers.exact import ExactParams, begin
from hcp.solvers.lifting import Lifter, OnLifted
from hcp.solvers.models.integer import IntegerBackend, IntegerStatus, IntegerTask
from hcp.solvers.models.rows import FloatArray
from hcp.solvers.prover import Prover


@dataclass(frozen=True)
class SearchParams(ExactParams):
    """Parameters of the exact search by the cut relaxation's integer program.

    Attributes:
        integer_share: Share of the remaining time for the integer program.
        proof_share: Share of the remaining time, and of the time that has passed, for the proof of what the solver
            claims; 0 leaves it out.
    """

    integer_share: Share = 0.8
    proof_share: Share = 0.5


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

    @cached_property
    def lifter(self) -> Lifter:
        """Of the search's points."""
        params = self.params
        return Lifter(self.tracker, self.tracker.deadline, params.lifting, params.root.relaxation, self.on_lifted)

    def run(self, relaxation: Relaxation | None) -> Solution:
        begun = begin(self.tracker, self.params, relaxation)
        return begun if isinstance(begun, Solution) else self.integer_programs(begun)

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
            lifted = self.lifter.lifted(form, result.point)
            refined = None
            # More stages help where an optimum was lifted and broke the budget.
            if result.status is IntegerStatus.OPTIMAL and not tracker.done:
                refined = self.lifter.finer(form, lifted)
            if refined is None:
                break
            if refined.bound.of == "peak":
                return tracker.infeasible(refined.bound, infeasibility_note(refined.bound))
            tracker.add_bound(refined.bound)
            relaxation = refined
        return self.certified(relaxation)

    def certified(self, relaxation: Relaxation) -> Solution:
        """The result, with a certificate in place of the solver's word if a tree finds one in time."""
        tracker, share = self.tracker, self.params.proof_share
        deadline = tracker.deadline.part(min(tracker.deadline.left * share, tracker.deadline.passed))
        if tracker.certified or not share:
            return tracker.solution()
        proof = Prover(relaxation, self.params.tree).prove(self.lifter, deadline)
        return tracker.solution() if proof is None else tracker.infeasible(proof, infeasibility_note(proof))

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
