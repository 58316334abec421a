"""Simulated annealing on execution sequences: several starts, the promising ones again for longer.

The engine, with its source, is ``hcp.annealing``. Runs come in rounds of growing length, two at a time on two
cores, and each round keeps the better half of the kinds of run (successive halving): which start and which mix of moves
serve a graph shows in short runs already. The last round, of the best kinds, has half of the time; fresh runs end lower
than reheated ones. The result is optimal where it recomputes nothing; otherwise nothing is proved.
"""

from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from typing import Final

from hcp.annealing import Cooling
from hcp.annealing.polish import NEARBY
from hcp.annealing.rounds import Arm, Rounds, RoundsParams, RunConfig, halved, ranked
from hcp.planning.compilation import ANNEALING, STILL_COMPILING
from hcp.planning.deadline import check_moves
from hcp.planning.parameters import Growth, Params, Share, Whole
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import replay

NAME: Final = "anneal"


@dataclass(frozen=True)
class AnnealParams(Params):
    """Parameters of the annealing planner.

    Attributes:
        growth: Factor on the length of runs from round to round.
        last_share: Share of all moves or seconds for the last round, which makes fresh runs of the best run
            configurations: fresh runs end lower than reheated ones.
        last_runs: Run configurations in the last round.
        incumbent: Cooling of the runs that start from a given schedule.
        rounds: Parameters of the rounds of runs.
    """

    growth: Growth = 2
    last_share: Share = 0.5
    last_runs: Whole = 2
    incumbent: Cooling = NEARBY
    rounds: RoundsParams = field(default_factory=RoundsParams)


@dataclass(frozen=True)
class Anneal:
    """Options of the annealing planner.

    Attributes:
        moves: Moves in all, which make the result the same on every machine; None for as many as fit the time limit.
        params: Tuned choices.

    Raises:
        HcpError: If moves is not above zero.
    """

    moves: int | None = None
    params: AnnealParams = field(default_factory=AnnealParams)

    def __post_init__(self) -> None:
        check_moves(self.moves)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Anneals until the time limit or the moves are spent, nothing is recomputed, or Ctrl-C.

        Raises:
            ScheduleError: If the problem's incumbent is illegal.
        """
        incumbent = control.incumbent
        if incumbent is not None:
            replay(problem.graph, incumbent)
            if problem.order is not None and not incumbent.follows(problem.order):
                # It can be neither returned nor a start.
                control = replace(control, incumbent=None)
        return Tracker(problem, limits, control, NAME).run(self._planned)

    def _planned(self, tracker: Tracker) -> Solution:
        _search(tracker, self.moves, self.params)
        if not ANNEALING.ready():
            return tracker.solution(STILL_COMPILING)
        if tracker.schedule is None:
            return tracker.solution(f"no schedule found within {tracker.problem.budget} bytes")
        return tracker.solution()


def _search(tracker: Tracker, moves: int | None, params: AnnealParams) -> None:
    problem = tracker.problem
    tracker.offer(Schedule.from_computes(problem.graph, problem.given_order))
    if tracker.done or not tracker.wait_for(ANNEALING):
        return
    rounds = Rounds(tracker, moves, params.rounds)
    arms = rounds.fresh() + rounds.near(tracker.control.incumbent, [RunConfig("the incumbent", params.incumbent)])
    length, least = rounds.first_length(), params.last_share * rounds.left()
    chosen = arms
    while not tracker.done and rounds.left() > 0:
        last = rounds.left() - rounds.spent(length, len(chosen)) < least
        if last:
            chosen = _finalists(rounds, arms, params.last_runs)
            length = rounds.left() / rounds.spent(1.0, len(chosen))
        rounds.run(chosen, length)
        if last:
            return
        if tracker.schedule is None:
            for arm in arms:
                arm.cooling = arm.cooling.harder()
        chosen = halved(arms)
        length *= params.growth


def _finalists(rounds: Rounds, arms: list[Arm], wanted: int) -> list[Arm]:
    """The best arms, some more than once where there are many cores; moves are to give the same anywhere."""
    count = wanted if rounds.counted else max(wanted, rounds.threads)
    return list(islice(cycle(ranked(arms)[:wanted]), count))
