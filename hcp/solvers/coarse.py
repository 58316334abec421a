"""A search on a graph with fewer nodes: nodes that lose little together are merged, and the schedule is expanded.

Multilevel search as for partitioning graphs (Hendrickson and Leland, "A multilevel algorithm for partitioning graphs",
1995), with contractions that keep schedules legal. On graphs of many thousands of nodes a search makes few moves a
node within its limit; here the nodes are fewer, and each move counts for several. Where it ends, the schedule is
expanded and polished on the whole graph.
"""

from dataclasses import dataclass, field
from typing import Final

from hcp.annealing.rounds import Rounds
from hcp.planning.compilation import ANNEALING, STILL_COMPILING
from hcp.planning.parameters import Params, Share
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, NotApplicable, Problem, Progress
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.solvers.coarsening.contraction import Contraction
from hcp.solvers.coarsening.merges import MergeParams, coarsened
from hcp.solvers.memetic import Memetic, MemeticParams

NAME: Final = "coarse"


@dataclass(frozen=True)
class CoarseParams(Params):
    """Parameters of the search on a coarse graph.

    Attributes:
        most_left: The search is made where merging leaves at most this share of the nodes.
        search_share: Share of the time for the coarse graph; the rest is for the whole graph.
        merges: Which nodes are merged.
        memetic: Parameters of the search.
    """

    most_left: Share = 0.85
    search_share: Share = 0.85
    merges: MergeParams = field(default_factory=MergeParams)
    memetic: MemeticParams = field(default_factory=MemeticParams)


@dataclass(frozen=True)
class Coarse:
    """A memetic search on a coarse graph, whose best schedule is expanded and polished.

    Attributes:
        params: Tuned choices.
    """

    params: CoarseParams = field(default_factory=CoarseParams)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Searches until the limit or Ctrl-C.

        Raises:
            NotApplicable: If the order is given, or merging leaves too many nodes.
        """
        if problem.order is not None:
            raise NotApplicable("coarse merges nodes that a given order keeps apart; leave the order free")
        return Tracker(problem, limits, control, NAME).run(self._planned)

    def _planned(self, tracker: Tracker) -> Solution:
        graph = tracker.problem.graph
        tracker.report("merging nodes")
        contraction = coarsened(graph, tracker.problem.budget, self.params.merges)
        left = contraction.coarse.index.n
        if left > self.params.most_left * graph.index.n:
            raise NotApplicable(f"coarse leaves {left} of {graph.index.n} nodes, too many to gain from; try 'memetic'")
        if not tracker.wait_for(ANNEALING):
            return tracker.solution(STILL_COMPILING)
        tracker.offer(self._searched(tracker, contraction))
        self._polish(tracker)
        return tracker.solution("" if tracker.schedule else f"no schedule found within {tracker.problem.budget} bytes")

    def _searched(self, tracker: Tracker, contraction: Contraction) -> Schedule | None:
        """The best schedule of the coarse graph, expanded."""
        deadline = tracker.deadline

        def monitor(progress: Progress) -> None:
            costs = [cost for cost in (tracker.cost, progress.incumbent) if cost is not None]
            own = Progress(NAME, deadline.seconds, min(costs, default=None), tracker.bound, progress.phase)
            tracker.control.monitor(own)

        found = Memetic(params=self.params.memetic)(
            Problem(contraction.coarse, tracker.problem.budget),
            tracker.limits.part(deadline, deadline.left * self.params.search_share),
            Control(lambda: deadline.stopped, monitor),
        )
        if found.schedule is None:
            return None
        graph = tracker.problem.graph
        return Schedule.from_computes(graph, contraction.expand(found.schedule.computes))

    def _polish(self, tracker: Tracker) -> None:
        """One round of runs near the best schedule of the whole graph, for the rest of the limit."""
        rounds = Rounds(tracker, None, self.params.memetic.rounds)
        runs = rounds.near(tracker.schedule, self.params.memetic.near)
        if runs and not tracker.over:
            rounds.run(runs, rounds.left() / rounds.spent(1.0, len(runs)))
