"""A search for graphs that are large for its limit: few long runs, on a graph with fewer nodes where there is one.

Multilevel search as for partitioning graphs (Hendrickson and Leland, "A multilevel algorithm for partitioning graphs",
1995), with contractions that keep schedules legal. On graphs of many thousands of nodes a search makes few moves a
node within its limit. So only the run configurations run that serve most graphs, each for long, and on a coarse graph
each move counts for several. Runs there start from the order and from the best schedule, gathered; what they find is
expanded and polished on the whole graph.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from hcp.annealing.rounds import Rounds, RoundsParams
from hcp.planning.compilation import ANNEALING, STILL_COMPILING
from hcp.planning.parameters import Params, Share
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem, Progress
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.solvers.coarsening.contraction import Contraction
from hcp.solvers.coarsening.merges import MergeParams, coarsened
from hcp.solvers.memetic import Evolution, MemeticParams

NAME: Final = "coarse"


def _few_long_runs() -> MemeticParams:
    """A memetic search whose first round is of two run configurations and takes a third of its time."""
    rounds = RoundsParams()
    few = rounds.runs[:2]
    return MemeticParams(
        rounds=replace(rounds, runs=few, first_share=0.3, first_seconds_per_node=1.0, first_moves_per_node=10**6)
    )


@dataclass(frozen=True)
class CoarseParams(Params):
    """Parameters of the search on a coarse graph.

    Attributes:
        most_left: Nodes are merged where that leaves at most this share of them; else the whole graph is searched.
        search_share: Share of the time for the coarse graph; the rest is for the whole graph.
        merges: Which nodes are merged.
        memetic: Parameters of the search.
    """

    most_left: Share = 0.85
    search_share: Share = 0.9
    merges: MergeParams = field(default_factory=MergeParams)
    memetic: MemeticParams = field(default_factory=_few_long_runs)


@dataclass(frozen=True)
class Coarse:
    """A memetic search of few long runs, on a coarse graph where merging pays and the order is free.

    Attributes:
        params: Tuned choices.
    """

    params: CoarseParams = field(default_factory=CoarseParams)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Searches until the limit or Ctrl-C."""
        return Tracker(problem, limits, control, NAME).run(self._planned)

    def _planned(self, tracker: Tracker) -> Solution:
        if not tracker.wait_for(ANNEALING):
            return tracker.solution(STILL_COMPILING)
        problem, evolution = tracker.problem, Evolution(params=self.params.memetic)
        contraction = self._contraction(tracker)
        if contraction is None:
            tracker.offer(self._searched(tracker, evolution, problem, 1.0, tracker.schedule))
        else:
            coarse = contraction.coarse
            if tracker.schedule is not None:
                computes = contraction.gathered(tracker.schedule.computes)
                evolution.start_from(Schedule.from_computes(coarse, computes))
            share = self.params.search_share
            found = self._searched(tracker, evolution, Problem(coarse, problem.budget), share)
            if found is not None:
                tracker.offer(Schedule.from_computes(problem.graph, contraction.expand(found.computes)))
            self._polish(tracker)
        return tracker.solution("" if tracker.schedule else f"no schedule found within {tracker.problem.budget} bytes")

    def _contraction(self, tracker: Tracker) -> Contraction | None:
        """The graph with nodes merged; None where too many are left, or the order is given."""
        problem = tracker.problem
        if problem.order is not None:
            return None
        tracker.report("merging nodes")
        contraction = coarsened(problem.graph, problem.budget, self.params.merges)
        pays = contraction.coarse.index.n <= self.params.most_left * problem.graph.index.n
        return contraction if pays else None

    def _searched(
        self,
        tracker: Tracker,
        evolution: Evolution,
        problem: Problem,
        share: float,
        incumbent: Schedule | None = None,
    ) -> Schedule | None:
        """The best schedule of a graph that stands for the tracker's, within a share of the time."""
        deadline = tracker.deadline

        def monitor(progress: Progress) -> None:
            costs = [cost for cost in (tracker.cost, progress.incumbent) if cost is not None]
            own = Progress(NAME, deadline.seconds, min(costs, default=None), tracker.bound, progress.phase)
            tracker.control.monitor(own)

        limits = tracker.limits.part(deadline, deadline.left * share)
        control = Control(lambda: deadline.stopped, monitor, incumbent)
        return evolution(problem, limits, control).schedule

    def _polish(self, tracker: Tracker) -> None:
        """One round of runs near the best schedule of the whole graph, for the rest of the limit."""
        rounds = Rounds(tracker, None, self.params.memetic.rounds)
        runs = rounds.near(tracker.schedule, self.params.memetic.near)
        if runs and not tracker.over:
            rounds.run(runs, rounds.left() / rounds.spent(1.0, len(runs)))
