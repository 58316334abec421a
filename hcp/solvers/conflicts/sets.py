"""The sets of nodes that a search has found: compiled code of ``order_search.py``."""

from typing import NamedTuple

import numpy as np

from hcp.annealing.compiled import compiled_inside
from hcp.graph.index import IntArray
from hcp.solvers.conflicts.walk import WORD, Net, Walk, Words, put


class Sets(NamedTuple):
    """The sets found so far, by number.

    Attributes:
        table: A hash table of their numbers.
        done: The sets.
        cut: What is enough to hold with each.
        held: Bytes held with each.
        waiting: The numbers of those from which no step was made yet.
        counts: How many there are, and how many wait.
    """

    table: IntArray
    done: Words
    cut: Words
    held: IntArray
    waiting: IntArray
    counts: IntArray


ALL, WAITING = 0, 1

# How a search ends, or one step of it that does not end it.
FOUND, NONE, GAVE_UP, MORE = 1, 0, 2, 3


@compiled_inside
def new_sets(net: Net, most: int) -> Sets:
    """Room for so many."""
    # Memory that is not touched is not taken.
    width = (len(net.size) + WORD - 1) // WORD if net.traced else 1
    return Sets(
        np.full(2 * most + 1, -1, np.int64),
        np.empty((most, (len(net.needs) + WORD - 1) // WORD), np.uint64),
        np.empty((most, width), np.uint64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.zeros(2, np.int64),
    )


@compiled_inside
def add(net: Net, sets: Sets, walk: Walk) -> None:
    """Lets the walk's set wait, unless it was found before."""
    key = np.uint64(0x9E3779B97F4A7C15)
    for word in walk.done:
        key = (key ^ word) * np.uint64(0xD6E8FEB86659FD93)
        key ^= key >> np.uint64(32)
    place = np.int64(key >> np.uint64(1)) % len(sets.table)
    while sets.table[place] >= 0:
        if (sets.done[sets.table[place]] == walk.done).all():
            return
        place = (place + 1) % len(sets.table)
    number = sets.counts[ALL]
    sets.table[place] = number
    sets.done[number, :] = walk.done
    sets.held[number] = walk.memory[0]
    sets.cut[number, :] = np.uint64(0)
    if net.traced:
        for x in range(len(walk.cut)):
            if walk.cut[x]:
                put(sets.cut[number], x)
    sets.waiting[sets.counts[WAITING]] = number
    sets.counts[:] += 1
