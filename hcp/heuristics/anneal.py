"""Simulated annealing on execution sequences: several starts, the promising ones again for longer.

The engine, with its source, is ``hcp.schedule.annealing``. Runs come in rounds of growing length, and each round keeps
the better half of the kinds of run: which start and which mix of moves serve a graph shows in short runs already. Runs
are fresh each time, since at equal moves they end lower than reheated ones. The result is optimal where it recomputes
nothing; otherwise nothing is proved.
"""

import math
import time
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from hcp.graph.errors import HcpError
from hcp.schedule.actions import Schedule
from hcp.schedule.plan import EveryNodeOnce
from hcp.schedule.replay import replay
from hcp.schedule.select import follows
from hcp.schedule.solution import INTERRUPTED, ORDER_FREE, Bound, Problem, Progress, Solution, Status, TracePoint

if TYPE_CHECKING:
    from hcp.schedule.annealing import Annealer, Cooling, Outcome

NAME: Final = "anneal"

# A first-round run: enough per node to rank the kinds of run, and a small part of what there is to spend.
_FIRST_MOVES_PER_NODE: Final = 600
_FIRST_SECONDS_PER_NODE: Final = 1.5e-3
_FIRST_SHARE: Final = 0.02
_GROWTH: Final = 1.6
_KINDS_KEPT: Final = 2
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
        """
        search = _Search(problem, self.moves)
        try:
            search.run()
        except KeyboardInterrupt:
            return replace(search.solution(INTERRUPTED), interrupted=True)
        return search.solution("")


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
        incumbent = _usable_incumbent(problem)
        for start in (incumbent, Schedule.from_computes(graph, problem.given_order)):
            if start is not None and self.offer(start, "start"):
                return
        from hcp.schedule.annealing import Annealer

        annealer = Annealer(graph, problem.budget, problem.order)
        kinds = _kinds(annealer, problem.given_order, incumbent)
        for kind in kinds:
            if self.offer(annealer.schedule(kind.start), kind.name):
                return
        length = self.first_length()
        ranked: list[tuple[tuple[bool, float, float], int, int]] = [(_UNTRIED, 0, i) for i in range(len(kinds))]
        chosen = list(range(len(kinds)))
        for turn in count(1):
            for i in chosen:
                # What would be left after this run has to be worth another one.
                outcome = self.one_run(annealer, kinds[i], length if self.left() >= 1.5 * length else self.left())
                if self.cost == graph.base_cost or self.left() <= 0:
                    return
                result = (outcome.within is None, outcome.cost, outcome.area)
                ranked[i] = (min(ranked[i][0], result), turn, i)
            if self.schedule is None:
                kinds = [replace(kind, cooling=kind.cooling.harder()) for kind in kinds]
            ranking = sorted(ranked)
            longest_unused = min(ranking[_KINDS_KEPT:], key=itemgetter(1))
            chosen = [i for _, _, i in (*ranking[:_KINDS_KEPT], longest_unused)]
            length *= _GROWTH

    def first_length(self) -> float:
        """Of a run in the first round: moves where they are limited, else seconds."""
        per_node = _FIRST_SECONDS_PER_NODE if self.moves is None else _FIRST_MOVES_PER_NODE
        return min(per_node * self.problem.graph.index.n, _FIRST_SHARE * self.left())

    def left(self) -> float:
        """Moves where they are limited, else seconds."""
        seconds = self.deadline - time.perf_counter()
        if self.moves is None or seconds <= 0:
            return seconds
        return self.moves - self.done

    def one_run(self, annealer: "Annealer", kind: _Kind, length: float) -> "Outcome":
        self.runs += 1
        outcome = annealer.run(
            kind.start,
            kind.cooling,
            moves=None if self.moves is None else max(1, int(length)),
            seed=self.problem.seed * 1_000_003 + self.runs,
            # Equal time, not equal moves, is what kinds of run are compared by: plain moves are many times faster.
            deadline=self.deadline if self.moves is not None else time.perf_counter() + length,
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


def _usable_incumbent(problem: Problem) -> Schedule | None:
    """The incumbent, unless it breaks an order that the problem fixes."""
    if problem.incumbent is None or problem.order is None or follows(problem.incumbent, problem.order):
        return problem.incumbent
    return None


def _kinds(annealer: "Annealer", given_order: tuple[str, ...], incumbent: Schedule | None) -> list[_Kind]:
    from hcp.schedule.annealing import PLAIN, Cooling

    order = annealer.indices(given_order)
    evicted = annealer.evicted(order)
    kinds = [
        _Kind("the order", order, Cooling()),
        _Kind("the order, hot", order, Cooling(_HOT, _STRICT)),
        _Kind("the order, hot, plain moves", order, Cooling(_HOT, _STRICT, PLAIN)),
        _Kind("eviction", evicted, Cooling(temperature=(3e-4, 3e-6))),
        _Kind("eviction, warm", evicted, Cooling(penalty=_STRICT)),
        _Kind("the order, hottest", order, Cooling(_HOTTEST, _STRICTEST)),
        _Kind("eviction, hottest", evicted, Cooling(_HOTTEST, _STRICTEST)),
    ]
    if incumbent is not None:
        start = annealer.indices(incumbent.computes)
        kinds.append(_Kind("the incumbent", start, Cooling((3e-5, 3e-6), (1.0, 1000.0))))
    return kinds
