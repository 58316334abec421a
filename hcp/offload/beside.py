"""Plans graphs of which some nodes run on engines beside the computation, such as collectives on the network.

Planners know nothing of engines: they plan the graph without any, in which costs are weighted, so that what the engines
with most to do save counts more. Their bounds hold here, divided by the weights (``hcp.solvers.certificates.engines``),
and their schedules are judged with engines.
"""

from contextlib import suppress
from dataclasses import dataclass, field, replace

from hcp.graph.ir import LARGEST_TOTAL, Graph
from hcp.offload.earlier import earlier
from hcp.planning.parameters import Count, Params
from hcp.planning.planner import AnyPlanner, ask
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, NotApplicable, Problem
from hcp.planning.solution import Bound, Solution, Status
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, ScheduleError
from hcp.schedule.host import HostLink
from hcp.solvers.certificates.engines import EnginesCertificate, EngineWeights, carried, fits, queue_bounds, weighted


@dataclass(frozen=True)
class EngineParams(Params):
    """Tuned choices.

    Attributes:
        rounds: Weights that are planned with.
        factor: How much more the busiest engine counts in the next round.
    """

    rounds: Count = 3
    factor: Count = 64


@dataclass(frozen=True)
class WithEngines:
    """Plans problems with engines.

    Attributes:
        planner: Plans graphs without them.
        params: Tuned choices.
    """

    planner: AnyPlanner
    params: EngineParams = field(default_factory=EngineParams)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """The best plan found within the time limit; Ctrl-C ends the search with it.

        Raises:
            NotApplicable: If the planner does not fit the graph.
        """
        tracker = Tracker(problem, limits, control, with_engines=True)
        search = _Search(tracker, self.planner, self.params)
        return tracker.run(lambda _: search.solution())


@dataclass
class _Search:
    """The search's state; ``refused`` tells that no plan can exist, and why."""

    tracker: Tracker
    planner: AnyPlanner
    params: EngineParams
    refused: Solution | None = None

    @property
    def graph(self) -> Graph:
        return self.tracker.problem.graph

    def solution(self) -> Solution:
        self._run()
        if self.refused is not None:
            return self.tracker.infeasible(self._too_small(self.refused), self.refused.note)
        return self.tracker.solution()

    def _run(self) -> None:
        if self.tracker.schedule is not None:
            self._offer(self.tracker.schedule)
        for bound in queue_bounds(self.graph):
            self.tracker.add_bound(bound)
        counts = dict.fromkeys(("", *self.graph.engines), 1)
        rounds = self.params.rounds
        for place in range(rounds):
            if self.tracker.over or not fits(self.graph, counts):
                return
            try:
                found = self._ask(EngineWeights.of(self.graph, counts), self.tracker.deadline.left / (rounds - place))
            except NotApplicable:
                if not place:
                    raise
                return
            if found.status is Status.INFEASIBLE:
                # Memory is the same without engines.
                self.refused = found
            if found.schedule is None:
                return
            counts[self._busiest(found.schedule)] *= self.params.factor

    def _ask(self, weights: EngineWeights, amount: float) -> Solution:
        """Has the weighted graph planned; takes what comes of it."""
        tracker, problem = self.tracker, self.tracker.problem
        tracker.report(", ".join(f"{name or 'computation'} x {count}" for name, count in weights.amounts))
        host = None if problem.host is None else _weighted_link(problem.host, dict(weights.amounts)[""])
        other = replace(problem, graph=weighted(self.graph, weights), host=host)
        control = Control(
            lambda: tracker.deadline.stopped,
            lambda progress: tracker.report(progress.phase),
            tracker.schedule,
        )
        found = ask(self.planner, other, tracker.limits.part(tracker.deadline, amount), control)
        tracker.planner = tracker.planner or found.planner
        if found.schedule is not None:
            self._offer(found.schedule)
        for bound in found.bounds:
            self._carry(bound, weights)
        return found

    def _carry(self, bound: Bound, weights: EngineWeights) -> None:
        """Takes a bound on the weighted graph as one on the graph; with a host, those on the cost are of another."""
        proof = bound.certificate
        certificate = None if proof is None else EnginesCertificate(weights, proof)
        if bound.of == "cost" and self.tracker.problem.host is None and bound.scope in self.tracker.problem.scopes:
            value = carried(self.graph, weights, bound.value)
            source = f"{bound.source}, with engines"
            self.tracker.add_bound(Bound(value, "cost", bound.scope, certificate, source))

    def _too_small(self, found: Solution) -> Bound | None:
        """The bound on the peak that refuses the budget, where there is one that can be checked here."""
        bounds = [bound for bound in found.bounds if bound.of == "peak" and self.tracker.problem.host is None]
        return max(bounds, key=lambda bound: bound.value, default=None)

    def _busiest(self, schedule: Schedule) -> str:
        """The engine with most to do in a schedule."""
        work = dict.fromkeys(("", *self.graph.engines), 0)
        for name in schedule.computes:
            node = self.graph.node[name]
            work[node.engine] += node.cost
        return max(work, key=lambda engine: work[engine])

    def _offer(self, schedule: Schedule) -> None:
        """Offers a schedule, and the same with more beside the computation."""
        self.tracker.offer(schedule)
        problem = self.tracker.problem
        # A user's incumbent may be illegal.
        with suppress(ScheduleError):
            self.tracker.offer(earlier(self.graph, schedule, problem.budget, problem.host))


def _weighted_link(host: HostLink, count: int) -> HostLink:
    """The link beside a computation whose costs count so often."""
    out, back = (max(1, rate // count) for rate in (host.offload_rate, host.fetch_rate))
    return HostLink(out, back, min(LARGEST_TOTAL, host.latency * count), host.capacity, host.overlap)
