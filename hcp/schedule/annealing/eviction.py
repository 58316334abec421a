"""A start for annealing: follow an order, and drop the cheapest idle value when memory runs out.

Dynamic tensor rematerialization (Kirisame et al., ICLR 2021) with two differences: the future is known, so the time to
a value's next use takes the place of the time since its last one; and costs are exact closures, counted per node, of
what has to run again.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcp.schedule.annealing.compiled import compiled
from hcp.schedule.annealing.network import Int32, Int64, Network

# Executions per node beyond which dropping has become a treadmill, and the result is of no use.
_MOST_EXECUTIONS: Final = 8


@compiled
def evict_greedily(net: Network, order: Int64, capacity: int) -> Int32:
    """Executions that follow an order and run dropped nodes again when they are needed.

    Args:
        net: The graph.
        order: Every node once, in a topological order.
        capacity: Units of memory beside the graph's inputs. It is exceeded where nothing can be dropped.

    Returns:
        A legal sequence of nodes; the order itself where dropping leads nowhere.
    """
    nodes, bundles = len(net.cost), len(net.size)
    step_of = np.empty(nodes, np.int64)
    for step in range(nodes):
        step_of[order[step]] = step
    live = np.zeros(bundles, np.bool_)
    pins = np.zeros(bundles, np.int64)
    ran = np.zeros(nodes, np.bool_)
    seen = np.zeros(nodes, np.int64)
    work = np.empty(nodes, np.int32)
    stack = np.empty(nodes + 1, np.int32)
    result = np.empty(_MOST_EXECUTIONS * nodes, np.int32)
    length, used, stamp = 0, 0, 0
    for step in range(nodes):
        stack[0] = order[step]
        height = 1
        _pin(net, pins, stack[0], 1)
        while height > 0:
            node = stack[height - 1]
            missing = _missing(net, live, node)
            if missing >= 0:
                stack[height] = missing
                _pin(net, pins, missing, 1)
                height += 1
                continue
            fixed = net.held[node]
            need = net.scratch[node] + fixed
            for i in range(net.make_start[node], net.make_start[node + 1]):
                need += 0 if live[net.makes[i]] else net.size[net.makes[i]]
            if length == len(result):
                return order.astype(np.int32)
            while used + need > capacity:
                victim, best = -1, np.inf
                for bundle in range(bundles):
                    if not live[bundle] or pins[bundle] > 0 or net.maker[bundle] == node:
                        continue
                    if net.repeatable[net.maker[bundle]]:
                        stamp += 1
                        gap = _next_use(net, step_of, bundle, step) - step
                        cost = _closure(net, live, net.maker[bundle], seen, stamp, work)
                        score = (cost + 1.0) / (float(net.size[bundle]) * gap)
                        if score < best:
                            victim, best = bundle, score
                if victim < 0:
                    break
                live[victim] = False
                used -= net.size[victim]
            result[length] = node
            length += 1
            if not ran[node]:
                ran[node] = True
                used += fixed
            for i in range(net.make_start[node], net.make_start[node + 1]):
                if not live[net.makes[i]]:
                    live[net.makes[i]] = True
                    used += net.size[net.makes[i]]
            height -= 1
            _pin(net, pins, node, -1)
            used -= _release(net, step_of, live, pins, node, step)
    return result[:length]


@compiled
def _pin(net: Network, pins: Int64, node: int, by: int) -> None:
    for i in range(net.read_start[node], net.read_start[node + 1]):
        pins[net.reads[i]] += by


@compiled
def _missing(net: Network, live: NDArray[np.bool_], node: int) -> int:
    for i in range(net.read_start[node], net.read_start[node + 1]):
        if not live[net.reads[i]]:
            return int(net.maker[net.reads[i]])
    return -1


@compiled
def _next_use(net: Network, step_of: Int64, bundle: int, step: int) -> int:
    nearest = len(step_of) + 1
    for i in range(net.reader_start[bundle], net.reader_start[bundle + 1]):
        use = step_of[net.readers[i]]
        if step < use < nearest:
            nearest = use
    return nearest


@compiled
def _closure(net: Network, live: NDArray[np.bool_], node: int, seen: Int64, stamp: int, work: Int32) -> float:
    """Cost of making a node's outputs again from what is live."""
    work[0] = node
    seen[node] = stamp
    height, cost = 1, 0.0
    while height > 0:
        height -= 1
        at = work[height]
        cost += net.cost[at]
        for i in range(net.read_start[at], net.read_start[at + 1]):
            maker = net.maker[net.reads[i]]
            if not live[net.reads[i]] and seen[maker] != stamp:
                seen[maker] = stamp
                work[height] = maker
                height += 1
    return cost


@compiled
def _release(net: Network, step_of: Int64, live: NDArray[np.bool_], pins: Int64, node: int, step: int) -> int:
    """Drops what nobody needs any more after a node has run; returns the units freed."""
    freed = 0
    for i in range(net.read_start[node], net.read_start[node + 1]):
        freed += _release_one(net, step_of, live, pins, net.reads[i], step)
    for i in range(net.make_start[node], net.make_start[node + 1]):
        freed += _release_one(net, step_of, live, pins, net.makes[i], step)
    return freed


@compiled
def _release_one(net: Network, step_of: Int64, live: NDArray[np.bool_], pins: Int64, bundle: int, step: int) -> int:
    if live[bundle] and pins[bundle] == 0 and _next_use(net, step_of, bundle, step) > len(step_of):
        live[bundle] = False
        return int(net.size[bundle])
    return 0
