"""Planning with a host link by planners that only recompute.

The first plan only recomputes; what it computes again dearer than a fetch is fetched. Then the planner plans surrogate
graphs, in which the values are fetched that the best plan so far moves, or that are cheaper to move than to make; each
result is improved again, and the best is kept. Where moving helps nowhere, the time left goes to a plan without.

Paging is planned together with rematerialization by integer programmes in POET (Patil et al. 2022), and alone in vDNN
(Rhu et al. 2016); here any planner does it, on graphs of any size, without a guarantee but for the bounds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from hcp.graph.ir import LARGEST_TOTAL, Graph, Node
from hcp.offload.improve import improved
from hcp.offload.surrogate import Surrogate
from hcp.schedule.actions import Fetch, Schedule, ScheduleError
from hcp.schedule.host import HostLink
from hcp.schedule.replay import Usage, replay
from hcp.schedule.select import follows
from hcp.schedule.solution import (
    INTERRUPTED,
    OPTIMALITY_TOLERANCE,
    Bound,
    NotApplicable,
    Planner,
    Problem,
    Progress,
    Solution,
    Status,
    TracePoint,
)
from hcp.schedule.stopwatch import Stopwatch
from hcp.solvers.host_certificate import fetchable

# Of the time that is left: for the plan without transfers, then for bounds, and for each surrogate.
PLAIN_SHARE: Final = 0.35
BOUND_SHARE: Final = 0.2
SURROGATE_SHARE: Final = 0.5
ROUNDS: Final = 6


@dataclass(frozen=True)
class WithHost:
    """Plans problems with a host link.

    Attributes:
        planner: Plans graphs without one.
    """

    planner: Planner

    def __call__(self, problem: Problem, /) -> Solution:
        """The best plan found within the time limit; Ctrl-C ends the search with it.

        Raises:
            NotApplicable: If the planner does not fit the graph.
        """
        assert problem.host is not None
        search = _Search(problem, problem.host, self.planner)
        try:
            search.run()
        except KeyboardInterrupt:
            search.interrupted = True
        return search.solution()


@dataclass
class _Search:
    problem: Problem
    host: HostLink
    planner: Planner
    best: Schedule | None = None
    usage: Usage | None = None
    bounds: tuple[Bound, ...] = ()
    trace: list[TracePoint] = field(default_factory=list)
    hopeless: bool = False
    interrupted: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        self.watch = Stopwatch(self.problem.time_limit)
        self.graph: Graph = self.problem.graph

    def run(self) -> None:
        if self.problem.incumbent is not None:
            self._offer(self.problem.incumbent)
        plain = self._ask(self._surrogate(), self.watch.left * PLAIN_SHARE)
        # Planners that only search are not made to wait for bounds.
        proves = bool(plain.bounds) or plain.status is Status.INFEASIBLE
        if self._over or (proves and not self._bounded()):
            return
        tried = {frozenset[str]()}
        for chosen in self._choices():
            if self._over or self.watch.left <= 0:
                return
            if chosen not in tried:
                tried.add(chosen)
                self._ask_again(self._surrogate(chosen))
        if not self._over and self.watch.left > 0 and not _fetched_from(self.graph, self.best):
            self._ask(self._surrogate(), self.watch.left)

    def solution(self) -> Solution:
        status = Status.NO_SOLUTION if self.usage is None else Status.OPTIMAL if self._met else Status.FEASIBLE
        status = Status.INFEASIBLE if self.hopeless else status
        note = INTERRUPTED if self.interrupted else ""
        if self.hopeless:
            note = (
                f"every schedule, with transfers or without, holds at least {self.bounds[0].value} bytes at some time"
            )
        return Solution(
            self.best, status, self.bounds, self.name, self.watch.seconds, tuple(self.trace), note, self.interrupted
        )

    @property
    def _bound(self) -> int:
        return max([self.graph.base_cost, *(bound.value for bound in self.bounds if bound.of == "cost")])

    @property
    def _met(self) -> bool:
        return self.usage is not None and self.usage.cost <= self._bound * (1 + OPTIMALITY_TOLERANCE)

    @property
    def _over(self) -> bool:
        return self.interrupted or self._met

    def _bounded(self) -> bool:
        """Looks for bounds; says whether a plan may exist and be better than the best."""
        # Loads solvers, which heuristics do without.
        from hcp.solvers.host_bounds import host_bounds

        self._report("bounds with transfers")
        self.bounds = host_bounds(self.graph, self.problem.budget, self.host, self.watch.left * BOUND_SHARE)
        self.hopeless = any(bound.of == "peak" for bound in self.bounds)
        return not self.hopeless and not self._met

    def _choices(self) -> Iterator[frozenset[str]]:
        """Which nodes' values to fetch: those that seem worth it, and, where a plan is lacking, all."""
        cheap = [node for node in self._movable() if not node.recomputable or self._cost(node) <= node.cost]
        for _ in range(ROUNDS):
            yield self._affordable([*self._moved(), *cheap])
            if self.best is None:
                yield self._affordable(self._movable())
        yield self._affordable(self._movable())

    def _movable(self) -> list[Node]:
        """Nodes whose values can be moved, those first that cost least to move for their bytes."""
        most = LARGEST_TOTAL // (4 * len(self.graph.values) + 1)
        found = [node for node in self.graph.nodes if fetchable(self.graph, node) and self._cost(node) <= most]
        return sorted(found, key=lambda node: self._cost(node) / self._bytes(node))

    def _moved(self) -> list[Node]:
        """Nodes whose values the best plan moves."""
        names = _fetched_from(self.graph, self.best)
        return [node for node in self.graph.nodes if node.name in names]

    def _cost(self, node: Node) -> int:
        return sum(self.host.round_trip_cost(value.bytes) for value in fetchable(self.graph, node))

    def _bytes(self, node: Node) -> int:
        return sum(value.bytes for value in fetchable(self.graph, node))

    def _affordable(self, nodes: Iterable[Node]) -> frozenset[str]:
        """The first of the nodes whose values fit the host together."""
        room = float("inf") if self.host.capacity is None else self.host.capacity
        found: set[str] = set()
        for node in nodes:
            if node.name not in found and self._bytes(node) <= room:
                room -= self._bytes(node)
                found.add(node.name)
        return frozenset(found)

    def _surrogate(self, chosen: frozenset[str] = frozenset()) -> Surrogate:
        """The graph to plan, in the order of the best plan."""
        order = self.graph.order if self.problem.order is None else self.problem.order
        order = order if self.best is None else tuple(dict.fromkeys(self.best.computes))
        return Surrogate(self.graph, self.host, chosen, order)

    def _ask_again(self, surrogate: Surrogate) -> None:
        try:
            self._ask(surrogate, self.watch.left * SURROGATE_SHARE)
        except NotApplicable:
            # Surrogates lack structure that some planners need; the plan without transfers is there.
            return

    def _ask(self, surrogate: Surrogate, seconds: float) -> Solution:
        """Has a surrogate planned, and offers what comes of it."""
        start = None
        if self.best is not None and _fetched_from(self.graph, self.best) <= surrogate.chosen:
            start = surrogate.schedule(self.best.steps)
        found = self.planner(
            replace(
                self.problem,
                graph=surrogate.graph,
                order=None if self.problem.order is None else surrogate.graph.order,
                time_limit=max(seconds, 1e-3),
                incumbent=start,
                monitor=lambda progress: self._pass_on(progress, surrogate.constant),
                host=None,
            )
        )
        self.name = self.name or found.planner
        self.interrupted = self.interrupted or found.interrupted
        if found.schedule is not None:
            self._offer(Schedule.from_steps(self.graph, surrogate.steps(found.schedule)))
        return found

    def _offer(self, schedule: Schedule) -> None:
        """Takes up a schedule, or an improved one, where it is legal and better than the best."""
        try:
            self._take(schedule)
            self._take(improved(self.graph, schedule.steps, self.problem.budget, self.host))
        except ScheduleError:
            # A user's incumbent, or one that holds more on the host than it has with one offload for each value.
            return

    def _take(self, schedule: Schedule) -> None:
        usage = replay(self.graph, schedule, self.host)
        if usage.peak > self.problem.budget:
            return
        if self.problem.order is not None and not follows(schedule, self.problem.order):
            return
        if self.usage is None or (usage.cost, usage.peak) < (self.usage.cost, self.usage.peak):
            self.best, self.usage = schedule, usage
            self.trace.append(TracePoint(self.watch.seconds, usage.cost, self._bound))

    def _report(self, phase: str) -> None:
        cost = None if self.usage is None else self.usage.cost
        self.problem.monitor(Progress(self.name, self.watch.seconds, cost, self._bound, phase))

    def _pass_on(self, progress: Progress, constant: int) -> None:
        """Reports what a planner says about a surrogate; its bounds say nothing of the graph itself."""
        costs = [] if progress.incumbent is None else [progress.incumbent - constant]
        costs += [] if self.usage is None else [self.usage.cost]
        cost = max(self._bound, min(costs)) if costs else None
        self.problem.monitor(Progress(progress.planner, self.watch.seconds, cost, self._bound, progress.phase))


def _fetched_from(graph: Graph, schedule: Schedule | None) -> set[str]:
    """Names of the nodes whose values a schedule fetches."""
    steps = () if schedule is None else schedule.steps
    return {graph.producer[step.value] for step in steps if isinstance(step, Fetch)}
