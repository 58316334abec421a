"""Planning with a host link by planners that only recompute.

The first plan only recomputes; what costs more to recompute than to fetch is fetched. Then the planner plans surrogate
graphs, in which the values are fetched that the best plan so far moves, or that are cheaper to move than to make; each
result is improved again, and the best is kept. Where moving helps nowhere, the time left goes to a plan without.

Surrogates know costs alone. Where copies overlap the computation, a copy costs nothing while its engine would be idle,
and waiting otherwise: surrogates in which copies have a price below or above their cost are planned, and what comes of
it is judged by its makespan. The price is right where as much is lost by waiting as by computing again. Where the link
is slow, what matters is which values move: those that are idle for longest leave it the most time.

Paging is planned together with rematerialization by integer programmes in POET (Patil et al. 2022), and alone in vDNN
(Rhu et al. 2016); here any planner does it, on graphs of any size, without a guarantee but for the bounds.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Final

from hcp.graph.errors import HcpError
from hcp.graph.ir import LARGEST_TOTAL, Graph, Node
from hcp.offload.chains import chain_schedules
from hcp.offload.improve import improved
from hcp.offload.overlap import overlapped
from hcp.offload.surrogate import Surrogate
from hcp.planning.deadline import Deadline
from hcp.planning.parameters import Count, Params, Share
from hcp.planning.planner import AnyPlanner, ask
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, NotApplicable, Problem, Progress
from hcp.planning.solution import Bound, Solution, Status
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Fetch, Schedule, ScheduleError
from hcp.schedule.host import HostLink
from hcp.schedule.replay import Usage, replay
from hcp.solvers.certificates.host import fetchable

# Of copies that overlap the computation, as powers of two of their cost.
PRICES: Final = (-8.0, 1.0)


@dataclass(frozen=True)
class HostParams(Params):
    """Parameters of planning with a host.

    Attributes:
        plain_share: Share of the remaining time for the plan without transfers.
        bound_share: Share of the time that is left after that for bounds; 0 leaves them out.
        conflict_share: Share of the bounds' time for conflicts.
        chain_share: Share of the time that is left after these for what is known of chains.
        surrogate_share: Share of the remaining time for each surrogate.
        rounds: Rounds of surrogates.
    """

    plain_share: Share = 0.35
    bound_share: Share = 0.2
    conflict_share: Share = 0.3
    chain_share: Share = 0.2
    surrogate_share: Share = 0.5
    rounds: Count = 7


@dataclass(frozen=True)
class WithHost:
    """Plans problems with a host link.

    Attributes:
        planner: Plans graphs without one.
        params: Tuned choices.
    """

    planner: AnyPlanner
    params: HostParams = field(default_factory=HostParams)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """The best plan found within the time limit; Ctrl-C ends the search with it.

        Raises:
            HcpError: If the problem has no host.
            NotApplicable: If the planner does not fit the graph.
        """
        if problem.host is None:
            raise HcpError("the planner plans with a host, and the problem has none; give host, such as '12GiB/s'")
        tracker = Tracker(problem, limits, control)
        search = _Search(tracker, problem.host, self.planner, self.params, problem.host.priced(1))
        return tracker.run(lambda _: search.solution())


@dataclass
class _Search:
    """The search's state; ``infeasibility`` tells why no plan can exist, ``price`` what copies cost in surrogates."""

    tracker: Tracker
    host: HostLink
    planner: AnyPlanner
    params: HostParams
    price: HostLink
    infeasibility: Bound | None = None

    @property
    def problem(self) -> Problem:
        return self.tracker.problem

    @property
    def graph(self) -> Graph:
        return self.problem.graph

    def run(self) -> None:
        deadline = self.tracker.deadline
        if self.tracker.schedule is not None:
            self._offer_improved(self.tracker.schedule)
        plain = self._plain(deadline.left * self.params.plain_share)
        # Planners that only search are not made to wait for bounds.
        proves = bool(plain.bounds) or plain.status is Status.INFEASIBLE
        if self._over() or (proves and not self._bounded()):
            return
        self._try_chains()
        if self._over():
            return
        if self.host.overlap:
            self._search_overlapping()
        else:
            self._search_choices()
        if not self._over() and not self._fetched():
            self._plain(deadline.left)

    def _plain(self, amount: float) -> Solution:
        """Has the graph planned without transfers."""
        surrogate = self._surrogate()
        found = self._ask(surrogate, amount)
        self._offer_all(surrogate, found)
        return found

    def _try_chains(self) -> None:
        """What is known of chains, where the graph is one."""
        limit = self.tracker.deadline.part(self.tracker.deadline.left * self.params.chain_share)
        for schedule in chain_schedules(self.problem, self.host):
            self._offer(schedule)
            self._offer_improved(schedule)
            if limit.over:
                return

    def _search_choices(self) -> None:
        tried = {frozenset[str]()}
        for chosen in self._choices():
            if self._over():
                return
            if chosen not in tried:
                tried.add(chosen)
                self._ask_again(self._surrogate(chosen), self.params.surrogate_share)

    def _search_overlapping(self) -> None:
        """Surrogates for ever better shares of the link's time, and then prices of copies, each between two by halves.

        Some rounds give copies next to no price, of as many values as a share of the link's time is enough for, those
        first that are idle for longest, and know how long these take to leave; the others any value, with a price.
        """
        rounds = self.params.rounds
        share = _Halves(0.0, 1.0)
        price = _Halves(*PRICES)
        for place in range(rounds):
            if self._over():
                return
            of_time = place < rounds // 2
            self.price = self.host.priced(2.0 ** (PRICES[0] if of_time else price.middle))
            chosen = self._idle(share.middle) if of_time else self._worth_it()
            usage = self._ask_again(self._surrogate(chosen, leaving=of_time), 1 / (rounds - place))
            # Whether more is lost by computing again than by waiting for copies, or there is no plan.
            again = usage is None or 2 * _again(usage, self.graph) >= usage.makespan - self.graph.base_cost
            (share if of_time else price).halve(again if of_time else not again)

    def _idle(self, share: float) -> frozenset[str]:
        """Nodes whose values are idle for longer than it takes to move them, as many as the link has the time for."""
        idle = _idle_times(self.graph)
        left = share * self.graph.base_cost
        found = []
        for node in sorted(self._movable(), key=lambda node: -idle[node.name]):
            sizes = [value.bytes for value in fetchable(self.graph, node)]
            out, both = sum(map(self.host.offload_cost, sizes)), sum(map(self.host.round_trip_cost, sizes))
            if both < idle[node.name] and out <= left:
                left -= out
                found.append(node)
        return self._affordable(found)

    def _over(self) -> bool:
        return self.tracker.over

    def solution(self) -> Solution:
        self.run()
        if self.infeasibility is not None:
            least = self.infeasibility.value
            note = f"every schedule, with transfers or without, holds at least {least} bytes at some time"
            return self.tracker.infeasible(self.infeasibility, note)
        return self.tracker.solution()

    def _bounded(self) -> bool:
        """Looks for bounds; says whether a plan may exist and be better than the best."""
        # Loads solvers, which heuristics do without.
        from hcp.solvers.host_bounds import host_bounds

        if not self.params.bound_share:
            return True
        self.tracker.report("bounds with transfers")
        limit, of_conflicts = self._share(self.params.bound_share), self.params.conflict_share
        budget, cost = self.problem.budget, self.tracker.cost
        for bound in host_bounds(self.graph, budget, self.host, limit, of_conflicts, cost):
            if bound.of == "peak":
                self.infeasibility = bound
                return False
            self.tracker.add_bound(bound)
        return not self.tracker.done

    def _share(self, share: float) -> Deadline:
        return self.tracker.deadline.part(self.tracker.deadline.left * share)

    def _choices(self) -> Iterator[frozenset[str]]:
        """Which nodes' values to fetch: those that seem worth it, and, where a plan is lacking, all."""
        for _ in range(self.params.rounds):
            yield self._worth_it()
            if self.tracker.schedule is None:
                yield self._affordable(self._movable())
        yield self._affordable(self._movable())

    def _worth_it(self) -> frozenset[str]:
        """Nodes whose values the best plan moves, or that are cheaper to move than to make."""
        cheap = [node for node in self._movable() if not node.recomputable or self._cost(node) <= node.cost]
        return self._affordable([*self._moved(), *cheap])

    def _movable(self) -> list[Node]:
        """Nodes whose values can be moved, those first that cost least to move for their bytes."""
        most = LARGEST_TOTAL // (4 * len(self.graph.values) + 1)
        found = [node for node in self.graph.nodes if fetchable(self.graph, node) and self._cost(node) <= most]
        return sorted(found, key=lambda node: self._cost(node) / self._bytes(node))

    def _moved(self) -> list[Node]:
        """Nodes whose values the best plan moves."""
        names = self._fetched()
        return [node for node in self.graph.nodes if node.name in names]

    def _fetched(self) -> set[str]:
        """Names of the nodes whose values the best plan fetches."""
        steps = () if self.tracker.schedule is None else self.tracker.schedule.steps
        return {self.graph.producer[step.value] for step in steps if isinstance(step, Fetch)}

    def _cost(self, node: Node) -> int:
        return sum(self.price.round_trip_cost(value.bytes) for value in fetchable(self.graph, node))

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

    def _surrogate(self, chosen: frozenset[str] = frozenset(), *, leaving: bool = False) -> Surrogate:
        """The graph to plan, in the order of the best plan; in it, values may take time to leave."""
        order = self.graph.order if self.problem.order is None else self.problem.order
        best = self.tracker.schedule
        order = order if best is None else tuple(dict.fromkeys(best.computes))
        meanwhile = _leaving(self.graph, order, self.host, chosen) if leaving else {}
        return Surrogate(self.graph, self.price, chosen, order, meanwhile)

    def _ask_again(self, surrogate: Surrogate, share: float) -> Usage | None:
        """Has a surrogate planned in a share of the time that is left; what the best that comes of it uses."""
        try:
            found = self._ask(surrogate, self.tracker.deadline.left * share)
        except NotApplicable:
            # Surrogates lack structure that some planners need; the plan without transfers is there.
            return None
        return self._offer_all(surrogate, found)

    def _ask(self, surrogate: Surrogate, amount: float) -> Solution:
        """Has a surrogate planned."""
        best = self.tracker.schedule
        start = None if best is None or self._fetched() - surrogate.chosen else surrogate.schedule(best.steps)
        tracker = self.tracker
        order = None if self.problem.order is None else surrogate.graph.order
        found = ask(
            self.planner,
            Problem(surrogate.graph, self.problem.budget, order),
            tracker.limits.part(tracker.deadline, amount),
            Control(
                lambda: tracker.deadline.stopped, lambda progress: self._pass_on(progress, surrogate.constant), start
            ),
        )
        tracker.planner = tracker.planner or found.planner
        return found

    def _offer_all(self, surrogate: Surrogate, found: Solution) -> Usage | None:
        """Offers what comes of a surrogate's plan; what the best of it uses."""
        if found.schedule is None:
            return None
        schedule = Schedule.from_steps(self.graph, surrogate.steps(found.schedule))
        usages = [self._offer(schedule), self._offer_improved(schedule)]
        return min(filter(None, usages), key=lambda usage: usage.makespan, default=None)

    def _offer(self, schedule: Schedule) -> Usage | None:
        """Offers a schedule, its copies as early as may be where they overlap; what it uses, where it is legal."""
        try:
            if self.host.overlap:
                schedule = overlapped(self.graph, schedule, self.problem.budget, self.host)
            usage = replay(self.graph, schedule, self.host)
        except ScheduleError:
            # A user's incumbent, or one that holds more on the host than it has.
            return None
        self.tracker.offer(schedule)
        return usage

    def _offer_improved(self, schedule: Schedule) -> Usage | None:
        try:
            return self._offer(improved(self.graph, schedule.steps, self.problem.budget, self.price))
        except ScheduleError:
            # With one offload for each value it holds more on the host than that has.
            return None

    def _pass_on(self, progress: Progress, constant: int) -> None:
        """Reports what a planner says about a surrogate; its bounds say nothing of the graph itself."""
        tracker = self.tracker
        costs = [] if progress.incumbent is None else [progress.incumbent - constant]
        costs += [] if tracker.cost is None else [tracker.cost]
        cost = max(tracker.bound, min(costs)) if costs else None
        tracker.control.monitor(
            replace(progress, seconds=tracker.deadline.seconds, incumbent=cost, bound=tracker.bound)
        )


