"""Dynamic tensor rematerialization, simulated.

After Kirisame, Lyubomirsky, Haan, Brennan, He, Roesch, Chen, Tatlock: Dynamic Tensor Rematerialization (ICLR 2021). The
program runs in the given order; where a node does not fit, the storage with the least heuristic value is evicted, until
it does; an evicted storage that is needed is computed again from what it reads, recursively. The heuristic is

    h_DTR(x) = (c(x) + cost of e*(x)) / (bytes(x) * staleness(x)),

e* being the evicted neighbourhood: all evicted storages that have to be computed again before x can be (evicted ones
that x reads, that those read, and so on) and all that need x (evicted readers, their evicted readers, and so on).
Staleness is the time since the last access; the clock is the cost of all executions so far. Definitions and the order
of events (inputs touched, locked and brought back, memory freed, node run, locks released) were checked against the
authors' simulator, ``simrd`` in uwsampl/dtr-prototype; as in its eager form, a value that the rest of the program does
not read is evicted at once.

What differs: values are the storages, and the cost of computing one again is its node's; values that come back although
the program no longer reads them go again as soon as nothing in progress needs them; residents, the graph's inputs and
what run-once nodes made are never evicted. Some budgets below the given one are tried as well, since an online rule may
do better with less.

DTR looks at the past alone. ``hcp.annealing.greedy_eviction`` is the variant that knows the future, as a start for
annealing. Shortfalls: greedy, no plan ahead; it can fail, or come back to the same values over and over, where a
schedule exists.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hcp.graph.cancellation import tick
from hcp.graph.ir import Graph
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.rematerialize import lasting

# Executions per node beyond which the simulation ends: it would recompute more than the result is worth.
MOST_RUNS_PER_NODE: Final = 30

_SHARES: Final = (100, 98, 95, 90)


@dataclass(frozen=True)
class Eviction:
    """DTR with the heuristic h_DTR over exact evicted neighbourhoods.

    Attributes:
        shares: Percentages of the budget that the simulation is run with.
    """

    shares: tuple[int, ...] = _SHARES

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the cheapest schedule within the budget over the shares."""
        return choose(Tracker(problem, limits, control, "eviction"), self._candidates(problem))

    def _candidates(self, problem: Problem) -> Iterator[Schedule]:
        for share in self.shares:
            runtime = Runtime(problem.graph, problem.given_order, problem.budget * share // 100)
            if runtime.run():
                names = problem.graph.index.node_names
                yield Schedule.from_computes(problem.graph, (names[v] for v in runtime.computes))
        # What the runtime does where memory never runs out.
        yield keep_everything(problem.graph, problem.given_order)


class Runtime:
    """The simulated runtime: executes a program within a budget, evicting and computing again.

    Attributes:
        computes: Nodes executed so far.
        evicted_log: Values evicted to make room so far, in order.
    """

    def __init__(self, graph: Graph, order: Sequence[str], budget: int) -> None:
        index = graph.index
        self.budget = budget
        self.program = [index.node_of[name] for name in order]
        self.inputs = index.inputs.tolists()
        self.outputs = index.outputs.tolists()
        self.readers = index.readers.tolists()
        self.producer: list[int] = index.producer.tolist()
        self.size: list[int] = index.size.tolist()
        self.cost: list[int] = index.cost.tolist()
        self.workspace: list[int] = index.workspace.tolist()
        self.stays = lasting(index)
        self.reads_left = Counter(x for row in self.inputs for x in row)
        self.locks: Counter[int] = Counter()
        self.live = {x for x in range(index.m) if self.producer[x] < 0}
        self.born = set(self.live)
        self.held = sum(self.size[x] for x in self.live)
        self.clock = 0
        self.accessed: dict[int, int] = {}
        self.neighbourhood: dict[int, int] = {}
        self.computes: list[int] = []
        self.evicted_log: list[int] = []

    def run(self) -> bool:
        """Runs the program; False where memory did not suffice, or nothing but bringing back happened."""
        for node in self.program:
            if not self.execute(node):
                return False
            for x in self.inputs[node]:
                self.reads_left[x] -= 1
            for x in (*self.inputs[node], *self.outputs[node]):
                self.release(x)
        return True

    def execute(self, node: int) -> bool:
        """Runs a node and, before it, whatever has to come back for it; an explicit stack, since chains are long."""
        stack = [node]
        self.lock(node)
        while stack:
            at = stack[-1]
            missing = next((x for x in self.inputs[at] if x not in self.live), None)
            if missing is not None:
                stack.append(self.producer[missing])
                self.lock(stack[-1])
                continue
            fresh = sum(self.size[x] for x in self.outputs[at]) + self.workspace[at]
            if self.exhausted or not self.free(fresh):
                return False
            self.compute(at)
            stack.pop()
            self.unlock(at)
            if stack:
                # Brought back for one execution; the program itself is served in ``run``.
                for x in (*self.inputs[at], *self.outputs[at]):
                    self.release(x)
        return True

    @property
    def exhausted(self) -> bool:
        """Whether the limit on executions is reached."""
        tick()
        return len(self.computes) >= MOST_RUNS_PER_NODE * len(self.program)

    def lock(self, node: int) -> None:
        """Keeps a node's inputs from eviction until it has run."""
        for x in self.inputs[node]:
            self.locks[x] += 1
            self.accessed[x] = self.clock

    def unlock(self, node: int) -> None:
        """Undoes ``lock``."""
        for x in self.inputs[node]:
            self.locks[x] -= 1

    def compute(self, node: int) -> None:
        """Runs one node, whose inputs are live and for which there is room."""
        self.computes.append(node)
        self.clock += self.cost[node]
        for x in self.outputs[node]:
            if x not in self.live:
                self.live.add(x)
                self.held += self.size[x]
                self.changed(x)
            self.born.add(x)
            self.accessed[x] = self.clock

    def free(self, size: int) -> bool:
        """Evicts until there is room; False where nothing is left to evict."""
        while self.held + size > self.budget:
            pool = [x for x in self.live if not self.locks[x] and x not in self.stays and self.size[x]]
            if not pool:
                return False
            victim = min(pool, key=lambda x: (self.value(x), x))
            self.evicted_log.append(victim)
            self.evict(victim)
        return True

    def evict(self, x: int) -> None:
        """Drops a live value."""
        self.live.discard(x)
        self.held -= self.size[x]
        self.changed(x)

    def release(self, x: int) -> None:
        """Evicts at once what the program does not read any more and nothing in progress needs."""
        if x in self.live and not self.reads_left[x] and not self.locks[x] and x not in self.stays:
            self.evict(x)

    def value(self, x: int) -> float:
        """h_DTR; the least is evicted."""
        staleness = self.clock - self.accessed[x]
        if not staleness:
            return float("inf")
        if x not in self.neighbourhood:
            self.neighbourhood[x] = self.cost_around(x)
        return (self.cost[self.producer[x]] + self.neighbourhood[x]) / (self.size[x] * staleness)

    def cost_around(self, x: int) -> int:
        """Cost of e*(x); a node counts once however many of its values are evicted."""
        nodes = {self.producer[y] for y in (*self.reach(x, up=True), *self.reach(x, up=False))}
        return sum(self.cost[v] for v in nodes - {self.producer[x]})

    def reach(self, x: int, up: bool) -> set[int]:
        """The evicted values that x is computed from, or that are computed from it, through evicted values only."""
        found: set[int] = set()
        stack = [x]
        while stack:
            for y in self.neighbours(stack.pop(), up):
                if y not in found and y in self.born and y not in self.live:
                    found.add(y)
                    stack.append(y)
        return found

    def neighbours(self, x: int, up: bool) -> list[int]:
        """What a value is computed from, or what is computed from it, in one step."""
        if up:
            return self.inputs[self.producer[x]] if self.producer[x] >= 0 else []
        return [y for v in self.readers[x] for y in self.outputs[v]]

    def changed(self, x: int) -> None:
        """Forgets the neighbourhoods that x was in or has come into."""
        self.neighbourhood.pop(x, None)
        for up in (True, False):
            for y in (x, *self.reach(x, up)):
                for z in self.neighbours(y, up):
                    self.neighbourhood.pop(z, None)
