"""The moves of the annealing. Each changes a timeline and says whether it did; the caller commits it or rolls it back.

A move that returns False may leave changes behind: roll it back. No move makes more changes than the journal has rows.
"""

import math
from typing import Final

import numpy as np

from hcp.annealing.compiled import Random, below, compiled, compiled_inside, uniform
from hcp.annealing.network import Int32, Network
from hcp.annealing.timeline import (
    BUDGET,
    COST,
    JOURNAL,
    LIMIT,
    MULTIPLE,
    Timeline,
    insert,
    instance_before,
    last_read,
    next_read,
    removable,
    remove,
)

# A move that recomputes or drops stops after this many changes; two of the one and one of the other fit the journal.
MOST_CHANGES: Final = 48
# Executions that one push moves, at most; each takes two rows of the journal.
MOST_PUSHED: Final = 24
# Random slots or values looked at before a move gives up.
TRIES: Final = 40


@compiled_inside
def random_execution(line: Timeline, random: Random) -> int:
    """The slot of a random execution."""
    slot = below(random, len(line.slot))
    while line.slot[slot] < 0:
        slot = below(random, len(line.slot))
    return slot


@compiled_inside
def free_slot_before(line: Timeline, slot: int, floor: int) -> int:
    """The latest free slot before ``slot`` and after ``floor``; -1 if there is none."""
    t = slot - 1
    while t > floor:
        if line.slot[t] < 0:
            return t
        t -= 1
    return -1


@compiled_inside
def shift(net: Network, line: Timeline, random: Random, far: float) -> bool:
    """Moves one execution to another slot, as far as the executions it depends on and that depend on it allow.

    Any such slot is as likely as any other with probability ``far``; otherwise every order of distance is.
    """
    source = random_execution(line, random)
    node = line.slot[source]
    count = line.runs[node]
    if count >= line.at.shape[1]:
        return False
    slots = len(line.slot)
    low, high = 0, slots - 1
    for i in range(net.before.start[node], net.before.start[node + 1]):
        low = max(low, line.at[net.before.items[i], 0] + 1)
    if line.at[node, 0] == source:
        latest = slots
        for i in range(net.after.start[node], net.after.start[node + 1]):
            latest = min(latest, line.at[net.after.items[i], 0])
        # The second execution can stand in for the first where it is early enough.
        if count == 1 or line.at[node, 1] >= latest:
            high = latest - 1
    if high <= low:
        return False
    target = low + below(random, high - low + 1) if uniform(random) < far else _target(random, source, low, high)
    step = -1 if target < source else 1
    while line.slot[target] >= 0:
        # Walk towards the old slot, which ends the search.
        target -= step
        if target == source or target < low or target > high:
            return False
    insert(net, line, node, target)
    remove(net, line, node, source)
    return True


@compiled
def push(net: Network, line: Timeline, random: Random) -> bool:
    """Moves a node's first execution; those in its way that depend on it, or that it depends on, move along.

    They keep their sequence and are packed towards the slot that is the target, into what is free. Without this move
    an order changes by single executions only, whose neighbours soon block them.
    """
    node = below(random, len(line.runs))
    source = line.at[node, 0]
    target = _target(random, source, 0, len(line.slot) - 1)
    if target == source:
        return False
    late = target > source
    pushed = np.empty(MOST_PUSHED, np.int32)
    pushed[0] = source
    count, row = 1, 0
    while 0 <= row < count:
        count = (
            _push_later(net, line, pushed, row, count, target) if late else _pull(net, line, pushed, row, count, target)
        )
        row += 1
    if count < 0:
        return False
    moved = np.sort(pushed[:count])
    step = -1 if late else 1
    free = target - step
    changed = False
    for i in range(count):
        slot = moved[count - 1 - i] if late else moved[i]
        free += step
        while free != slot and line.slot[free] >= 0:
            free += step
        if free == slot:
            continue
        node = line.slot[slot]
        if line.runs[node] >= line.at.shape[1]:
            return False
        insert(net, line, node, free)
        remove(net, line, node, slot)
        changed = True
    return changed


@compiled_inside
def _push_later(net: Network, line: Timeline, pushed: Int32, row: int, count: int, target: int) -> int:  # noqa: PLR0917
    """Notes what cannot stay up to the target once the execution in this row moves there; -1 where it is too much."""
    node = line.slot[pushed[row]]
    if line.at[node, 0] != pushed[row]:
        # Its first execution stays.
        return count
    for i in range(net.after.start[node], net.after.start[node + 1]):
        other = net.after.items[i]
        for k in range(line.runs[other]):
            if line.at[other, k] > target:
                break
            count = _noted(pushed, count, line.at[other, k])
            if count < 0:
                return count
    return count


@compiled_inside
def _pull(net: Network, line: Timeline, pushed: Int32, row: int, count: int, target: int) -> int:  # noqa: PLR0917
    """Notes what has to come along once the execution in this row moves back to the target; -1 where it is too much."""
    node = line.slot[pushed[row]]
    for i in range(net.before.start[node], net.before.start[node + 1]):
        first = line.at[net.before.items[i], 0]
        if first >= target:
            count = _noted(pushed, count, first)
            if count < 0:
                return count
    return count


@compiled_inside
def _noted(pushed: Int32, count: int, slot: int) -> int:
    for i in range(count):
        if pushed[i] == slot:
            return count
    if count == len(pushed):
        return -1
    pushed[count] = slot
    return count + 1