@dataclass
class _Halves:
    """A search between two numbers by halves."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    def halve(self, upper: bool) -> None:
        """Goes on in the upper half, or in the lower one."""
        self.low, self.high = (self.middle, self.high) if upper else (self.low, self.middle)


def _times(graph: Graph, order: tuple[str, ...]) -> list[int]:
    """When each node begins, and the last one ends, where every node runs once."""
    return [*accumulate((graph.node[name].cost for name in order), initial=0)]


def _idle_times(graph: Graph) -> dict[str, int]:
    """By node, for how long its values are not read at a time, where every node runs once in the graph's order."""
    begins = dict(zip(graph.order, _times(graph, graph.order), strict=False))
    found = {}
    for node in graph.nodes:
        end = begins[node.name] + node.cost
        idle = []
        for value in fetchable(graph, node):
            uses = [end, *sorted(begins[reader] for reader in graph.readers[value.name])]
            idle.append(max((later - earlier for earlier, later in pairwise(uses)), default=0))
        found[node.name] = min(idle, default=0)
    return found


def _leaving(graph: Graph, order: tuple[str, ...], host: HostLink, chosen: frozenset[str]) -> dict[str, str]:
    """By chosen node, the last one that runs while its values are on their way out, where every node runs once."""
    times = _times(graph, order)
    found, free = {}, 0
    for place, name in enumerate(order):
        if name in chosen:
            sizes = [value.bytes for value in fetchable(graph, graph.node[name])]
            free = max(free, times[place + 1]) + sum(map(host.offload_cost, sizes))
            # Nodes that begin before that.
            last = bisect_left(times, free, hi=len(order)) - 1
            if last > place:
                found[name] = order[last]
    return found


def _again(usage: Usage, graph: Graph) -> int:
    """What computing again costs."""
    return usage.cost - usage.transfer_cost - graph.base_cost
