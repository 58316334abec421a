"""The planner ``memetic``: annealing runs of many kinds, whose schedules are recombined exactly.

A memetic algorithm (Moscato 1989): local search, here simulated annealing, on a population, and a crossover, here the
exact choice of the best schedule that some members' executions contain (``hcp.solvers.recombine``). Rounds grow longer;
each has fresh runs, of the kinds that serve the graph, and runs that stay near the best schedule. Nothing is proved but
that a schedule without recomputation is optimal.
"""

from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Final

from hcp.schedule.actions import Schedule
from hcp.schedule.annealing import Annealer
from hcp.schedule.annealing.rounds import Kind, Rounds, better_half, fresh_kinds, from_schedule, ranked
from hcp.schedule.plan import EveryNodeOnce
from hcp.schedule.solution import ORDER_FREE, Bound, Problem, Solution
from hcp.schedule.stopwatch import Stopwatch, check_moves
from hcp.schedule.tracker import Tracker
from hcp.solvers.recombine import Nodes, Population, recombine

NAME: Final = "memetic"

_GROWTH: Final = 1.6
# First temperatures of the runs that start from the best schedule.
_NEAR: Final = {"near the best": 3e-5, "from the best, warm": 1e-4, "from the best, hot": 3e-4}
# Recombining gets this much of a round's time, and at least so many seconds where there are any.
_RECOMBINING: Final = 0.6
_LEAST_SECONDS: Final = 1.0
# Of the time that is left, the longest round: recombining follows.
_LONGEST_ROUND: Final = 0.85
# Of all time, what the last long runs get, about.
_LAST_SHARE: Final = 0.45


@dataclass(frozen=True)
class Memetic:
    """Options of the memetic planner.

    Attributes:
        moves: Annealing moves in all, for the same result on every machine that solves each recombination in time;
            None for as many as fit the time limit.
        population: Schedules of the same problem to start with, to which what is found is added; None for none.

    Raises:
        HcpError: If moves is not above zero.
    """

    moves: int | None = None
    population: Population | None = None

    def __post_init__(self) -> None:
        check_moves(self.moves)

    def __call__(self, problem: Problem, /) -> Solution:
        """Searches until the time limit or the moves are spent, nothing is recomputed, or Ctrl-C."""
        tracker = Tracker(problem, NAME)
        try:
            _search(tracker, self.moves, Population() if self.population is None else self.population)
        except KeyboardInterrupt:
            return tracker.interrupted()
        finally:
            if tracker.done:
                base = problem.graph.base_cost
                tracker.add_bound(Bound(base, "cost", ORDER_FREE, EveryNodeOnce(), "every node runs at least once"))
        return tracker.solution("" if tracker.schedule else f"found nothing within {problem.budget} bytes")


def _search(tracker: Tracker, moves: int | None, population: Population) -> None:
    problem = tracker.problem
    tracker.offer(Schedule.from_computes(problem.graph, problem.given_order))
    if tracker.done:
        return
    annealer = Annealer(problem.graph, problem.budget, problem.order)
    fresh = fresh_kinds(annealer, problem.given_order)
    for kind in fresh:
        tracker.offer(annealer.schedule(kind.start))
    rounds, crossover = Rounds(tracker, annealer, moves), _Crossover(tracker, annealer, population)
    length = rounds.first_length()
    near = _near(annealer, tracker.schedule, 1)
    chosen, least, last = fresh, _LAST_SHARE * rounds.left(), False
    while not tracker.done and rounds.left() > 0:
        runs = [*chosen, *near]
        if not last and rounds.left() - (1 + _RECOMBINING) * rounds.spent(length, len(runs)) < least:
            # One long run ends lower than several short ones.
            last = True
            chosen = runs = ranked(fresh)[: max(1, min(rounds.threads, len(fresh)))]
            length = _LONGEST_ROUND * rounds.left() / rounds.spent(1.0, len(runs))
        length = min(length, _LONGEST_ROUND * rounds.left() / rounds.spent(1.0, len(runs)))
        # Runs near the best find what is near the best, and would crowd out what differs from it.
        new = Population()
        for kind, outcome in rounds.run(runs, length):
            if kind in chosen:
                new.add(problem.graph.index, outcome.area, outcome.least)
        crossover(new, _RECOMBINING * rounds.spent(length, len(runs)) if moves is None else tracker.watch.left)
        if tracker.schedule is None:
            for kind in fresh:
                kind.cooling = kind.cooling.harder()
        chosen, near = better_half(fresh), _near(annealer, tracker.schedule, len(_NEAR))
        length *= _GROWTH


class _Crossover:
    """Recombines new schedules among themselves, for what is good without the best, and then the best with all."""

    def __init__(self, tracker: Tracker, annealer: Annealer, population: Population) -> None:
        self.tracker = tracker
        self.annealer = annealer
        self.population = population
        self.random = Random(tracker.problem.seed)

    def __call__(self, new: Population, seconds: float) -> None:
        """Adds what it finds to the population, and offers it."""
        watch = Stopwatch(min(max(seconds, _LEAST_SECONDS), self.tracker.watch.left))
        self.child(new, new.best(), watch.left / 2)
        self.population.take(new)
        members = self.population.best()
        if self.tracker.schedule is not None:
            best = self.annealer.indices(self.tracker.schedule.computes)
            members = [best, *(member for member in members if member != best)]
        self.child(self.population, members, watch.left)

    def child(self, population: Population, parents: list[Nodes], seconds: float) -> None:
        """Adds to a population what some schedules give."""
        if self.tracker.done or len(parents) < 2 or seconds <= 0:
            return
        found = recombine(self.tracker, parents, self.population.longer, seconds, self.random)
        self.population.adapt(solved=found is not None and found[1])
        if found is not None:
            population.add(self.annealer.graph.index, 0, found[0])
            self.tracker.offer(self.annealer.schedule(found[0]))


def _near(annealer: Annealer, schedule: Schedule | None, count: int) -> list[Kind]:
    """Runs that start from a schedule, the coolest first."""
    return [kind for name, hot in islice(_NEAR.items(), count) for kind in from_schedule(annealer, schedule, name, hot)]
