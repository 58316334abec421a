"""Simulated annealing on execution sequences: several starts, the promising ones again for longer.

The engine, with its source, is ``hcp.schedule.annealing``. Runs come in rounds of growing length, two at a time on two
cores, and each round keeps the better half of the kinds of run: which start and which mix of moves serve a graph shows
in short runs already. The last round has half of the time, since one long run ends lower than several short ones, and
fresh runs end lower than reheated ones. The result is optimal where it recomputes nothing; otherwise nothing is proved.
"""

import math
import os
import time
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from typing import TYPE_CHECKING, Final

from hcp.graph.errors import HcpError
from hcp.schedule.actions import Schedule
from hcp.schedule.plan import EveryNodeOnce
from hcp.schedule.replay import replay
from hcp.schedule.select import follows
from hcp.schedule.solution import ORDER_FREE, Bound, Problem, Solution
from hcp.schedule.tracker import Tracker

if TYPE_CHECKING:
    from hcp.schedule.annealing import Annealer, Cooling, Outcome

NAME: Final = "anneal"

# A first-round run: enough per node to rank the kinds of run, and a small part of what there is to spend.
_FIRST_MOVES_PER_NODE: Final = 600
_FIRST_SECONDS_PER_NODE: Final = 1.5e-3
_FIRST_SHARE: Final = 0.02
_GROWTH: Final = 2
_LAST_SHARE: Final = 0.5
_LAST_RUNS: Final = 2
# Executions per node of an incumbent that is worth starting from: moves on long sequences are slow.
_LONGEST_START: Final = 6
_UNTRIED: Final = (True, math.inf, math.inf)

# Much heat serves graphs that gain from reordering, and tight budgets; a strict end then makes the result fit.
_HOT: Final = (1e-2, 3e-6)
_STRICT: Final = (0.03, 100.0)
_HOTTEST: Final = (3e-2, 3e-6)
_STRICTEST: Final = (0.03, 1000.0)


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
        if self.moves is not None and (type(self.moves) is not int or self.moves < 1):
            raise HcpError(f"moves is {self.moves!r}; give a whole number above zero, or None to use the time limit")

    def __call__(self, problem: Problem) -> Solution:
        """Anneals until the time limit or the moves are spent, nothing is recomputed, or Ctrl-C.

        The first call on an installation compiles the moves, which takes seconds.

        Raises:
            ScheduleError: If the problem's incumbent is illegal.
        """
        graph, incumbent = problem.graph, problem.incumbent
        if incumbent is not None:
            replay(graph, incumbent)
            if problem.order is not None and not follows(incumbent, problem.order):
                # It can be neither returned nor a start.
                problem = replace(problem, incumbent=None)
        tracker = Tracker(problem, NAME)
        try:
            _Search(tracker, self.moves).run()
        except KeyboardInterrupt:
            return tracker.interrupted()
        finally:
            if tracker.done:
                proof = Bound(graph.base_cost, "cost", ORDER_FREE, EveryNodeOnce(), "every node runs at least once")
                tracker.add_bound(proof)
        if tracker.schedule is None:
            return tracker.solution(f"found nothing within {problem.budget} bytes")
        return tracker.solution()


@dataclass
class _Kind:
    """A kind of run: where it starts and how it cools, its best result so far, and the round it ran in last."""

    name: str
    start: tuple[int, ...]
    cooling: "Cooling"
    result: tuple[bool, float, float] = _UNTRIED
    used: int = 0


