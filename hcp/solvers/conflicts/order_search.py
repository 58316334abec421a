"""Whether a graph fits a budget when only some nodes may run again: an exhaustive search over what has run.

Let F be a set of nodes that may run again at no cost, while every other node runs once. At the moment of a first
execution of v, every schedule that runs no node outside of F twice holds at least: v's inputs and outputs and its
workspace; resident values made so far; and every value made outside of F, so far, with a reader whose first execution
is still to come, since nothing can make it again. That depends on the set D of nodes that have run, and not on their
order. So where no way leads from the empty set to all nodes through sets whose next step fits the budget, no such
schedule exists, in any order: each schedule within the budget runs some node outside of F twice. ``bound.py`` makes
bounds of that.

A step that fits and does not leave more memory held is made at once. It can be moved forward in every sequence that
goes on from here: a larger D frees at least as much when v runs, so holding is never more on the way.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hcp.annealing.compiled import compiled, compiled_inside
from hcp.graph.index import BoolArray, GraphIndex, Incidence, IntArray
from hcp.graph.instances import chain
from hcp.planning.native import run_native

# Sets kept in one search times nodes, at most: a search beyond it gives up, after some tenths of a second.
# No parameter: the check of a certificate repeats the search and must get as far.
MOST_WORK: Final = 4_000_000

_WORD: Final = 64
_FOUND, _NONE, _GAVE_UP = 1, 0, 2

Words = NDArray[np.uint64]
Int32 = NDArray[np.int32]


class OrderVerdict(Enum):
    """What a search found."""

    POSSIBLE = "possible"
    IMPOSSIBLE = "impossible"
    UNKNOWN = "unknown"


class _Net(NamedTuple):
    """A graph under a budget and a set F, as compiled code takes it.

    Attributes:
        needs: Per node, distinct predecessors.
        after_start, after: Packed successors of each node.
        peak: Per node, bytes in addition to those held while it runs.
        keep: Per node, bytes of its outputs that are held afterwards.
        read_start, reads: Packed held values, in numbers of their own, that each node reads.
        size: Bytes of each of these values.
        readers: How many nodes read each.
        budget, base: Bytes.
    """

    needs: Int32
    after_start: Int32
    after: Int32
    peak: IntArray
    keep: IntArray
    read_start: Int32
    reads: Int32
    size: IntArray
    readers: Int32
    budget: int
    base: int


@dataclass(frozen=True)
class OrderSearch:
    """Searches of one graph under one budget, for different sets of nodes that may run again.

    Attributes:
        index: The graph.
        budget: Bytes.
    """

    index: GraphIndex
    budget: int

    def __call__(self, free: BoolArray) -> OrderVerdict:
        """Whether some order fits where the nodes in ``free`` may run again; a boolean per node."""
        net = self._net(free)
        words = -(-self.index.n // _WORD)
        most = MOST_WORK // self.index.n + 1
        found = run_native(lambda: _search(net, words, most), lambda: None)
        return {_FOUND: OrderVerdict.POSSIBLE, _NONE: OrderVerdict.IMPOSSIBLE}.get(found, OrderVerdict.UNKNOWN)

    def _net(self, free: BoolArray) -> _Net:
        index = self.index
        made = index.producer >= 0
        held = np.where(index.resident | ~made | ~free[index.producer], index.size, 0)
        unread = np.diff(index.readers.start) == 0
        stays = held * (index.resident | ~unread)
        peak, keep = index.workspace.copy(), np.zeros(index.n, np.int64)
        np.add.at(peak, index.producer[made], index.size[made])
        np.add.at(keep, index.producer[made], stays[made])
        reader = np.repeat(np.arange(index.n), np.diff(index.inputs.start))
        np.add.at(peak, reader, (index.size - held)[index.inputs.items])
        # Only values that can be dropped matter from here on.
        droppable = index.droppable & (held > 0)
        number = np.cumsum(droppable) - 1
        read = droppable[index.inputs.items]
        start = np.concatenate(([0], np.cumsum(read)))[index.inputs.start]
        needs, after = self._neighbours
        return _Net(
            needs=needs,
            after_start=after.start.astype(np.int32),
            after=after.items.astype(np.int32),
            peak=peak,
            keep=keep,
            read_start=start.astype(np.int32),
            reads=number[index.inputs.items[read]].astype(np.int32),
            size=held[droppable],
            readers=np.diff(index.readers.start)[droppable].astype(np.int32),
            budget=self.budget,
            base=int(index.base_bytes),
        )

    @cached_property
    def _neighbours(self) -> tuple[Int32, Incidence]:
        before = [sorted(set(rows)) for rows in self.index.predecessors]
        after: list[list[int]] = [[] for _ in before]
        for node, earlier in enumerate(before):
            for p in earlier:
                after[p].append(node)
        return np.array([len(rows) for rows in before], np.int32), Incidence.pack(after)


class _Walk(NamedTuple):
    """One set D and what follows from it; changed in place.

    Attributes:
        done: D, a bit a node.
        missing: Per node, predecessors that are not in D.
        left: Per held value, readers that are not in D.
        ready: Nodes that can run next, at the front.
        amount: How many are ready, one number.
        memory: Bytes held, one number.
    """

    done: Words
    missing: Int32
    left: Int32
    ready: Int32
    amount: IntArray
    memory: IntArray


class _Sets(NamedTuple):
    """The sets found so far, by number.

    Attributes:
        table: A hash table of their numbers.
        done: The sets.
        held: Bytes held with each.
        waiting: The numbers of those from which no step was made yet.
        counts: How many there are, and how many wait.
    """

    table: IntArray
    done: Words
    held: IntArray
    waiting: IntArray
    counts: IntArray


_ALL, _WAITING = 0, 1


@compiled_inside
def _load(net: _Net, walk: _Walk, done: Words, memory: int) -> None:
    walk.done[:] = done
    walk.memory[0] = memory
    walk.missing[:] = net.needs
    walk.left[:] = net.readers
    nodes = len(net.needs)
    for v in range(nodes):
        if done[v // 64] >> np.uint64(v % 64) & np.uint64(1):
            for i in range(net.after_start[v], net.after_start[v + 1]):
                walk.missing[net.after[i]] -= 1
            for i in range(net.read_start[v], net.read_start[v + 1]):
                walk.left[net.reads[i]] -= 1
    walk.amount[0] = 0
    for v in range(nodes):
        if walk.missing[v] == 0 and not done[v // 64] >> np.uint64(v % 64) & np.uint64(1):
            walk.ready[walk.amount[0]] = v
            walk.amount[0] += 1


@compiled_inside
def _growth(net: _Net, walk: _Walk, v: int) -> int:
    """Bytes held more after v ran than before."""
    growth = net.keep[v]
    for i in range(net.read_start[v], net.read_start[v + 1]):
        if walk.left[net.reads[i]] == 1:
            growth -= net.size[net.reads[i]]
    return int(growth)


@compiled_inside
def _run(net: _Net, walk: _Walk, place: int) -> None:
    """Runs the node at a place of the ready list."""
    v = walk.ready[place]
    walk.memory[0] += _growth(net, walk, v)
    walk.done[v // 64] |= np.uint64(1) << np.uint64(v % 64)
    for i in range(net.read_start[v], net.read_start[v + 1]):
        walk.left[net.reads[i]] -= 1
    walk.amount[0] -= 1
    walk.ready[place] = walk.ready[walk.amount[0]]
    for i in range(net.after_start[v], net.after_start[v + 1]):
        w = net.after[i]
        walk.missing[w] -= 1
        if walk.missing[w] == 0:
            walk.ready[walk.amount[0]] = w
            walk.amount[0] += 1


@compiled_inside
def _run_harmless(net: _Net, walk: _Walk) -> None:
    """Makes every step that fits and does not leave more memory held."""
    place = 0
    while place < walk.amount[0]:
        v = walk.ready[place]
        if walk.memory[0] + net.peak[v] <= net.budget and _growth(net, walk, v) <= 0:
            _run(net, walk, place)
            place = 0
        else:
            place += 1


@compiled_inside
def _add(sets: _Sets, walk: _Walk) -> None:
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
    number = sets.counts[_ALL]
    sets.table[place] = number
    sets.done[number, :] = walk.done
    sets.held[number] = walk.memory[0]
    sets.waiting[sets.counts[_WAITING]] = number
    sets.counts[:] += 1


@compiled_inside
def _expand(net: _Net, walk: _Walk, sets: _Sets) -> int:
    """Makes each step that fits from the set that waits last; ``_NONE`` where that does not end the search."""
    sets.counts[_WAITING] -= 1
    number = sets.waiting[sets.counts[_WAITING]]
    done, held = sets.done[number], sets.held[number]
    _load(net, walk, done, held)
    for v in walk.ready[: walk.amount[0]].copy():
        if held + net.peak[v] > net.budget:
            continue
        _load(net, walk, done, held)
        place = 0
        while walk.ready[place] != v:
            place += 1
        _run(net, walk, place)
        _run_harmless(net, walk)
        if walk.amount[0] == 0:
            return _FOUND
        if sets.counts[_ALL] == len(sets.held):
            return _GAVE_UP
        _add(sets, walk)
    return _NONE


@compiled
def _search(net: _Net, words: int, most: int) -> int:
    if net.base > net.budget:
        return _NONE
    nodes = len(net.needs)
    walk = _Walk(
        np.zeros(words, np.uint64),
        np.zeros(nodes, np.int32),
        np.zeros(len(net.size), np.int32),
        np.zeros(nodes, np.int32),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
    )
    sets = _Sets(
        np.full(2 * most + 1, -1, np.int64),
        np.empty((most, words), np.uint64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.zeros(2, np.int64),
    )
    _load(net, walk, walk.done.copy(), net.base)
    _run_harmless(net, walk)
    if walk.amount[0] == 0:
        return _FOUND
    _add(sets, walk)
    while sets.counts[_WAITING]:
        found = _expand(net, walk, sets)
        if found != _NONE:
            return found
    return _NONE


compiled_function = _search


def compile_all() -> None:
    """Calls what is compiled once, for ``hcp.planning.compilation``."""
    graph = chain(2)
    OrderSearch(graph.index, budget=2)(np.zeros(2, np.bool_))
