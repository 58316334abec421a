"""Simulated annealing on execution sequences: several starts, the promising ones again for longer.

The engine, with its source, is ``hcp.annealing``. Runs come in rounds of growing length, two at a time on two
cores, and each round keeps the better half of the kinds of run: which start and which mix of moves serve a graph shows
in short runs already. The last round, of the best kinds, has half of the time; fresh runs end lower than reheated ones.
The result is optimal where it recomputes nothing; otherwise nothing is proved.
"""

from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import TYPE_CHECKING, Final

from hcp.planning.compilation import ANNEALING, STILL_COMPILING
from hcp.planning.deadline import check_moves
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import replay

if TYPE_CHECKING:
    from hcp.annealing.rounds import Kind, Rounds

NAME: Final = "anneal"

_GROWTH: Final = 2
_LAST_SHARE: Final = 0.5
_LAST_RUNS: Final = 2


@dataclass(frozen=True)
class Anneal:
    """Options of the annealing planner.

    Attributes:
        moves: Moves in all, which make the result the same on every machine; None for as many as fit the time limit.

    Raises:
        HcpError: If moves is not above zero.
    """

    moves: int | None = None

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
        _search(tracker, self.moves)
        if not ANNEALING.ready():
            return tracker.solution(STILL_COMPILING)
        if tracker.schedule is None:
            return tracker.solution(f"found nothing within {tracker.problem.budget} bytes")
        return tracker.solution()


def _search(tracker: Tracker, moves: int | None) -> None:
    problem = tracker.problem
    tracker.offer(Schedule.from_computes(problem.graph, problem.given_order))
    if tracker.done or not tracker.wait_for(ANNEALING):
        return
    from hcp.annealing.rounds import Rounds, better_half, from_schedule

    rounds = Rounds(tracker, moves)
    kinds = rounds.fresh() + from_schedule(rounds.annealer, tracker.control.incumbent, "the incumbent")
    length, least = rounds.first_length(), _LAST_SHARE * rounds.left()
    chosen = kinds
    while not tracker.done and rounds.left() > 0:
        last = rounds.left() - rounds.spent(length, len(chosen)) < least
        if last:
            chosen = _finalists(rounds, kinds)
            length = rounds.left() / rounds.spent(1.0, len(chosen))
        rounds.run(chosen, length)
        if last:
            return
        if tracker.schedule is None:
            for kind in kinds:
                kind.cooling = kind.cooling.harder()
        chosen = better_half(kinds)
        length *= _GROWTH


def _finalists(rounds: "Rounds", kinds: "list[Kind]") -> "list[Kind]":
    """The best kinds, some more than once where there are many cores; moves are to give the same anywhere."""
    from hcp.annealing.rounds import ranked

    count = _LAST_RUNS if rounds.counted else max(_LAST_RUNS, rounds.threads)
    return list(islice(cycle(ranked(kinds)[:_LAST_RUNS]), count))
