"""Rounds of annealing runs: kinds of run, several at a time, and which of them to run again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hcp.annealing.engine import BRISK, MOVES_PER_UNIT, Annealer, Cooling, Outcome
from hcp.annealing.polish import NEARBY
from hcp.annealing.team import Run, run_together
from hcp.planning.cores import cores
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule

# A first-round run: enough per node to rank the kinds of run, and a small part of what there is to spend.
_FIRST_MOVES_PER_NODE: Final = 600
_FIRST_SECONDS_PER_NODE: Final = 1.5e-3
_FIRST_SHARE: Final = 0.02
# Executions per node of an incumbent that is worth starting from: moves on long sequences are slow.
_LONGEST_START: Final = 6
_UNTRIED: Final = (True, math.inf, math.inf)

# A penalty that hardly counts at first finds what is cheap and then makes that fit, with little heat: mostly the best.
# Much heat serves tight budgets, and graphs that gain from other orders; a strict end then makes the result fit.
_COLD: Final = (1e-5, 3e-6)
_COOL: Final = (1e-4, 3e-6)
_WARM: Final = (3e-4, 3e-6)
_HOT: Final = (1e-2, 3e-6)
_HOTTEST: Final = (3e-2, 3e-6)
_LAX: Final = (3e-3, 10.0)
_LAXEST: Final = (3e-4, 10.0)
_STRICT: Final = (0.03, 100.0)
_STRICTEST: Final = (0.03, 1000.0)


@dataclass
class Kind:
    """A kind of run: where it starts and how it cools, its best result so far, and the round it ran in last."""

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
        annealer: Shared by all runs.
    """

    tracker: Tracker
    moves: int | None = None
    runs: int = 0
    done: int = 0
    number: int = 0
    annealer: Annealer = field(init=False)

    def __post_init__(self) -> None:
        problem = self.tracker.problem
        self.annealer = Annealer(problem.graph, problem.budget, problem.order)

    @property
    def threads(self) -> int:
        """How many runs at a time, at most."""
        return max(1, min(self.tracker.limits.workers, cores()))

    @property
    def counted(self) -> bool:
        """Whether runs get moves, and not seconds, so that the outcome depends on nothing else."""
        return self.moves is not None or self.tracker.deadline.counts_work

    def fresh(self) -> list[Kind]:
        """The kinds of run that start from the order alone, hot to cool; offers what they start from."""
        kinds = _fresh_kinds(self.annealer, self.tracker.problem.given_order)
        for kind in kinds:
            self.tracker.offer(self.annealer.schedule(kind.start))
        return kinds

    def first_length(self) -> float:
        """Moves or seconds of a run in the first round."""
        per_node = _FIRST_MOVES_PER_NODE if self.counted else _FIRST_SECONDS_PER_NODE
        return min(per_node * self.tracker.problem.graph.index.n, _FIRST_SHARE * self.left())

    def spent(self, length: float, runs: int) -> float:
        """Of the moves or the seconds, by a round."""
        return length * (runs if self.counted else -(-runs // self.threads))

    def left(self) -> float:
        """Moves where they are limited, else seconds."""
        left = self.tracker.deadline.left
        if self.tracker.deadline.counts_work:
            left = int(left * MOVES_PER_UNIT)
        return left if self.moves is None or left <= 0 else self.moves - self.done

    def run(self, chosen: Sequence[Kind], length: float) -> list[tuple[Kind, Outcome]]:
        """One round; returns the kinds of run that started with their outcomes."""
        tracker, annealer = self.tracker, self.annealer
        self.number += 1
        runs = []
        for kind in chosen:
            self.runs += 1
            seed = tracker.limits.seed * 1_000_003 + self.runs
            # Equal time, not equal moves, is what kinds of run are compared by: plain moves are many times faster.
            moves, seconds = (max(1, int(length)), None) if self.counted else (None, length)
            runs.append(Run(kind.start, kind.cooling, seed, moves, seconds))

        def note(place: int, outcome: Outcome, better: bool) -> bool:
            if better and not self.counted:
                tracker.offer(annealer.schedule(outcome.least))
            tracker.report(f"annealing from {chosen[place].name}")
            # With moves given, the others go on: which of them is the first must not decide.
            return tracker.done and not self.counted

        outcomes = run_together(annealer, runs, self.threads, tracker.deadline, note)
        for place, outcome in sorted(outcomes.items()):
            if self.counted:
                tracker.offer(annealer.schedule(outcome.least))
                tracker.deadline.spend(outcome.moves / MOVES_PER_UNIT)
            self.done += outcome.moves
            kind = chosen[place]
            kind.result = min(kind.result, (outcome.within is None, outcome.cost, outcome.area))
            kind.used = self.number
        return [(chosen[place], outcome) for place, outcome in sorted(outcomes.items())]


def ranked(kinds: Sequence[Kind]) -> list[Kind]:
    """The kinds, best results first."""
    return sorted(kinds, key=lambda kind: kind.result)


def better_half(kinds: Sequence[Kind]) -> list[Kind]:
    """The untried kinds, those with the best results, and of the others the one that waits longest."""
    tried = [kind for kind in ranked(kinds) if kind.used]
    untried = [kind for kind in kinds if not kind.used]
    half = (len(tried) + 1) // 2
    return [*untried, *tried[: half - 1], *sorted(tried[half - 1 :], key=lambda kind: kind.used)[:1]]


def _fresh_kinds(annealer: Annealer, given_order: tuple[str, ...]) -> list[Kind]:
    order = annealer.indices(given_order)
    evicted = annealer.evicted(order)
    return [
        Kind("the order, lax", order, Cooling(_COOL, _LAX, BRISK)),
        Kind("the order, very lax", order, Cooling(_COOL, _LAXEST, BRISK)),
        Kind("eviction, lax", evicted, Cooling(_WARM, _LAX, BRISK)),
        Kind("eviction, lax, cold", evicted, Cooling(_COLD, _LAX, BRISK)),
        Kind("eviction, very lax", evicted, Cooling(_COOL, _LAXEST, BRISK)),
        Kind("eviction, strict", evicted, Cooling(_COOL)),
        Kind("the order, hot", order, Cooling(_HOT, _STRICT)),
        Kind("eviction, hot", evicted, Cooling(_HOT, _STRICT)),
        Kind("the order, hottest", order, Cooling(_HOTTEST, _STRICTEST, BRISK)),
    ]


def from_schedule(annealer: Annealer, schedule: Schedule | None, name: str, cooling: Cooling = NEARBY) -> list[Kind]:
    """The run that starts from a schedule and stays near it; none where its sequence is too long for that."""
    if schedule is None or len(schedule.computes) > _LONGEST_START * annealer.graph.index.n:
        return []
    return [Kind(name, annealer.indices(schedule.computes), cooling)]
