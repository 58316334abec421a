"""One run of simulated annealing on execution sequences, from one start.

Source: FastSA (Imanishi et al., NeurIPS 2023): a timeline with more slots than nodes, moves of one execution, a
geometric schedule. What differs here:

- values are apart from nodes, there are workspaces, and values may stay to the end;
- a move may recompute or drop several executions that depend on each other;
- a first execution may move together with what depends on it;
- the distance of a move is drawn such that every order of magnitude is equally likely;
- last uses are stored, in place of a search tree over time;
- the penalty on the area over the budget grows while the temperature falls.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Annotated, Final

import numpy as np

from hcp.annealing.compiled import Random, new_random
from hcp.annealing.greedy_eviction import evict_greedily
from hcp.annealing.loop import Best, Mix, Segment, new_best, walk
from hcp.annealing.network import Int32, Network, build_network, memory_unit
from hcp.annealing.timeline import AREA, COST, Timeline, fill, new_timeline
from hcp.graph.errors import HcpError
from hcp.graph.instances import chain
from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.planning.native import run_native
from hcp.planning.parameters import Params, Range, Whole, check_ranges
from hcp.planning.problem import ignore
from hcp.schedule.actions import Schedule

# Moves that count as a unit of work: about what a core makes in a second.
MOVES_PER_UNIT: Final = 200_000
# Seconds of a segment, about, and moves of the first one, which finds the pace.
_LONGEST_SEGMENT: Final = 0.2
_TRIAL_SEGMENT: Final = 500

RECOMPUTE_MIX: Final = Mix(shift=0.08, push=0.12, recompute=0.30, drop=0.25, swap=0.17, far=0.1)
REORDER_MIX: Final = Mix(shift=0.24, push=0.36, recompute=0.15, drop=0.125, swap=0.085, far=0.5)


@dataclass(frozen=True)
class Cooling(Params):
    """Geometric schedules from the first to the last move.

    Attributes:
        temperature: First and last temperature, in units of the cost of running every node once.
        penalty: First and last weight of the area over the budget.
        mix: How often each kind of move is drawn.
    """

    temperature: tuple[float, float] = (1e-3, 3e-6)
    penalty: tuple[float, float] = (0.03, 10.0)
    mix: Mix = RECOMPUTE_MIX

    def __post_init__(self) -> None:
        for what, (first, last) in (("temperature", self.temperature), ("penalty", self.penalty)):
            if not (0 < first < math.inf and 0 < last < math.inf):
                raise HcpError(f"{what} goes from {first} to {last}; give two finite numbers above zero")
        check_ranges(self.mix)
        drawn = sum(self.mix) - self.mix.far
        if drawn > 1 + 1e-9:
            raise HcpError(f"the shares of moves in mix add up to {drawn:g}; expected at most 1")

    def harder(self) -> "Cooling":
        """The same with more heat and a penalty that ends higher, for budgets that are hard to meet."""
        (hot, cold), (initial, final) = self.temperature, self.penalty
        return replace(
            self, temperature=(max(hot, min(3 * hot, 3e-2)), cold), penalty=(initial, max(final, min(10 * final, 1e3)))
        )

    def between(self, start: float, stop: float, moves: int) -> Segment:
        """A number of moves that take the run from one fraction of it to another."""
        (hot, cold), (initial, final) = self.temperature, self.penalty
        return Segment(
            moves,
            hot * (cold / hot) ** start,
            hot * (cold / hot) ** stop,
            initial * (final / initial) ** start,
            initial * (final / initial) ** stop,
        )


@dataclass(frozen=True)
class EngineParams(Params):
    """Parameters of every run.

    Attributes:
        respace: Moves after which the executions are spread evenly over the slots again.
        slots_per_node: Slots of a timeline for each node of the graph.
        slots_per_execution: Slots of a timeline for each execution, where a start has many of them.
        most_executions: Most executions of one node; where the start has many, twice as many as that.
    """

    respace: Whole = 20_000
    # Totals of a timeline fit 64 bits up to 64 slots a node.
    slots_per_node: Annotated[float, Range(1, 32)] = 2.5
    slots_per_execution: Annotated[float, Range(1, 4)] = 1.6
    most_executions: Whole = 12


DEFAULT_ENGINE: Final = EngineParams()


@dataclass(frozen=True)
class Outcome:
    """What a run has found so far, as nodes of the graph's index in execution order.

    Attributes:
        within: The cheapest sequence within the budget, or None.
        cost: Its cost in units of the network; for comparisons inside one run only, ``replay`` is the judge.
        least: Where none is within the budget, the sequence with the least area over it.
        area: That area; 0 where one is within the budget.
        moves: Moves made.
    """

    within: tuple[int, ...] | None
    cost: int
    least: tuple[int, ...]
    area: int
    moves: int


OnSegment = Callable[[Outcome], object]


@dataclass(frozen=True)
class Annealer:
    """Anneals sequences of one graph under one budget.

    Attributes:
        graph: The computation.
        budget: Bytes.
        order: Where given, first executions follow it.
        params: Of its runs.
    """

    graph: Graph
    budget: int
    order: tuple[str, ...] | None = None
    params: EngineParams = DEFAULT_ENGINE

    def indices(self, computes: Sequence[str]) -> tuple[int, ...]:
        """Nodes of the graph's index by their names."""
        return tuple(self.graph.index.node_of[name] for name in computes)

    def schedule(self, sequence: Sequence[int]) -> Schedule:
        """The schedule that runs these nodes of the graph's index."""
        return Schedule.from_nodes(self.graph, sequence)

    def cost(self, sequence: Sequence[int]) -> int:
        """What running these nodes of the graph's index costs, in the graph's unit."""
        return int(self.graph.index.cost[list(sequence)].sum())

    @cached_property
    def network(self) -> Network:
        """The graph as the moves see it; the first use compiles them, which takes seconds once per installation."""
        order = None if self.order is None else list(self.indices(self.order))
        return build_network(self.graph.index, order, memory_unit(self.graph.index))

    def timeline(self, sequence: Sequence[int] | Int32) -> Timeline:
        """A legal sequence of nodes, spread over a fresh timeline."""
        unit = memory_unit(self.graph.index)
        steps = np.asarray(sequence, np.int64)
        often = int(np.bincount(steps).max())
        params = self.params
        slots = int(max(params.slots_per_node * self.graph.index.n, params.slots_per_execution * len(steps))) + 2
        base = -(-self.graph.index.base_bytes // unit)
        line = new_timeline(self.network, slots, max(params.most_executions, 2 * often), self.budget // unit, base)
        fill(self.network, line, steps)
        return line

    def evicted(self, sequence: Sequence[int]) -> tuple[int, ...]:
        """The start by greedy eviction that follows an order; it may break the budget.

        Raises:
            Cancelled: If the limit of the scope is over.
        """
        unit = memory_unit(self.graph.index)
        capacity = (self.budget - self.graph.index.base_bytes) // unit
        network, order, halted = self.network, np.asarray(sequence, np.int64), np.zeros(1, np.bool_)
        found = run_native(lambda: evict_greedily(network, order, capacity, halted), lambda: halted.fill(True))
        return tuple(found.tolist())

    def run(
        self,
        start: Sequence[int],
        cooling: Cooling,
        *,
        moves: int | None = None,
        seed: int = 0,
        deadline: Deadline | None = None,
        on_segment: OnSegment = ignore,
    ) -> Outcome:
        """One run: ``moves`` moves, or as many as fit before the deadline where ``moves`` is None.

        Args:
            start: Nodes in execution order; legal, but it may break the budget.
            cooling: Temperatures, penalties and mix.
            moves: The same seed and moves give the same outcome, unless the deadline cuts them short.
            seed: Of the random numbers.
            deadline: Needed where ``moves`` is None; the run ends at the end of a segment.
            on_segment: Called after every segment of moves with the best so far; a true result ends the run.
        """
        random = new_random(seed)
        line = self.timeline(start)
        found = _first_outcome(line)
        ends = Deadline() if deadline is None else deadline
        # Loads the machine code before the clock starts.
        self._walk(line, new_best(0), random, cooling.mix, cooling.between(0.0, 0.0, 0), ends)
        total = ends.left
        began = now = time.perf_counter()
        progress, pace, since = 1.0 if moves == 0 else 0.0, 0.0, 0
        while progress < 1.0:
            if moves is not None:
                segment = min(self.params.respace, moves - found.moves)
                following = (found.moves + segment) / moves
            else:
                segment = min(self.params.respace, int(_LONGEST_SEGMENT / pace)) if pace else _TRIAL_SEGMENT
                following = min(1.0, (now - began + pace * segment) / max(total, 1e-9))
            best = new_best(len(line.slot))
            best.score[:] = (found.cost, found.area)
            made = self._walk(line, best, random, cooling.mix, cooling.between(progress, following, segment), ends)
            found, progress = _updated(found, best, made), following
            now, before = time.perf_counter(), now
            pace = max((now - before) / max(segment, 1), 1e-9)
            since += segment
            # Spreading takes as long as many moves where there are many executions.
            if since >= self.params.respace:
                line, since = self.timeline(_sequence(line.slot)), 0
                now = time.perf_counter()
            if on_segment(found) or ends.over:
                break
        return found

    def _walk(  # noqa: PLR0917
        self, line: Timeline, best: Best, random: Random, mix: Mix, segment: Segment, ends: Deadline
    ) -> int:
        """Makes the moves of a segment, or fewer at the deadline; says how many."""
        network, halted = self.network, np.zeros(1, np.bool_)
        moves = partial(walk, network, line, best, random, mix, segment, halted)
        return run_native(moves, lambda: halted.fill(True), lambda: ends.over)


def _sequence(slots: Int32) -> Int32:
    return slots[slots >= 0]


def _first_outcome(line: Timeline) -> Outcome:
    sequence = tuple(_sequence(line.slot).tolist())
    area = int(line.total[AREA])
    return Outcome(None if area else sequence, -1 if area else int(line.total[COST]), sequence, area, 0)


def _updated(found: Outcome, best: Best, moves: int) -> Outcome:
    cost, area = best.score.tolist()
    moves += found.moves
    if cost != found.cost:
        sequence = tuple(_sequence(best.within).tolist())
        return Outcome(sequence, cost, sequence, 0, moves)
    least = found.least if area == found.area else tuple(_sequence(best.least).tolist())
    return Outcome(found.within, cost, least, area, moves)


compiled_function = walk


def compile_all() -> None:
    """Calls what is compiled once, for ``hcp.planning.compilation``."""
    graph = chain(2)
    annealer = Annealer(graph, budget=2)
    start = annealer.indices(graph.order)
    annealer.run(annealer.evicted(start), Cooling(), moves=1)
