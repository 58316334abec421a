"""From points of a cut relaxation to schedules within the budget, and to more stages where that fails."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hcp.annealing import EngineParams, polish
from hcp.annealing.polish import PolishParams
from hcp.planning.compilation import ANNEALING
from hcp.planning.deadline import Deadline
from hcp.planning.parameters import Count, Params, Share
from hcp.planning.problem import ignore
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.solvers.cut_relaxation.chains import finer_chain
from hcp.solvers.cut_relaxation.cuts import CutModel
from hcp.solvers.cut_relaxation.lift import lift
from hcp.solvers.cut_relaxation.relaxation import DEFAULT_RELAXATION, Relaxation, RelaxationParams, Relaxer
from hcp.solvers.models.rows import FloatArray

OnLifted = Callable[[Schedule], None]


@dataclass(frozen=True)
class LiftingParams(Params):
    """Parameters of lifted schedules.

    Attributes:
        refine_share: Of the time that is left, for the linear form with more stages; 0 leaves it out.
        added_stages: Stages added where a lifted schedule breaks the budget; 0 adds none.
        polish: Of the anneals that make them fit.
        engine: Of every annealing run.
    """

    refine_share: Share = 0.3
    added_stages: Count = 12
    polish: PolishParams = field(default_factory=PolishParams)
    engine: EngineParams = field(default_factory=EngineParams)


@dataclass(frozen=True)
class Lifter:
    """Lifts points for a search.

    Attributes:
        tracker: Of the search; it gets the schedules.
        deadline: Of polishing and refining.
        params: Tuned choices.
        relaxation: Of relaxations with more stages.
        on_lifted: Called with lifted schedules, which may break the budget, before they are polished.
    """

    tracker: Tracker
    deadline: Deadline
    params: LiftingParams
    relaxation: RelaxationParams = DEFAULT_RELAXATION
    on_lifted: OnLifted = ignore

    def lifted(self, form: CutModel, point: FloatArray) -> Schedule:
        """The schedule of a whole point, which may break the budget; the tracker gets it and what polishing makes."""
        lifted = lift(self.tracker.problem.graph, form, point)
        self.tracker.offer(lifted)
        self.on_lifted(lifted)
        self.polish(lifted)
        return lifted

    def polish(self, lifted: Schedule) -> None:
        """Cool anneals of a lifted schedule that does not fit the budget or meet the bound."""
        tracker, params = self.tracker, self.params
        for attempt, cooling in enumerate(params.polish.coolings):
            if not ANNEALING.wait(self.deadline) or tracker.done or self.deadline.over:
                return
            tracker.report("polishing the lifted schedule")
            found = polish(
                tracker.problem,
                lifted,
                cooling=cooling,
                moves=params.polish.moves,
                seed=tracker.limits.seed + attempt,
                deadline=self.deadline,
                params=params.engine,
            )
            tracker.offer(found)

    def finer(self, form: CutModel, lifted: Schedule) -> Relaxation | None:
        """The relaxation with stages where a lifted optimum breaks the budget, if there are some, and time for it."""
        problem, share = self.tracker.problem, self.params.refine_share
        chain = finer_chain(problem, form.chain, lifted, self.params.added_stages) if share else None
        if chain is None:
            return None
        deadline = self.deadline.part(self.deadline.left * share)
        return Relaxer(problem.graph, problem.budget, deadline, self.relaxation).solve_chain(chain)
