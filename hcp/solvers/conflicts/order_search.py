"""Whether a graph fits a budget when only some nodes may run again: an exhaustive search over what has run.

Let F be a set of nodes that may run again at no cost, while every other node runs once. At the moment of a first
execution of v, every schedule that runs no node outside of F twice holds at least: v's inputs and outputs and its
workspace; resident values made so far; and every value made outside of F, so far, with a reader whose first execution
is still to come, since nothing can make it again. A value made in F with such a reader is held or made again, of what
is held: where re-executions need their inputs, a minimum cut (``min_cut.py``) is held as well. All this depends on
the set D of nodes that have run, and not on their order. So where no way leads from the empty set to all nodes through
sets whose next step fits the budget, no such schedule exists, in any order: each schedule within the budget runs some
node outside of F twice. ``bound.py`` makes bounds of that; proofs are in ``docs/formulations.md``.

A step that fits and leaves no more memory held, whatever else runs in between, is made at once.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from hcp.annealing.compiled import compiled, compiled_inside
from hcp.graph.index import BoolArray, GraphIndex, Incidence, IntArray
from hcp.graph.instances import chain
from hcp.planning.native import run_native
from hcp.solvers.conflicts.min_cut import Flow, fits, new_flow
from hcp.solvers.conflicts.net import build_net, neighbours
from hcp.solvers.conflicts.walk import WORD, Int32, Net, Walk, Words, growth, load, new_walk, put, run

# Sets kept in one search times nodes, at most: beyond it a search gives up, after some seconds. No parameter: the check
# of a certificate repeats the search and must get as far. The sets alone are limited as well, and the steps for cuts.
MOST_WORK: Final = 40_000_000
_MOST_SETS: Final = 400_000
_STEPS_PER_WORK: Final = 50

_FOUND, _NONE, _GAVE_UP = 1, 0, 2


class OrderVerdict(Enum):
    """What a search found."""

    POSSIBLE = "possible"
    IMPOSSIBLE = "impossible"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class OrderSearch:
    """Searches of one graph under one budget, for different sets of nodes that may run again.

    Attributes:
        index: The graph.
        budget: Bytes.
    """

    index: GraphIndex
    budget: int

    def __call__(self, free: BoolArray, *, traced: bool = False, work: int = MOST_WORK) -> OrderVerdict:
        """Whether some order fits where the nodes in ``free`` may run again.

        Args:
            free: A boolean per node.
            traced: Whether re-executions need their inputs. That rules out more, and takes longer.
            work: Sets kept, times nodes, at most.
        """
        net = build_net(self.index, self.budget, free, self._neighbours, traced=traced)
        most = min(work // self.index.n, _MOST_SETS, 1 << min(self.index.n, 30)) + 1
        halted = np.zeros(1, np.int64)
        found = run_native(lambda: _search(net, most, _STEPS_PER_WORK * work, halted), lambda: halted.fill(1))
        return {_FOUND: OrderVerdict.POSSIBLE, _NONE: OrderVerdict.IMPOSSIBLE}.get(found, OrderVerdict.UNKNOWN)

    @cached_property
    def _neighbours(self) -> tuple[Int32, Incidence]:
        return neighbours(self.index)


class _Sets(NamedTuple):
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


_ALL, _WAITING = 0, 1


@compiled_inside
def _new_sets(net: Net, most: int) -> _Sets:
    # Memory that is not touched is not taken.
    width = (len(net.size) + WORD - 1) // WORD if net.traced else 1
    return _Sets(
        np.full(2 * most + 1, -1, np.int64),
        np.empty((most, (len(net.needs) + WORD - 1) // WORD), np.uint64),
        np.empty((most, width), np.uint64),
        np.empty(most, np.int64),
        np.empty(most, np.int64),
        np.zeros(2, np.int64),
    )


@compiled_inside
def _run_harmless(net: Net, walk: Walk, flow: Flow) -> None:
    """Makes every step that fits and does not leave more memory held."""
    place = 0
    while place < walk.amount[0]:
        v = walk.ready[place]
        if growth(net, walk, v) <= 0 and fits(net, walk, flow, v):
            run(net, walk, place)
            place = 0
        else:
            place += 1


@compiled_inside
def _add(net: Net, sets: _Sets, walk: Walk) -> None:
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
    sets.cut[number, :] = np.uint64(0)
    if net.traced:
        for x in range(len(walk.cut)):
            if walk.cut[x]:
                put(sets.cut[number], x)
    sets.waiting[sets.counts[_WAITING]] = number
    sets.counts[:] += 1


@compiled_inside
def _expand(net: Net, walk: Walk, flow: Flow, sets: _Sets) -> int:
    """Makes each step that fits from the set that waits last; ``_NONE`` where that does not end the search."""
    sets.counts[_WAITING] -= 1
    number = sets.waiting[sets.counts[_WAITING]]
    done, cut, held = sets.done[number], sets.cut[number], sets.held[number]
    load(net, walk, done, cut, held)
    for v in walk.ready[: walk.amount[0]].copy():
        if held + net.peak[v] > net.budget:
            continue
        if (walk.done != done).any():
            load(net, walk, done, cut, held)
        if not fits(net, walk, flow, v):
            continue
        place = 0
        while walk.ready[place] != v:
            place += 1
        run(net, walk, place)
        _run_harmless(net, walk, flow)
        if walk.amount[0] == 0:
            return _FOUND
        if sets.counts[_ALL] == len(sets.held):
            return _GAVE_UP
        _add(net, sets, walk)
    return _NONE


@compiled
def _search(net: Net, most: int, steps: int, halted: IntArray) -> int:
    if net.base > net.budget:
        return _NONE
    walk, flow, sets = new_walk(net), new_flow(net), _new_sets(net, most)
    load(net, walk, walk.done.copy(), np.zeros((len(net.size) + WORD - 1) // WORD, np.uint64), net.base)
    _run_harmless(net, walk, flow)
    if walk.amount[0] == 0:
        return _FOUND
    _add(net, sets, walk)
    while sets.counts[_WAITING]:
        found = _expand(net, walk, flow, sets)
        if found != _NONE:
            return found
        if flow.steps[0] > steps or halted[0]:
            return _GAVE_UP
    return _NONE


compiled_function = _search


def compile_all() -> None:
    """Calls what is compiled once, for ``hcp.planning.compilation``."""
    graph = chain(2)
    OrderSearch(graph.index, budget=2)(np.zeros(2, np.bool_))
