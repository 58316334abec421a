"""The planner ``memetic``: annealing runs of many kinds, whose schedules are recombined exactly.

A memetic algorithm (Moscato 1989): local search, here simulated annealing, on a population, and a crossover, here the
exact choice of the best schedule that some members' executions contain (``hcp.solvers.recombination``). Rounds grow
longer; each has fresh runs, of the kinds that serve the graph, and runs that stay near the best schedule. Runs stay
short: what many of them give together is better than what one long run ends with. Nothing is proved but that a schedule
without recomputation is optimal.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from random import Random
from typing import Final

from hcp.annealing import CHAINS, Annealer, Cooling
from hcp.annealing.engine import MOVES_PER_UNIT
from hcp.annealing.polish import LAX, NEARBY
from hcp.annealing.rounds import Kind, Rounds, better_half, from_schedule
from hcp.planning.compilation import ANNEALING, STILL_COMPILING
from hcp.planning.deadline import Deadline, check_moves
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.solvers.recombination.recombine import Nodes, Population, recombine

NAME: Final = "memetic"

_GROWTH: Final = 1.25
# Runs that start from the best schedule. A penalty that is lax at first melts more of it than heat does.
_NEAR: Final = {
    "the best": NEARBY,
    "the best, lax": Cooling(LAX.temperature, (3e-3, 100.0)),
    "the best, very lax": Cooling(NEARBY.temperature, LAX.penalty),
}
# Runs that start from a schedule that was lifted from a relaxation.
_LIFTED: Final = {"a lifted schedule": LAX, "a lifted schedule, chains": replace(LAX, mix=CHAINS)}
# Recombining gets this much of a round's time, and at least so many seconds where there are any.
_RECOMBINING: Final = 0.6
_LEAST_SECONDS: Final = 1.0
# Of the time that is left, the longest round: recombining follows.
_LONGEST_ROUND: Final = 0.85


@dataclass(frozen=True)
class Memetic:
    """Options of the memetic planner.

    Attributes:
        moves: Annealing moves in all, for the same result on every machine that solves each recombination in time;
            None for as many as fit the time limit.

    Raises:
        HcpError: If moves is not above zero.
    """

    moves: int | None = None

    def __post_init__(self) -> None:
        check_moves(self.moves)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Searches until the time limit or the moves are spent, nothing is recomputed, or Ctrl-C."""
        return Evolution(self.moves)(problem, limits, control)


class Evolution:
    """A memetic search that may take turns with others: each call goes on where the last one ended.

    All calls are for the same graph, budget and order; time limit, incumbent, workers and monitor may differ.
    """

    def __init__(self, moves: int | None = None) -> None:
        self.moves = moves
        self._state: _State | None = None
        self._lifted: deque[Schedule] = deque(maxlen=1)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Searches until the time limit or the moves are spent, nothing is recomputed, or Ctrl-C."""
        return Tracker(problem, limits, control, NAME).run(self._planned)

    def _planned(self, tracker: Tracker) -> Solution:
        self._search(tracker)
        if not ANNEALING.ready():
            return tracker.solution(STILL_COMPILING)
        return tracker.solution("" if tracker.schedule else f"found nothing within {tracker.problem.budget} bytes")

    def _search(self, tracker: Tracker) -> None:
        problem = tracker.problem
        tracker.offer(Schedule.from_computes(problem.graph, problem.given_order))
        if tracker.done or not tracker.wait_for(ANNEALING):
            return
        if self._state is None:
            self._state = _State.new(tracker, self.moves, self._lifted)
        self._state.rounds.tracker = tracker
        self._state.evolve()

    def start_from(self, lifted: Schedule) -> None:
        """Takes a schedule that may break the budget for runs to start from, from any thread; the latest counts."""
        self._lifted.append(lifted)


@dataclass
class _State:
    """A search's state between its rounds.

    Attributes:
        rounds: Its runs.
        random: Draws windows.
        fresh: The kinds of run that start from the order alone, with what they reached.
        arrived: The latest schedule that was lifted from a relaxation, if it is new.
        length: Of the next round's runs.
        lifted: The kinds of run that start from a lifted schedule.
        population: What was found.
    """

    rounds: Rounds
    random: Random
    fresh: list[Kind]
    arrived: deque[Schedule]
    length: float
    lifted: list[Kind] = field(default_factory=list)
    population: Population = field(default_factory=Population)

    @classmethod
    def new(cls, tracker: Tracker, moves: int | None, arrived: deque[Schedule]) -> "_State":
        rounds = Rounds(tracker, moves)
        return cls(rounds, Random(tracker.limits.seed), rounds.fresh(), arrived, rounds.first_length())

    def evolve(self) -> None:
        """Makes rounds until the time or the moves are spent."""
        rounds = self.rounds
        tracker, annealer = rounds.tracker, rounds.annealer
        while not tracker.done and rounds.left() > 0:
            self.take_lifted()
            chosen = better_half([*self.fresh, *self.lifted])
            near = dict(islice(_NEAR.items(), len(_NEAR) if rounds.number else 1))
            runs = [*chosen, *_starting_from(annealer, tracker.schedule, near)]
            length = min(self.length, _LONGEST_ROUND * rounds.left() / rounds.spent(1.0, len(runs)))
            # Runs near the best find what is near the best, and would crowd out what differs from it.
            new = Population()
            for kind, outcome in rounds.run(runs, length):
                if kind in chosen:
                    new.add(annealer.graph.index, outcome.area, outcome.least)
            recombining = _RECOMBINING * rounds.spent(length, len(runs))
            if rounds.counted:
                recombining = tracker.deadline.left if rounds.moves is not None else recombining / MOVES_PER_UNIT
            self.recombine(new, recombining)
            if tracker.schedule is None:
                for kind in self.fresh:
                    kind.cooling = kind.cooling.harder()
            # The end of a turn may have cut this round short.
            self.length = max(self.length, length * _GROWTH)

    def take_lifted(self) -> None:
        """Has the next runs start from the latest lifted schedule, if it is new and follows the order."""
        order = self.rounds.tracker.problem.order
        if self.arrived:
            latest = self.arrived.pop()
            if order is None or latest.follows(order):
                self.lifted = _starting_from(self.rounds.annealer, latest, _LIFTED)

    def recombine(self, new: Population, seconds: float) -> None:
        """Recombines new schedules among themselves, for what is good without the best, and then the best with all."""
        tracker = self.rounds.tracker
        deadline = tracker.deadline.part(max(seconds, _LEAST_SECONDS))
        self.add_child(new, new.best(), deadline.part(deadline.left / 2))
        self.population.take(new)
        members = self.population.best()
        if tracker.schedule is not None:
            best = self.rounds.annealer.indices(tracker.schedule.computes)
            members = [best, *(member for member in members if member != best)]
        self.add_child(self.population, members, deadline)

    def add_child(self, population: Population, parents: list[Nodes], deadline: Deadline) -> None:
        """Adds to a population what some schedules give, and offers it."""
        tracker, annealer = self.rounds.tracker, self.rounds.annealer
        if tracker.done or len(parents) < 2 or deadline.over:
            return
        found = recombine(tracker, parents, self.population.longer, deadline, self.random)
        self.population.adapt(solved=found is not None and found[1])
        if found is not None:
            population.add(annealer.graph.index, 0, found[0])
            tracker.offer(annealer.schedule(found[0]))


def _starting_from(annealer: Annealer, schedule: Schedule | None, coolings: Mapping[str, Cooling]) -> list[Kind]:
    """Runs that start from a schedule."""
    return [kind for name, cooling in coolings.items() for kind in from_schedule(annealer, schedule, name, cooling)]
