"""What has to be held so that everything still to be read can be made again: a minimum vertex cut, in compiled code.

Trace a value that is still to be read back: it is held, or its producer, a node of F, runs again, and then each of that
node's inputs is traced in turn. What is held therefore meets every path of this kind that ends at a value made outside
of F, which nothing can make again. The least bytes of such a set are a maximum flow with capacities in bytes
(Ford and Fulkerson 1956), here by shortest augmenting paths (Edmonds and Karp 1972).
"""

from typing import NamedTuple

import numpy as np

from hcp.annealing.compiled import compiled_inside
from hcp.graph.index import BoolArray, IntArray
from hcp.solvers.conflicts.walk import Int32, Net, Walk

_THROUGH, _START = -1, -2


class Flow(NamedTuple):
    """A flow from values that are still to be read to values made outside of F; points are values, then nodes.

    Attributes:
        own: Values that the node reads which is to run.
        blocked: Values that are held in any case.
        through: Per value, the flow through it.
        along: Per read, the flow from the node to the value.
        seen: Points reached in a search.
        before, by: The point before each, and how it was reached: by which read, or ``_THROUGH`` a value.
        queue: Points.
        steps: Taken in all searches, one number.
    """

    own: BoolArray
    blocked: BoolArray
    through: IntArray
    along: IntArray
    seen: BoolArray
    before: Int32
    by: Int32
    queue: Int32
    steps: IntArray


@compiled_inside
def new_flow(net: Net) -> Flow:
    """Room for a flow."""
    values, points = len(net.size), len(net.size) + len(net.needs)
    return Flow(
        np.zeros(values, np.bool_),
        np.zeros(values, np.bool_),
        np.zeros(values, np.int64),
        np.zeros(len(net.reads), np.int64),
        np.zeros(points, np.bool_),
        np.zeros(points, np.int32),
        np.zeros(points, np.int32),
        np.zeros(points, np.int32),
        np.zeros(1, np.int64),
    )


@compiled_inside
def fits(net: Net, walk: Walk, flow: Flow, v: int) -> bool:
    """Whether node v may run next; notes in the walk what is enough to hold, where that is found out."""
    room = net.budget - walk.memory[0] - net.peak[v]
    if room < 0 or not net.traced:
        return bool(room >= 0)
    flow.own[:] = False
    for i in range(net.read_start[v], net.read_start[v + 1]):
        flow.own[net.reads[i]] = True
    wanted, enough = np.int64(0), np.int64(0)
    for x in range(len(net.size)):
        flow.blocked[x] = flow.own[x] or (walk.born[x] and walk.left[x] > 0 and not net.free[net.maker[x]])
        if walk.born[x] and not flow.blocked[x]:
            wanted += net.size[x] if walk.left[x] > 0 else 0
            enough += net.size[x] if walk.cut[x] else 0
    if min(wanted, enough) <= room:
        return True
    return _within(net, walk, flow, room)


@compiled_inside
def _within(net: Net, walk: Walk, flow: Flow, room: int) -> bool:
    """Whether the minimum cut has no more than some bytes; it becomes the walk's if so."""
    flow.through[:] = 0
    flow.along[:] = 0
    total = np.int64(0)
    end = _path(net, walk, flow)
    while end >= 0:
        total += _augment(net, flow, end)
        if total > room:
            return False
        end = _path(net, walk, flow)
    values = len(net.size)
    for x in range(values):
        p = net.maker[x]
        # What the node reads is held now, and may be given up later.
        walk.cut[x] = flow.own[x] or (flow.seen[x] and not (net.free[p] and flow.seen[values + p]))
    return True


@compiled_inside
def _reach(flow: Flow, point: int, before: int, by: int, count: int) -> int:
    """Adds a point to the queue, unless it was reached; the length of the queue."""
    if flow.seen[point]:
        return count
    flow.seen[point] = True
    flow.before[point] = before
    flow.by[point] = by
    flow.queue[count] = point
    return count + 1


@compiled_inside
def _path(net: Net, walk: Walk, flow: Flow) -> int:
    """The value made outside of F at the end of a path with room for more flow; -1 where there is none."""
    values = len(net.size)
    flow.seen[:] = False
    count = 0
    for x in range(values):
        if walk.born[x] and walk.left[x] > 0 and not flow.blocked[x]:
            count = _reach(flow, x, _START, _START, count)
    at = 0
    while at < count:
        point = flow.queue[at]
        at += 1
        if point >= values:
            count = _from_node(net, flow, point - values, count)
            continue
        p = net.maker[point]
        if flow.through[point] < net.size[point]:
            if not net.free[p]:
                flow.steps[0] += at
                return int(point)
            count = _reach(flow, values + p, point, _THROUGH, count)
        for i in range(net.user_start[point], net.user_start[point + 1]):
            if flow.along[net.user_reads[i]] > 0:
                count = _reach(flow, values + net.users[i], point, net.user_reads[i], count)
    flow.steps[0] += at
    return -1


@compiled_inside
def _from_node(net: Net, flow: Flow, p: int, count: int) -> int:
    """Goes on from a node: to its inputs, and back to outputs through which something flows."""
    point = len(net.size) + p
    for i in range(net.read_start[p], net.read_start[p + 1]):
        if not flow.blocked[net.reads[i]]:
            count = _reach(flow, net.reads[i], point, i, count)
    for i in range(net.made_start[p], net.made_start[p + 1]):
        if flow.through[net.made[i]] > 0:
            count = _reach(flow, net.made[i], point, _THROUGH, count)
    return count


@compiled_inside
def _augment(net: Net, flow: Flow, end: int) -> int:
    """Sends as much as the path to a value has room for; how much that is."""
    values = len(net.size)
    amount = net.size[end] - flow.through[end]
    point = end
    while flow.before[point] >= 0:
        before, by = flow.before[point], flow.by[point]
        if point >= values:
            amount = min(amount, net.size[before] - flow.through[before] if by == _THROUGH else flow.along[by])
        elif by == _THROUGH:
            amount = min(amount, flow.through[point])
        point = before
    flow.through[end] += amount
    point = end
    while flow.before[point] >= 0:
        before, by = flow.before[point], flow.by[point]
        if point >= values and by == _THROUGH:
            flow.through[before] += amount
        elif point >= values:
            flow.along[by] -= amount
        elif by == _THROUGH:
            flow.through[point] -= amount
        else:
            flow.along[by] += amount
        point = before
    return int(amount)
