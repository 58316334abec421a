"""The planner ``memetic``: annealing runs of many kinds, whose schedules are recombined exactly.

A memetic algorithm (Moscato 1989): local search, here simulated annealing, on a population, and a crossover, here the
exact choice of the best schedule that some members' executions contain (``hcp.solvers.recombination``). Rounds grow
longer; each has fresh runs, of the kinds that serve the graph, and runs that stay near the best schedule. Runs stay
short: what many of them give together is better than what one long run ends with. Nothing is proved but that a schedule
without recomputation is optimal.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from random import Random
from typing import Annotated, Final

from hcp.annealing import RECOMPUTE_MIX, Cooling
from hcp.annealing.engine import MOVES_PER_UNIT
from hcp.annealing.polish import NEARBY, REPAIR
from hcp.annealing.rounds import Arm, Rounds, RoundsParams, RunConfig, halved
from hcp.planning.compilation import ANNEALING, STILL_COMPILING
from hcp.planning.deadline import Deadline, check_moves
from hcp.planning.parameters import Amount, Growth, Params, Range
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.solvers.recombination.recombine import Nodes, Population, RecombinationParams, recombine

NAME: Final = "memetic"


@dataclass(frozen=True)
class MemeticParams(Params):
    """Parameters of the memetic search.

    Attributes:
        growth: Factor on the length of runs from round to round.
        longest_round: Share of the remaining time that a round takes at most, since recombination follows.
        recombining: Seconds of a recombination, as a share of those of its round.
        least_recombining: Least seconds of a recombination.
        near: Run configurations that start from the best schedule; the first round has only the first of them. A
            low initial penalty changes more of the schedule than a high temperature does.
        lifted: Run configurations that start from a schedule that was lifted from a relaxation.
        rounds: Parameters of the rounds of runs.
        recombination: Parameters of the recombination.
    """

    growth: Growth = 1.25
    longest_round: Annotated[float, Range(0, 1, above=True)] = 0.85
    recombining: Amount = 0.6
    least_recombining: Amount = 1.0
    near: tuple[RunConfig, ...] = (
        RunConfig("the best", NEARBY),
        RunConfig("the best, low penalty", Cooling(REPAIR.temperature, (3e-3, 100.0))),
        RunConfig("the best, lowest penalty", Cooling(NEARBY.temperature, REPAIR.penalty)),
    )
    lifted: tuple[RunConfig, ...] = (
        RunConfig("a lifted schedule", REPAIR),
        RunConfig("a lifted schedule, recomputing", replace(REPAIR, mix=RECOMPUTE_MIX)),
    )
    rounds: RoundsParams = field(default_factory=RoundsParams)
    recombination: RecombinationParams = field(default_factory=RecombinationParams)


DEFAULT_MEMETIC: Final = MemeticParams()


@dataclass(frozen=True)
class Memetic:
    """Options of the memetic planner.

    Attributes:
        moves: Annealing moves in all, for the same result on every machine that solves each recombination in time;
            None for as many as fit the time limit.
        params: Tuned choices.

    Raises:
        HcpError: If moves is not above zero.
    """

    moves: int | None = None
    params: MemeticParams = DEFAULT_MEMETIC

    def __post_init__(self) -> None:
        check_moves(self.moves)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Searches until the time limit or the moves are spent, nothing is recomputed, or Ctrl-C."""
        return Evolution(self.moves, self.params)(problem, limits, control)


class Evolution:
    """A memetic search that may take turns with others: each call goes on where the last one ended.

    All calls are for the same graph, budget and order; time limit, incumbent, workers and monitor may differ.
    """

    def __init__(self, moves: int | None = None, params: MemeticParams = DEFAULT_MEMETIC) -> None:
        self.moves = moves
        self.params = params
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
        return tracker.solution("" if tracker.schedule else f"no schedule found within {tracker.problem.budget} bytes")

    def _search(self, tracker: Tracker) -> None:
        problem = tracker.problem
        tracker.offer(Schedule.from_computes(problem.graph, problem.given_order))
        if tracker.done or not tracker.wait_for(ANNEALING):
            return
        if self._state is None:
            self._state = _State.new(tracker, self.moves, self.params, self._lifted)
        self._state.rounds.tracker = tracker
        self._state.evolve()

    def start_from(self, lifted: Schedule) -> None:
        """Takes a schedule that may break the budget for runs to start from, from any thread; the latest counts."""
        self._lifted.append(lifted)


