"""Simulated annealing on execution sequences: several starts, the promising ones again for longer.

The engine, with its source, is ``hcp.schedule.annealing``. Runs come in rounds of growing length, and each round keeps
the better half of the kinds of run: which start and which mix of moves serve a graph shows in short runs already. Runs
are fresh each time, since at equal moves they end lower than reheated ones. The result is optimal where it recomputes
nothing; otherwise nothing is proved.
"""

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from hcp.graph.errors import HcpError
from hcp.schedule.actions import Schedule
from hcp.schedule.plan import EveryNodeOnce
from hcp.schedule.replay import replay
from hcp.schedule.solution import ORDER_FREE, Bound, Problem, Progress, Solution, Status, TracePoint

if TYPE_CHECKING:
    from hcp.schedule.annealing import Annealer, Cooling, Outcome

NAME: Final = "anneal"

# Moves of a first-round run: enough per node to rank the kinds of run, and a small part of what there is to spend.
_FIRST_MOVES_PER_NODE: Final = 600
_FIRST_SHARE: Final = 0.02
_GROWTH: Final = 2.0
_PACE_SAMPLE: Final = 2_000
_KINDS_KEPT: Final = 2

# Much heat serves graphs that gain from reordering, and tight budgets; a strict end then makes the result fit.
_HOT: Final = (1e-2, 3e-6)
_STRICT: Final = (0.03, 100.0)


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
        """
        search = _Search(problem, self.moves)
        note = ""
        try:
            search.run()
        except KeyboardInterrupt:
            note = "interrupted; this is the best found until then"
        return search.solution(note)


@dataclass(frozen=True)
class _Kind:
    """A kind of run: where it starts and how it cools."""

    name: str
    start: tuple[int, ...]
    cooling: "Cooling"


@dataclass
class _Search:
    problem: Problem
    moves: int | None
    began: float = field(default_factory=time.perf_counter)
    schedule: Schedule | None = None
    cost: int | None = None
    smallest_peak: int | None = None
    trace: list[TracePoint] = field(default_factory=list)
    runs: int = 0
    done: int = 0

    @property
    def deadline(self) -> float:
        return self.began + self.problem.time_limit

    def run(self) -> None:
        problem, graph = self.problem, self.problem.graph
        for start in (problem.incumbent, Schedule.from_computes(graph, problem.given_order)):
            if start is not None and self.offer(start, "start"):
                return
        from hcp.schedule.annealing import Annealer

        annealer = Annealer(graph, problem.budget, problem.order)
        kinds = _kinds(annealer, problem)
        for kind in kinds:
            if self.offer(annealer.schedule(kind.start), kind.name):
                return
        pace = self.measured_pace(annealer, kinds[0])
        length = min(_FIRST_MOVES_PER_NODE * graph.index.n, int(_FIRST_SHARE * self.moves_left(pace)))
        while self.moves_left(pace) > 0:
            ranked: list[tuple[tuple[bool, int, int], int]] = []
            for i, kind in enumerate(kinds):
                left = self.moves_left(pace)
                # What is left after this run has to be worth another one.
                moves = max(1, length if left >= 1.5 * length else left)
                began = time.perf_counter()
                outcome = self.one_run(annealer, kind, moves)
                pace = max((time.perf_counter() - began) / max(outcome.moves, 1), 1e-9)
                if self.cost == graph.base_cost or self.moves_left(pace) <= 0:
                    return
                ranked.append(((outcome.within is None, outcome.cost, outcome.area), i))
            kept = sorted(ranked)[: max(_KINDS_KEPT, len(kinds) // 2)]
            kinds = [kinds[i] for _, i in kept]
            if self.schedule is None:
                kinds = [replace(kind, cooling=kind.cooling.harder()) for kind in kinds]
            length = int(length * _GROWTH)

    def measured_pace(self, annealer: "Annealer", kind: _Kind) -> float:
        """Seconds a move, from a short run that counts for nothing else."""
        annealer.run(kind.start, kind.cooling, moves=0)
        began = time.perf_counter()
        annealer.run(kind.start, kind.cooling, moves=_PACE_SAMPLE)
        return (time.perf_counter() - began) / _PACE_SAMPLE

    def moves_left(self, pace: float) -> int:
        seconds = self.deadline - time.perf_counter()
        if self.moves is not None:
            return self.moves - self.done if seconds > 0 else 0
        return max(0, int(seconds / pace))

    def one_run(self, annealer: "Annealer", kind: _Kind, moves: int) -> "Outcome":
        self.runs += 1
        outcome = annealer.run(
            kind.start,
            kind.cooling,
            moves=moves,
            seed=self.problem.seed * 1_000_003 + self.runs,
            deadline=self.deadline,
            on_improvement=partial(self.improved, annealer, kind.name),
        )
        self.done += outcome.moves
        return outcome

    def improved(self, annealer: "Annealer", name: str, outcome: "Outcome") -> bool:
        return self.offer(annealer.schedule(outcome.least), name)

    def offer(self, schedule: Schedule, phase: str) -> bool:
        """Judges a schedule, keeps it if it is the best, and says whether it cannot be beaten."""
        graph = self.problem.graph
        usage = replay(graph, schedule)
        self.smallest_peak = min(usage.peak, self.smallest_peak or usage.peak)
        if usage.peak <= self.problem.budget and (self.cost is None or usage.cost < self.cost):
            self.schedule, self.cost = schedule, usage.cost
            self.trace.append(TracePoint(time.perf_counter() - self.began, self.cost, graph.base_cost))
        seconds = time.perf_counter() - self.began
        self.problem.monitor(Progress(NAME, seconds, self.cost, graph.base_cost, f"annealing from {phase}"))
        return self.cost == graph.base_cost

    def solution(self, note: str) -> Solution:
        graph, budget = self.problem.graph, self.problem.budget
        bounds: tuple[Bound, ...] = ()
        status = Status.FEASIBLE
        if self.schedule is None:
            status = Status.NO_SOLUTION
            reached = f"found nothing within {budget} bytes; the smallest peak reached is {self.smallest_peak} bytes"
            note = f"{reached}; {note}" if note else reached
        elif self.cost == graph.base_cost:
            status = Status.OPTIMAL
            bounds = (Bound(graph.base_cost, "cost", ORDER_FREE, EveryNodeOnce(), "every node runs at least once"),)
        seconds = time.perf_counter() - self.began
        return Solution(self.schedule, status, bounds, NAME, seconds, tuple(self.trace), note)


def _kinds(annealer: "Annealer", problem: Problem) -> list[_Kind]:
    from hcp.schedule.annealing import PLAIN, Cooling

    order = annealer.indices(problem.given_order)
    evicted = annealer.evicted(order)
    kinds = [
        _Kind("the order", order, Cooling()),
        _Kind("the order, hot", order, Cooling(_HOT, _STRICT)),
        _Kind("the order, hot, plain moves", order, Cooling(_HOT, _STRICT, PLAIN)),
        _Kind("eviction", evicted, Cooling(temperature=(3e-4, 3e-6))),
        _Kind("eviction, warm", evicted, Cooling(penalty=_STRICT)),
        _Kind("eviction, hot", evicted, Cooling(_HOT, (0.03, 1000.0))),
    ]
    if problem.incumbent is not None:
        incumbent = annealer.indices(problem.incumbent.computes)
        kinds.append(_Kind("the incumbent", incumbent, Cooling((3e-5, 3e-6), (1.0, 1000.0))))
    return kinds
