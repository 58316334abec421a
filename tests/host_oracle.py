"""The best schedule with a host link, by searches that know nothing but the rules of replay."""

from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count


def cheapest_with_host(graph, budget, host):
    """Least cost over all sequences of single actions; None where none fits. For a handful of nodes.

    A state is what replay knows: which nodes have run, which values are live, and which are on the host, where a copy
    may as well stay, as the capacity is not looked at.
    """
    start = (frozenset(), frozenset(value.name for value in graph.inputs), frozenset())
    best = {start: 0}
    tie = count()
    queue = [(0, next(tie), start)]
    while queue:
        cost, _, state = heappop(queue)
        if cost > best[state]:
            continue
        if len(state[0]) == len(graph.nodes):
            return cost
        for extra, after in _steps(graph, budget, host, state):
            if cost + extra < best.get(after, cost + extra + 1):
                best[after] = cost + extra
                heappush(queue, (cost + extra, next(tie), after))
    return None


def _steps(graph, budget, host, state):
    ran, live, copied = state
    held = sum(graph.values[name].bytes for name in live)
    for name in live:
        value = graph.values[name]
        if not value.resident:
            yield 0, (ran, live - {name}, copied)
            if name not in copied:
                yield host.offload_cost(value.bytes), (ran, live, copied | {name})
    for name in copied - live:
        size = graph.values[name].bytes
        if held + size <= budget:
            yield host.fetch_cost(size), (ran, live | {name}, copied)
    for node in graph.nodes:
        if (node.name in ran and not node.recomputable) or not live.issuperset(node.inputs):
            continue
        if held + node.workspace + sum(value.bytes for value in node.outputs) <= budget:
            yield node.cost, (ran | {node.name}, live | {value.name for value in node.outputs}, copied)


def quickest_with_host(graph, budget, host, known=None):
    """Least makespan over all sequences of single actions where copies overlap; None where none is below ``known``.

    Without a host, where nodes have engines.

    The capacity is not looked at. What is under way counts from when the computation is where it is, so that states
    that look alike are alike. Those first that may be done first: no sooner than when every node has run, and every
    copy. What nobody reads is not moved.
    """

    def least(now, state):
        rest = dict.fromkeys(("", *graph.engines), 0) | dict(state.beside)
        for node in graph.nodes:
            rest[node.engine] += 0 if node.name in state.ran else node.cost
        return now + max(state.out, state.back, *rest.values())

    start = Clocked(frozenset(), frozenset(value.name for value in graph.inputs))
    best, tie, queue = {start: 0}, count(), [(least(0, start), 0, 0, start)]
    while queue:
        bound, _, now, state = heappop(queue)
        if known is not None and bound >= known:
            return None
        if now > best[state]:
            continue
        if len(state.ran) == len(graph.nodes):
            return bound
        for passed, after in state.steps(graph, budget, host):
            # Engines' queues could grow for ever.
            late = known is not None and least(now + passed, after) >= known
            if not late and now + passed < best.get(after, now + passed + 1):
                best[after] = now + passed
                heappush(queue, (least(now + passed, after), -next(tie), now + passed, after))
    return None


@dataclass(frozen=True)
class Clocked:
    """What replay knows: of copies, pairs of a value and the time until they are complete."""

    ran: frozenset
    live: frozenset
    out: int = 0
    back: int = 0
    copied: frozenset = frozenset()
    arriving: frozenset = frozenset()
    leaving: frozenset = frozenset()
    beside: frozenset = frozenset()

    def after(self, passed):
        """The same, so much later."""
        return replace(
            self,
            out=max(0, self.out - passed),
            back=max(0, self.back - passed),
            copied=frozenset((name, max(0, left - passed)) for name, left in self.copied),
            arriving=frozenset((name, left - passed) for name, left in self.arriving if left > passed),
            leaving=frozenset((name, left - passed) for name, left in self.leaving if left > passed),
            beside=frozenset((name, left - passed) for name, left in self.beside if left > passed),
        )

    def without(self, names):
        """Without what is under way of some values, and the time that it takes until then."""
        wait = max((left for name, left in (*self.arriving, *self.leaving) if name in names), default=0)
        return wait, self.after(wait)

    def steps(self, graph, budget, host):
        held = sum(graph.values[name].bytes for name in self.live)
        on_host = dict(self.copied)
        for name in self.live:
            value = graph.values[name]
            if value.resident:
                continue
            wait, later = self.without({name})
            yield wait, replace(later, live=self.live - {name})
            if host is not None and name not in on_host and graph.readers[name]:
                begin = max(self.out, dict(self.arriving).get(name, 0))
                end = begin + host.offload_cost(value.bytes)
                yield (
                    0,
                    replace(self, out=end, copied=self.copied | {(name, end)}, leaving=self.leaving | {(name, end)}),
                )
        for name in on_host.keys() - self.live:
            size = graph.values[name].bytes
            if held + size <= budget:
                end = max(self.back, on_host[name]) + host.fetch_cost(size)
                yield 0, replace(self, back=end, live=self.live | {name}, arriving=self.arriving | {(name, end)})
        for node in graph.nodes:
            if (node.name in self.ran and not node.recomputable) or not self.live.issuperset(node.inputs):
                continue
            makes = {value.name for value in node.outputs}
            if held + node.workspace + sum(value.bytes for value in node.outputs) <= budget:
                if node.engine:
                    yield self.started(graph, node, makes)
                    continue
                wait = max((left for name, left in self.arriving if name in node.inputs), default=0)
                more, later = self.after(wait + node.cost).without(makes)
                yield wait + node.cost + more, replace(later, ran=self.ran | {node.name}, live=self.live | makes)

    def started(self, graph, node, makes):
        """Time until a node can be put into its engine's queue, and what is known then."""
        wait, later = self.without(makes)
        beside, arriving = dict(later.beside), dict(later.arriving)
        end = max([beside.get(node.engine, 0), *(arriving.get(name, 0) for name in node.inputs)]) + node.cost
        reads = {name for name in node.inputs if not graph.values[name].resident}
        return wait, replace(
            later,
            ran=later.ran | {node.name},
            live=later.live | makes,
            arriving=later.arriving | {(name, end) for name in makes},
            leaving=later.leaving | {(name, end) for name in reads},
            beside=frozenset((beside | {node.engine: end}).items()),
        )
