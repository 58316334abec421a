"""Rounds of annealing runs: kinds of run, several at a time, and which of them to run again."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from hcp.annealing.engine import MOVES_PER_UNIT, REORDER_MIX, Annealer, Cooling, EngineParams, Outcome
from hcp.annealing.parallel import Run, run_together
from hcp.graph.errors import HcpError
from hcp.planning.cores import cores
from hcp.planning.parameters import Amount, Growth, Params, Positive, Range, Whole
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule

_UNTRIED: Final = (True, math.inf, math.inf)

# A penalty that hardly counts at first finds what is cheap and then makes that fit, with little heat: mostly the best.
# Much heat serves tight budgets, and graphs that gain from other orders; a high final penalty then makes the result
# fit.
_COLD: Final = (1e-5, 3e-6)
_COOL: Final = (1e-4, 3e-6)
_WARM: Final = (3e-4, 3e-6)
_HOT: Final = (1e-2, 3e-6)
_HOTTEST: Final = (3e-2, 3e-6)
_LOW: Final = (3e-3, 10.0)
_LOWEST: Final = (3e-4, 10.0)
_HIGH: Final = (0.03, 100.0)
_HIGHEST: Final = (0.03, 1000.0)


@dataclass(frozen=True)
class RunConfig(Params):
    """A run configuration: an annealing run from a given schedule.

    Attributes:
        name: Its name in progress reports.
        cooling: Its temperatures, penalties and mix of moves.
    """

    name: str
    cooling: Cooling


@dataclass(frozen=True)
class FreshRunConfig(Params):
    """A run configuration: an annealing run from the order alone.

    Attributes:
        name: Its name in progress reports.
        start: Keep-everything in the given order, or that order with greedy eviction.
        cooling: Its temperatures, penalties and mix of moves.
    """

    name: str
    start: Literal["order", "eviction"]
    cooling: Cooling


@dataclass(frozen=True)
class RoundsParams(Params):
    """Parameters of rounds of annealing runs.

    Attributes:
        first_moves_per_node: Moves of a run of the first round for each node, where moves are counted: enough to rank
            the run configurations.
        first_seconds_per_node: Seconds of a run of the first round for each node.
        first_share: Share of all moves or seconds that a run of the first round takes at most.
        longest_start: Most executions per node of a schedule that a run starts from: moves on long sequences are slow.
        longest_fresh: Runs do not start from what is so many times longer than the best schedule found, and in the
            first round than the order.
        runs: Run configurations that start from the order alone; the rounds keep those that do best on the graph.
        engine: Parameters of every run.
    """

    first_moves_per_node: Whole = 600
    first_seconds_per_node: Positive = 1.5e-3
    first_share: Annotated[float, Range(0, 1, above=True)] = 0.02
    longest_start: Amount = 6
    longest_fresh: Growth = 2.5
    runs: tuple[FreshRunConfig, ...] = (
        FreshRunConfig("the order, low penalty", "order", Cooling(_COOL, _LOW, REORDER_MIX)),
        FreshRunConfig("the order, lowest penalty", "order", Cooling(_COOL, _LOWEST, REORDER_MIX)),
        FreshRunConfig("eviction, low penalty", "eviction", Cooling(_WARM, _LOW, REORDER_MIX)),
        FreshRunConfig("eviction, low penalty, cold", "eviction", Cooling(_COLD, _LOW, REORDER_MIX)),
        FreshRunConfig("eviction, lowest penalty", "eviction", Cooling(_COOL, _LOWEST, REORDER_MIX)),
        FreshRunConfig("eviction, high penalty", "eviction", Cooling(_COOL)),
        FreshRunConfig("the order, hot", "order", Cooling(_HOT, _HIGH)),
        FreshRunConfig("eviction, hot", "eviction", Cooling(_HOT, _HIGH)),
        FreshRunConfig("the order, hottest", "order", Cooling(_HOTTEST, _HIGHEST, REORDER_MIX)),
    )
    engine: EngineParams = field(default_factory=EngineParams)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.runs:
            raise HcpError("runs is empty; give at least one run configuration")


@dataclass
class Arm:
    """A kind of run in successive halving: its start and cooling, its best result, and the round it ran in last."""

    name: str
    start: tuple[int, ...]
    cooling: Cooling
    result: tuple[bool, float, float] = _UNTRIED
    used: int = 0


@dataclass
class Rounds:
    """Makes rounds of runs for a search; what they find within the budget goes to the tracker.

    Attributes:
        tracker: The search's.
        moves: Moves in all, or None where the search's limit is what counts.
        params: Of the rounds and their runs.
        annealer: Shared by all runs.
    """

    tracker: Tracker
    moves: int | None = None
    params: RoundsParams = RoundsParams()
    runs: int = 0
    done: int = 0
    number: int = 0
    annealer: Annealer = field(init=False)

    def __post_init__(self) -> None:
        problem = self.tracker.problem
        self.annealer = Annealer(problem.graph, problem.budget, problem.order, self.params.engine)

    @property
    def threads(self) -> int:
        """How many runs at a time, at most."""
        return max(1, min(self.tracker.limits.workers, cores()))

    @property
    def counted(self) -> bool:
        """Whether runs get moves, and not seconds, so that the outcome depends on nothing else."""
        return self.moves is not None or self.tracker.deadline.counts_work

    def fresh(self) -> list[Arm]:
        """The kinds of run that start from the order alone; offers what they start from."""
        order = self.annealer.indices(self.tracker.problem.given_order)
        starts = {"order": order}
        if any(run.start == "eviction" for run in self.params.runs):
            starts["eviction"] = self.annealer.evicted(order)
        arms = [Arm(run.name, starts[run.start], run.cooling) for run in self.params.runs]
        for start in starts.values():
            self.tracker.offer_sequence(start)
        return arms

    def near(self, schedule: Schedule | None, runs: Iterable[RunConfig]) -> list[Arm]:
        """Runs that start from a schedule and stay near it; none where its sequence is too long for that."""
        annealer = self.annealer
        if schedule is None or len(schedule.computes) > self.params.longest_start * annealer.graph.index.n:
            return []
        return [Arm(run.name, annealer.indices(schedule.computes), run.cooling) for run in runs]

    def within_reach(self, arms: Sequence[Arm]) -> list[Arm]:
        """The arms whose start is not several times too long; all of them where every one is."""
        shortest = self.annealer.graph.index.n
        if self.number:
            best = self.tracker.schedule
            shortest = max(shortest, max(len(arm.start) for arm in arms) if best is None else len(best.computes))
        return [arm for arm in arms if len(arm.start) <= self.params.longest_fresh * shortest] or list(arms)

    def first_length(self) -> float:
        """Moves or seconds of a run in the first round."""
        params = self.params
        per_node = params.first_moves_per_node if self.counted else params.first_seconds_per_node
        return min(per_node * self.tracker.problem.graph.index.n, params.first_share * self.left())

    def spent(self, length: float, runs: int) -> float:
        """Of the moves or the seconds, by a round."""
        return length * (runs if self.counted else -(-runs // self.threads))

    def left(self) -> float:
        """Moves where they are limited, else seconds."""
        left = self.tracker.deadline.left
        if self.tracker.deadline.counts_work:
            left = int(left * MOVES_PER_UNIT)
        return left if self.moves is None or left <= 0 else self.moves - self.done

    def run(self, chosen: Sequence[Arm], length: float) -> list[tuple[Arm, Outcome]]:
        """One round; returns the kinds of run that started with their outcomes."""
        tracker = self.tracker
        self.number += 1
        runs = []
        for arm in chosen:
            self.runs += 1
            seed = tracker.limits.seed * 1_000_003 + self.runs
            # Equal time, not equal moves, is what kinds of run are compared by: plain moves are many times faster.
            moves, seconds = (max(1, int(length)), None) if self.counted else (None, length)
            runs.append(Run(arm.start, arm.cooling, seed, moves, seconds))

        def note(place: int, outcome: Outcome, better: bool) -> bool:
            if better and not self.counted:
                self.offer(outcome)
            tracker.report(f"annealing from {chosen[place].name}")
            # With moves given, the others go on: which of them is the first must not decide.
            return tracker.done and not self.counted

        outcomes = run_together(self.annealer, runs, self.threads, tracker.deadline, note)
        for place, outcome in sorted(outcomes.items()):
            if self.counted:
                self.offer(outcome)
                tracker.deadline.spend(outcome.moves / MOVES_PER_UNIT)
            self.done += outcome.moves
            arm = chosen[place]
            arm.result = min(arm.result, (outcome.within is None, outcome.cost, outcome.area))
            arm.used = self.number
        return [(chosen[place], outcome) for place, outcome in sorted(outcomes.items())]

    def offer(self, outcome: Outcome) -> None:
        """Offers what a run has found."""
        cost = self.tracker.cost
        if cost is None or (outcome.within is not None and self.annealer.cost(outcome.within) < cost):
            self.tracker.offer_sequence(outcome.least)


def ranked(arms: Sequence[Arm]) -> list[Arm]:
    """The arms, best results first."""
    return sorted(arms, key=lambda arm: arm.result)


def halved(arms: Sequence[Arm]) -> list[Arm]:
    """Successive halving: untried arms, those with the best results, and of the others the one that waits longest."""
    tried = [arm for arm in ranked(arms) if arm.used]
    untried = [arm for arm in arms if not arm.used]
    half = (len(tried) + 1) // 2
    return [*untried, *tried[: half - 1], *sorted(tried[half - 1 :], key=lambda arm: arm.used)[:1]]