@dataclass
class _State:
    """A search's state between its rounds.

    Attributes:
        params: Tuned choices.
        rounds: Its runs.
        random: Draws windows.
        fresh: The kinds of run that start from the order alone, with what they reached.
        arrived: The latest schedule that was lifted from a relaxation, if it is new.
        length: Of the next round's runs.
        population: What was found.
        lifted: The kinds of run that start from a lifted schedule.
    """

    params: MemeticParams
    rounds: Rounds
    random: Random
    fresh: list[Arm]
    arrived: deque[Schedule]
    length: float
    population: Population
    lifted: list[Arm] = field(default_factory=list)

    @classmethod
    def new(cls, tracker: Tracker, moves: int | None, params: MemeticParams, arrived: deque[Schedule]) -> "_State":
        rounds = Rounds(tracker, moves, params.rounds)
        random, population = Random(tracker.limits.seed), Population(params.recombination)
        return cls(params, rounds, random, rounds.fresh(), arrived, rounds.first_length(), population)

    def evolve(self) -> None:
        """Makes rounds until the time or the moves are spent."""
        rounds, params = self.rounds, self.params
        tracker = rounds.tracker
        while not tracker.done and rounds.left() > 0:
            self.take_lifted()
            chosen = rounds.within_reach(halved([*self.fresh, *self.lifted]))
            runs = [*chosen, *rounds.near(tracker.schedule, params.near if rounds.number else params.near[:1])]
            length = min(self.length, params.longest_round * rounds.left() / rounds.spent(1.0, len(runs)))
            new = self.run(chosen, runs, length)
            recombining = params.recombining * rounds.spent(length, len(runs))
            if rounds.counted:
                recombining = tracker.deadline.left if rounds.moves is not None else recombining / MOVES_PER_UNIT
            self.recombine(new, recombining)
            if tracker.schedule is None:
                for arm in self.fresh:
                    arm.cooling = arm.cooling.harder()
            # The end of a turn may have cut this round short.
            self.length = max(self.length, length * params.growth)

    def run(self, chosen: list[Arm], runs: list[Arm], length: float) -> Population:
        """Makes a round of runs; returns what the chosen among them found."""
        # Runs near the best find what is near the best, and would crowd out what differs from it.
        new = Population(self.params.recombination)
        for arm, outcome in self.rounds.run(runs, length):
            if arm in chosen:
                new.add(self.rounds.annealer.graph.index, outcome.area, outcome.least)
        return new

    def take_lifted(self) -> None:
        """Has the next runs start from the latest lifted schedule, if it is new and follows the order."""
        order = self.rounds.tracker.problem.order
        if self.arrived:
            latest = self.arrived.pop()
            if order is None or latest.follows(order):
                self.lifted = self.rounds.near(latest, self.params.lifted)

    def recombine(self, new: Population, seconds: float) -> None:
        """Recombines new schedules among themselves, for what is good without the best, and then the best with all."""
        tracker = self.rounds.tracker
        if tracker.deadline.over:
            self.population.take(new)
            return
        deadline = tracker.deadline.part(max(seconds, self.params.least_recombining))
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
        longer, most_free = self.population.longer, self.params.recombination.most_free
        found = recombine(tracker, parents, longer, deadline, self.random, most_free=most_free)
        self.population.adapt(solved=found is not None and found[1])
        if found is not None:
            population.add(annealer.graph.index, 0, found[0])
            if tracker.cost is None or annealer.cost(found[0]) < tracker.cost:
                tracker.offer_sequence(found[0])
