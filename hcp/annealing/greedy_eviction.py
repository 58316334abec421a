"""A start for annealing: follow an order, and drop the cheapest idle value when memory runs out.

Dynamic tensor rematerialization (Kirisame et al., ICLR 2021) with two differences: the future is known, so the time to
a value's next use takes the place of the time since its last one; and costs are exact closures, counted per node, of
what has to run again.
"""

from typing import Final, NamedTuple

import numpy as np

from hcp.annealing.compiled import compiled, compiled_inside
from hcp.annealing.network import Bool, Int32, Int64, Network

# Executions per node beyond which the pass ends: it would recompute more than the result is worth.
_MOST_EXECUTIONS: Final = 8


class _Pass(NamedTuple):
    """What is in memory while the order is followed.

    Attributes:
        step_of: Per node, its place in the order.
        live: Per bundle, whether it is in memory.
        pins: Per bundle, how many pending nodes read it.
        used: One entry: units in memory.
        seen: Per node, the last search that met it; one entry more counts the searches.
        queue: Room for a search over nodes.
    """

    step_of: Int64
    live: Bool
    pins: Int64
    used: Int64
    seen: Int64
    queue: Int32


@compiled
def evict_greedily(net: Network, order: Int64, capacity: int, halted: Bool) -> Int32:
    """Executions that follow an order and run dropped nodes again when they are needed.

    Args:
        net: The graph.
        order: Every node once, in a topological order.
        capacity: Units of memory beside the graph's inputs. It is exceeded where nothing can be dropped.
        halted: One entry, which another thread sets to end the pass.

    Returns:
        A legal sequence of nodes; the order itself where dropping leads nowhere, or the pass was ended.
    """
    nodes, bundles = len(net.cost), len(net.size)
    state = _Pass(
        np.empty(nodes, np.int64),
        np.zeros(bundles, np.bool_),
        np.zeros(bundles, np.int64),
        np.zeros(1, np.int64),
        np.zeros(nodes + 1, np.int64),
        np.empty(nodes, np.int32),
    )
    for step in range(nodes):
        state.step_of[order[step]] = step
    ran = np.zeros(nodes, np.bool_)
    stack = np.empty(nodes + 1, np.int32)
    result = np.empty(_MOST_EXECUTIONS * nodes, np.int32)
    length = 0
    for step in range(nodes):
        stack[0] = order[step]
        height = 1
        _pin(net, state, stack[0], 1)
        while height > 0:
            node = stack[height - 1]
            missing = _missing(net, state, node)
            if missing >= 0:
                stack[height] = missing
                _pin(net, state, missing, 1)
                height += 1
                continue
            if length == len(result) or halted[0]:
                return order.astype(np.int32)
            need = net.scratch[node] + net.held[node]
            for i in range(net.makes.start[node], net.makes.start[node + 1]):
                need += 0 if state.live[net.makes.items[i]] else net.size[net.makes.items[i]]
            _make_room(net, state, node, step, capacity - need, halted)
            result[length] = node
            length += 1
            state.used[0] += 0 if ran[node] else net.held[node]
            ran[node] = True
            for i in range(net.makes.start[node], net.makes.start[node + 1]):
                _set_live(net, state, net.makes.items[i], True)
            height -= 1
            _pin(net, state, node, -1)
            _release(net, state, node, step)
    return result[:length]


@compiled_inside
def _pin(net: Network, state: _Pass, node: int, by: int) -> None:
    for i in range(net.reads.start[node], net.reads.start[node + 1]):
        state.pins[net.reads.items[i]] += by


@compiled_inside
def _set_live(net: Network, state: _Pass, bundle: int, live: bool) -> None:
    if state.live[bundle] != live:
        state.live[bundle] = live
        state.used[0] += net.size[bundle] if live else -net.size[bundle]


@compiled_inside
def _missing(net: Network, state: _Pass, node: int) -> int:
    for i in range(net.reads.start[node], net.reads.start[node + 1]):
        if not state.live[net.reads.items[i]]:
            return int(net.maker[net.reads.items[i]])
    return -1


@compiled_inside
def _next_use(net: Network, state: _Pass, bundle: int, step: int) -> int:
    """The next step of the order that reads a bundle; a step behind the last if none does."""
    nearest = len(state.step_of) + 1
    for i in range(net.readers.start[bundle], net.readers.start[bundle + 1]):
        use = state.step_of[net.readers.items[i]]
        if step < use < nearest:
            nearest = use
    return nearest


@compiled_inside
def _make_room(  # noqa: PLR0917
    net: Network, state: _Pass, node: int, step: int, target: int, halted: Bool
) -> None:
    """Drops idle values, cheapest to make again per unit and step of absence first, until a target is met."""
    while state.used[0] > target and not halted[0]:
        victim, best = -1, np.inf
        for bundle in range(len(net.size)):
            maker = net.maker[bundle]
            if state.live[bundle] and state.pins[bundle] == 0 and maker != node and net.repeatable[maker]:
                absence = _next_use(net, state, bundle, step) - step
                score = (_closure(net, state, maker) + 1.0) / (float(net.size[bundle]) * absence)
                if score < best:
                    victim, best = bundle, score
        if victim < 0:
            return
        _set_live(net, state, victim, False)


@compiled_inside
def _closure(net: Network, state: _Pass, node: int) -> float:
    """Cost of making a node's outputs again from what is live."""
    state.seen[-1] += 1
    stamp = state.seen[-1]
    state.queue[0] = node
    state.seen[node] = stamp
    height, cost = 1, 0.0
    while height > 0:
        height -= 1
        at = state.queue[height]
        cost += net.cost[at]
        for i in range(net.reads.start[at], net.reads.start[at + 1]):
            maker = net.maker[net.reads.items[i]]
            if not state.live[net.reads.items[i]] and state.seen[maker] != stamp:
                state.seen[maker] = stamp
                state.queue[height] = maker
                height += 1
    return cost


@compiled_inside
def _release(net: Network, state: _Pass, node: int, step: int) -> None:
    """Drops what is not needed any more after a node has run."""
    for i in range(net.reads.start[node], net.reads.start[node + 1]):
        _release_one(net, state, net.reads.items[i], step)
    for i in range(net.makes.start[node], net.makes.start[node + 1]):
        _release_one(net, state, net.makes.items[i], step)


@compiled_inside
def _release_one(net: Network, state: _Pass, bundle: int, step: int) -> None:
    # What cannot be made again has to stay for executions that are not yet foreseen.
    if not net.repeatable[net.maker[bundle]]:
        return
    if state.pins[bundle] == 0 and _next_use(net, state, bundle, step) > len(state.step_of):
        _set_live(net, state, bundle, False)
