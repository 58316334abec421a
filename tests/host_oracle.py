"""The cheapest schedule with a host link, by a search that knows nothing but the rules of replay."""

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
