"""The state that annealing walks on: which node runs in which slot, and the memory held in every slot.

Two changes, ``insert`` and ``remove`` one execution, keep everything up to date by touching only the intervals of that
node's values and of its inputs. Memory is what ``hcp.schedule.replay`` counts for ``Schedule.from_computes``: an
instance of a value lives from its production to the last reader before the next production; a resident value lives
from its first production to the end, and a further production counts only while its node runs.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hcp.annealing.compiled import compiled, compiled_inside
from hcp.annealing.network import Int32, Int64, Network

# Entries of Timeline.total.
AREA: Final = 0
COST: Final = 1
MULTIPLE: Final = 2
JOURNAL: Final = 3
BUDGET: Final = 4
LIMIT: Final = 5
TOTALS: Final = 6


class Timeline(NamedTuple):
    """A sequence of executions with gaps. Changed in place by ``insert``, ``remove`` and ``rollback``.

    Attributes:
        slot: Per slot, the node that runs there or -1.
        at: Per node, the slots of its executions, increasing; only the first ``runs`` entries count.
        runs: Per node, its executions.
        end: Per bundle and execution of its maker, the slot of the instance's last use (of its production if unread).
        memory: Per slot, units held while its node runs.
        total: See the constants above; AREA is the sum over slots of the memory over the budget, COST that of all
            executions, MULTIPLE the number of nodes that run more than once, LIMIT the COST beyond which a move
            cannot be accepted.
        multiple: Those nodes, in any order.
        multiple_at: Per node, its place in ``multiple``.
        journal: Rows (node, slot, +1 inserted or -1 removed) since the last ``commit``.
    """

    slot: Int32
    at: Int32
    runs: Int32
    end: Int32
    memory: Int64
    total: Int64
    multiple: Int32
    multiple_at: Int32
    journal: Int32


def new_timeline(net: Network, slots: int, most: int, budget: int, base: int) -> Timeline:
    """An empty timeline.

    Args:
        net: The graph.
        slots: Number of slots.
        most: Most executions of one node.
        budget: Units of memory allowed.
        base: Units held in every slot: the graph's inputs.
    """
    nodes = len(net.cost)
    total = np.zeros(TOTALS, np.int64)
    total[BUDGET] = budget
    total[LIMIT] = np.iinfo(np.int64).max
    total[AREA] = slots * max(0, base - budget)
    return Timeline(
        slot=np.full(slots, -1, np.int32),
        at=np.zeros((nodes, most), np.int32),
        runs=np.zeros(nodes, np.int32),
        end=np.zeros((len(net.size), most), np.int32),
        memory=np.full(slots, base, np.int64),
        total=total,
        multiple=np.zeros(nodes, np.int32),
        multiple_at=np.zeros(nodes, np.int32),
        journal=np.zeros((256, 3), np.int32),
    )


@compiled
def fill(net: Network, line: Timeline, sequence: NDArray[np.int64]) -> None:
    """Spreads a legal sequence of nodes evenly over an empty timeline."""
    for i in range(len(sequence)):
        insert(net, line, sequence[i], (2 * i + 1) * len(line.slot) // (2 * len(sequence)))
    line.total[JOURNAL] = 0


@compiled_inside
def hold(line: Timeline, first: int, last: int, units: int) -> None:
    """Adds units of memory to the slots first..last."""
    budget = line.total[BUDGET]
    # A loop from zero over a slice is compiled to vector instructions, 20 times faster than one over first..last.
    held = line.memory[first : last + 1]
    area = 0
    for t in range(len(held)):
        old = held[t]
        new = old + units
        held[t] = new
        area += max(new - budget, 0) - max(old - budget, 0)
    line.total[AREA] += area


@compiled_inside
def instance_before(line: Timeline, node: int, slot: int) -> int:
    """Which execution of a node is the latest before a slot; -1 if none is."""
    k = line.runs[node] - 1
    while k >= 0 and line.at[node, k] >= slot:
        k -= 1
    return int(k)


@compiled_inside
def last_read(net: Network, line: Timeline, bundle: int, floor: int, slot: int) -> int:
    """The latest slot before ``slot`` in which a bundle is read; ``floor`` if none lies behind it."""
    latest = floor
    for i in range(net.readers.start[bundle], net.readers.start[bundle + 1]):
        reader = net.readers.items[i]
        k = line.runs[reader] - 1
        while k >= 0 and line.at[reader, k] > latest:
            if line.at[reader, k] < slot:
                latest = line.at[reader, k]
                break
            k -= 1
    return int(latest)


@compiled_inside
def next_read(net: Network, line: Timeline, bundle: int, slot: int) -> int:
    """The earliest slot after ``slot`` in which a bundle is read; the number of slots if there is none."""
    earliest = len(line.slot)
    for i in range(net.readers.start[bundle], net.readers.start[bundle + 1]):
        reader = net.readers.items[i]
        for k in range(line.runs[reader]):
            if line.at[reader, k] > slot:
                earliest = min(earliest, line.at[reader, k])
                break
    return int(earliest)


@compiled_inside
def insert(net: Network, line: Timeline, node: int, slot: int) -> None:
    """Lets a node run in a free slot. Its inputs' first executions must come before."""
    k = instance_before(line, node, slot) + 1
    count = line.runs[node]
    here = net.scratch[node]
    for i in range(net.makes.start[node], net.makes.start[node + 1]):
        bundle = net.makes.items[i]
        for j in range(count, k, -1):
            line.end[bundle, j] = line.end[bundle, j - 1]
        line.end[bundle, k] = slot
        if k > 0 and line.end[bundle, k - 1] > slot:
            # The new instance serves the readers behind it; the old one dies at its last reader before it.
            line.end[bundle, k] = line.end[bundle, k - 1]
            line.end[bundle, k - 1] = last_read(net, line, bundle, line.at[node, k - 1], slot)
            hold(line, line.end[bundle, k - 1] + 1, slot - 1, -net.size[bundle])
        else:
            here += net.size[bundle]
    if net.held[node] > 0:
        if k > 0:
            here += net.held[node]
        else:
            hold(line, slot, line.at[node, 0] if count > 0 else len(line.slot) - 1, net.held[node])
    hold(line, slot, slot, here)
    for j in range(count, k, -1):
        line.at[node, j] = line.at[node, j - 1]
    line.at[node, k] = slot
    line.runs[node] = count + 1
    line.slot[slot] = node
    if count == 1:
        line.multiple[line.total[MULTIPLE]] = node
        line.multiple_at[node] = line.total[MULTIPLE]
        line.total[MULTIPLE] += 1
    for i in range(net.reads.start[node], net.reads.start[node + 1]):
        bundle = net.reads.items[i]
        j = instance_before(line, net.maker[bundle], slot)
        end = line.end[bundle, j]
        if end < slot:
            hold(line, end + 1, slot, net.size[bundle])
            line.end[bundle, j] = slot
    line.total[COST] += net.cost[node]
    _note(line, node, slot, 1)