@compiled_inside
def _target(random: Random, source: int, low: int, high: int) -> int:
    """A slot in low..high on either side of the source, any order of distance as likely as any other; or the source."""
    late = uniform(random) < 0.5
    room = high - source if late else source - low
    if room <= 0:
        return source
    distance = min(int(math.exp(uniform(random) * math.log(room + 1.0))), room)
    return source + distance if late else source - distance


@compiled_inside
def add(net: Network, line: Timeline, random: Random) -> bool:
    """Recomputes one input of a random execution just before it."""
    use = random_execution(line, random)
    node = line.slot[use]
    count = net.reads.start[node + 1] - net.reads.start[node]
    if count == 0:
        return False
    bundle = net.reads.items[net.reads.start[node] + below(random, count)]
    maker = net.maker[bundle]
    if not net.repeatable[maker] or line.runs[maker] >= line.at.shape[1]:
        return False
    made = line.at[maker, instance_before(line, maker, use)]
    slot = free_slot_before(line, use, last_read(net, line, bundle, made, use))
    if slot < 0:
        return False
    insert(net, line, maker, slot)
    return True


@compiled_inside
def drop(net: Network, line: Timeline, random: Random) -> bool:
    """Drops one execution of a node that runs more than once, and those that only it made use of."""
    if line.total[MULTIPLE] == 0:
        return False
    node = line.multiple[below(random, line.total[MULTIPLE])]
    k = below(random, line.runs[node])
    if not removable(net, line, node, k):
        return False
    first = line.total[JOURNAL]
    remove(net, line, node, line.at[node, k])
    # The journal doubles as the queue of removed executions whose inputs are still to be looked at.
    row = first
    while row < line.total[JOURNAL] and line.total[JOURNAL] - first < MOST_CHANGES:
        node, slot = line.journal[row, 0], line.journal[row, 1]
        row += 1
        for i in range(net.reads.start[node], net.reads.start[node + 1]):
            maker = net.maker[net.reads.items[i]]
            k = instance_before(line, maker, slot)
            if k >= 0 and _unread(net, line, maker, k) and removable(net, line, maker, k):
                remove(net, line, maker, line.at[maker, k])
    return True


@compiled_inside
def _unread(net: Network, line: Timeline, node: int, k: int) -> bool:
    for i in range(net.makes.start[node], net.makes.start[node + 1]):
        if line.end[net.makes.items[i], k] > line.at[node, k]:
            return False
    return True


@compiled_inside
def recompute(net: Network, line: Timeline, random: Random) -> bool:
    """Frees a slot over the budget from a value that is idle there, which is recomputed just before its next use.

    Inputs that are not live by then are recomputed as well, or sometimes kept live.
    """
    over = _slot_over(line, random)
    if over < 0 or len(net.size) == 0:
        return False
    for _ in range(TRIES):
        bundle = below(random, len(net.size))
        maker = net.maker[bundle]
        if not net.repeatable[maker]:
            continue
        k = instance_before(line, maker, over)
        if k < 0 or line.end[bundle, k] <= over:
            continue
        use = next_read(net, line, bundle, over - 1)
        if use > over:
            keep = 0.3 * uniform(random) * uniform(random)
            return _recompute(net, line, random, maker, use, over, keep)
    return False


@compiled_inside
def _slot_over(line: Timeline, random: Random) -> int:
    slots, budget = len(line.slot), line.total[BUDGET]
    for _ in range(TRIES):
        slot = below(random, slots)
        if line.memory[slot] > budget:
            return slot
    start = below(random, slots)
    for i in range(slots):
        slot = (start + i) % slots
        if line.memory[slot] > budget:
            return slot
    return -1


@compiled_inside
def _recompute(net: Network, line: Timeline, random: Random, node: int, use: int, floor: int, keep: float) -> bool:  # noqa: PLR0917
    first = line.total[JOURNAL]
    if not _run_before(net, line, node, use, floor):
        return False
    row = first
    while row < line.total[JOURNAL]:
        node, slot = line.journal[row, 0], line.journal[row, 1]
        row += 1
        if line.slot[slot] != node or line.journal[row - 1, 2] < 0:
            continue
        for i in range(net.reads.start[node], net.reads.start[node + 1]):
            bundle = net.reads.items[i]
            maker = net.maker[bundle]
            k = instance_before(line, maker, slot)
            if line.end[bundle, k] > slot or not net.repeatable[maker]:
                continue
            used = last_read(net, line, bundle, line.at[maker, k], slot)
            if uniform(random) < (0.5 if used >= floor else keep):
                continue
            if line.total[JOURNAL] - first >= MOST_CHANGES:
                return False
            if not _run_before(net, line, maker, slot, used):
                return False
            # A later run before the same use, met on a shorter path, is now redundant.
            if k + 2 < line.runs[maker] and line.at[maker, k + 2] < use:
                remove(net, line, maker, line.at[maker, k + 2])
    return True


@compiled_inside
def _run_before(net: Network, line: Timeline, node: int, slot: int, floor: int) -> bool:
    if line.runs[node] >= line.at.shape[1] or line.total[COST] + net.cost[node] > line.total[LIMIT]:
        return False
    free = free_slot_before(line, slot, floor)
    if free < 0:
        return False
    insert(net, line, node, free)
    return True