@dataclass
class _Search:
    tracker: Tracker
    moves: int | None
    runs: int = 0
    done: int = 0
    threads: int = field(init=False)

    def __post_init__(self) -> None:
        self.threads = max(1, min(self.tracker.problem.workers, _cores()))

    def run(self) -> None:
        tracker, problem = self.tracker, self.tracker.problem
        tracker.offer(Schedule.from_computes(problem.graph, problem.given_order))
        if tracker.done:
            return
        from hcp.schedule.annealing import Annealer

        annealer = Annealer(problem.graph, problem.budget, problem.order)
        start = problem.incumbent
        if start is not None and len(start.computes) > _LONGEST_START * problem.graph.index.n:
            start = None
        kinds = _kinds(annealer, problem.given_order, start)
        for kind in kinds:
            tracker.offer(annealer.schedule(kind.start))
        per_node = _FIRST_SECONDS_PER_NODE if self.moves is None else _FIRST_MOVES_PER_NODE
        length = min(per_node * problem.graph.index.n, _FIRST_SHARE * self.left())
        least = _LAST_SHARE * self.left()
        chosen, number = kinds, 0
        while not tracker.done and self.left() > 0:
            number += 1
            last = self.left() - self.spent(length, len(chosen)) < least
            if last:
                chosen = self.finalists(kinds)
                length = self.left() / self.spent(1.0, len(chosen))
            self.one_round(annealer, chosen, length, number)
            if last:
                return
            if tracker.schedule is None:
                for kind in kinds:
                    kind.cooling = kind.cooling.harder()
            chosen = _better_half(kinds)
            length *= _GROWTH

    def spent(self, length: float, runs: int) -> float:
        """Of the moves or the seconds, by a round."""
        return length * (runs if self.moves is not None else -(-runs // self.threads))

    def left(self) -> float:
        """Moves where they are limited, else seconds."""
        seconds = self.tracker.watch.left
        return seconds if self.moves is None or seconds <= 0 else self.moves - self.done

    def finalists(self, kinds: list[_Kind]) -> list[_Kind]:
        """The best kinds, some more than once where there are many cores; moves are to give the same anywhere."""
        count = _LAST_RUNS if self.moves is not None else max(_LAST_RUNS, self.threads)
        return list(islice(cycle(_ranked(kinds)[:_LAST_RUNS]), count))

    def one_round(self, annealer: "Annealer", chosen: list[_Kind], length: float, number: int) -> None:
        from hcp.schedule.annealing import Run, run_together

        tracker = self.tracker
        seconds = tracker.watch.left
        runs = []
        for kind in chosen:
            self.runs += 1
            seed = tracker.problem.seed * 1_000_003 + self.runs
            # Equal time, not equal moves, is what kinds of run are compared by: plain moves are many times faster.
            moves, limit = (None, length) if self.moves is None else (max(1, int(length)), seconds)
            runs.append(Run(kind.start, kind.cooling, seed, moves, limit))

        def note(place: int, outcome: "Outcome", better: bool) -> bool:
            if better:
                tracker.offer(annealer.schedule(outcome.least))
            tracker.report(f"annealing from {chosen[place].name}")
            # With moves given, the others go on: which of them is the first must not decide.
            return tracker.done and self.moves is None

        outcomes = run_together(annealer, runs, self.threads, time.perf_counter() + seconds, note)
        for place, outcome in outcomes.items():
            self.done += outcome.moves
            kind = chosen[place]
            kind.result = min(kind.result, (outcome.within is None, outcome.cost, outcome.area))
            kind.used = number


def _cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ranked(kinds: list[_Kind]) -> list[_Kind]:
    return sorted(kinds, key=lambda kind: kind.result)


def _better_half(kinds: list[_Kind]) -> list[_Kind]:
    """The kinds with the best results, and of the others the one that waits longest."""
    ranked = _ranked(kinds)
    half = (len(kinds) + 1) // 2
    return [*ranked[: half - 1], min(ranked[half - 1 :], key=lambda kind: kind.used)]


def _kinds(annealer: "Annealer", given_order: tuple[str, ...], incumbent: Schedule | None) -> list[_Kind]:
    from hcp.schedule.annealing import BRISK, PLAIN, Cooling

    order = annealer.indices(given_order)
    evicted = annealer.evicted(order)
    kinds = [
        _Kind("the order", order, Cooling()),
        _Kind("the order, hot", order, Cooling(_HOT, _STRICT)),
        _Kind("the order, hot, plain moves", order, Cooling(_HOT, _STRICT, PLAIN)),
        _Kind("eviction", evicted, Cooling(temperature=(3e-4, 3e-6))),
        _Kind("eviction, warm", evicted, Cooling(penalty=_STRICT)),
        _Kind("eviction, brisk moves", evicted, Cooling(temperature=(3e-4, 3e-6), mix=BRISK)),
        _Kind("the order, hottest", order, Cooling(_HOTTEST, _STRICTEST)),
        _Kind("eviction, hottest", evicted, Cooling(_HOTTEST, _STRICTEST)),
    ]
    if incumbent is not None:
        start = annealer.indices(incumbent.computes)
        kinds.append(_Kind("the incumbent", start, Cooling((3e-5, 3e-6), (1.0, 1000.0))))
    return kinds