@compiled_inside
def remove(net: Network, line: Timeline, node: int, slot: int) -> None:
    """Takes a node's execution out of a slot. If it is the first, nothing may read it (see ``removable``)."""
    k = instance_before(line, node, slot) + 1
    count = line.runs[node]
    here = net.scratch[node]
    for i in range(net.makes.start[node], net.makes.start[node + 1]):
        bundle = net.makes.items[i]
        if line.end[bundle, k] > slot:
            hold(line, line.end[bundle, k - 1] + 1, slot - 1, net.size[bundle])
            line.end[bundle, k - 1] = line.end[bundle, k]
        else:
            here += net.size[bundle]
        for j in range(k, count - 1):
            line.end[bundle, j] = line.end[bundle, j + 1]
    if net.held[node] > 0:
        if k > 0:
            here += net.held[node]
        else:
            hold(line, slot, line.at[node, 1], -net.held[node])
    hold(line, slot, slot, -here)
    for j in range(k, count - 1):
        line.at[node, j] = line.at[node, j + 1]
    line.runs[node] = count - 1
    line.slot[slot] = -1
    if count == 2:
        line.total[MULTIPLE] -= 1
        moved = line.multiple[line.total[MULTIPLE]]
        line.multiple[line.multiple_at[node]] = moved
        line.multiple_at[moved] = line.multiple_at[node]
    for i in range(net.reads.start[node], net.reads.start[node + 1]):
        bundle = net.reads.items[i]
        j = instance_before(line, net.maker[bundle], slot)
        if line.end[bundle, j] == slot:
            end = last_read(net, line, bundle, line.at[net.maker[bundle], j], slot)
            line.end[bundle, j] = end
            hold(line, end + 1, slot, -net.size[bundle])
    line.total[COST] -= net.cost[node]
    _note(line, node, slot, -1)


@compiled_inside
def _note(line: Timeline, node: int, slot: int, sign: int) -> None:
    row = line.total[JOURNAL]
    if row < len(line.journal):
        line.journal[row, 0] = node
        line.journal[row, 1] = slot
        line.journal[row, 2] = sign
    line.total[JOURNAL] = row + 1


@compiled
def rollback(net: Network, line: Timeline) -> None:
    """Takes back every change since the last ``commit``; moves keep them fewer than the journal's rows."""
    for row in range(line.total[JOURNAL] - 1, -1, -1):
        if line.journal[row, 2] > 0:
            remove(net, line, line.journal[row, 0], line.journal[row, 1])
        else:
            insert(net, line, line.journal[row, 0], line.journal[row, 1])
    line.total[JOURNAL] = 0


@compiled
def commit(line: Timeline) -> None:
    """Makes the changes so far final."""
    line.total[JOURNAL] = 0


@compiled_inside
def first_may_be(net: Network, line: Timeline, node: int, slot: int) -> bool:
    """Whether a node's first execution may be in a slot, as far as the first executions of others go."""
    for i in range(net.before.start[node], net.before.start[node + 1]):
        if line.at[net.before.items[i], 0] >= slot:
            return False
    for i in range(net.after.start[node], net.after.start[node + 1]):  # noqa: SIM110 - compiled
        if line.at[net.after.items[i], 0] <= slot:
            return False
    return True


@compiled_inside
def removable(net: Network, line: Timeline, node: int, k: int) -> bool:
    """Whether execution k of a node can go: another has to be left, and early enough for every reader."""
    if line.runs[node] < 2:
        return False
    return k > 0 or first_may_be(net, line, node, line.at[node, 1])
