"""Whether a graph fits a budget when only some nodes may run again: an exhaustive search over what has run.

Let F be a set of nodes that may run again at no cost, while every other node runs once. At the moment of a first
execution of v, every schedule that runs no node outside of F twice holds at least: v's inputs and outputs and its
workspace; resident values made so far; and every value made outside of F, so far, with a reader whose first execution
is still to come, since nothing can make it again. A value made in F with such a reader is held or made again, of what
is held: where re-executions need their inputs, a minimum cut (``min_cut.py``) is held as well. All this depends on
the set D of nodes that have run, and not on their order. So where no way leads from the empty set to all nodes through
sets whose next step fits the budget, no such schedule exists, in any order: each schedule within the budget runs some
node outside of F twice. ``bound.py`` makes bounds of that; proofs are in ``docs/formulations.md``.

A step that fits and leaves no more memory held, whatever else runs in between, is made at once. ``backward.py``
searches from the other end.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final

import numpy as np

from hcp.annealing.compiled import compiled, compiled_inside
from hcp.graph.index import BoolArray, GraphIndex, Incidence, IntArray
from hcp.graph.instances import chain
from hcp.planning.native import run_native
from hcp.solvers.conflicts.backward import expand_behind, start_behind
from hcp.solvers.conflicts.min_cut import Flow, fits, new_flow
from hcp.solvers.conflicts.net import build_net, neighbours
from hcp.solvers.conflicts.sets import ALL, FOUND, GAVE_UP, MORE, NONE, WAITING, Sets, add, new_sets
from hcp.solvers.conflicts.walk import WORD, Net, Walk, growth, load, new_walk, place_of, run

# Sets kept in one search times nodes, at most: beyond it a search gives up, after some seconds. No parameter: the check
# of a certificate repeats the search and must get as far. The sets alone are limited as well, and the steps for cuts.
MOST_WORK: Final = 40_000_000
_MOST_SETS: Final = 400_000
_STEPS_PER_WORK: Final = 50


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
        return {FOUND: OrderVerdict.POSSIBLE, NONE: OrderVerdict.IMPOSSIBLE}.get(found, OrderVerdict.UNKNOWN)

    @cached_property
    def _neighbours(self) -> tuple[Incidence, Incidence]:
        return neighbours(self.index)


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
def _expand(net: Net, walk: Walk, flow: Flow, sets: Sets) -> int:
    """Makes each step that fits from the set that waits last; ``MORE`` where that does not end the search."""
    sets.counts[WAITING] -= 1
    number = sets.waiting[sets.counts[WAITING]]
    done, cut, held = sets.done[number], sets.cut[number], sets.held[number]
    load(net, walk, done, cut, held)
    for v in walk.ready[: walk.amount[0]].copy():
        if held + net.peak[v] > net.budget:
            continue
        if (walk.done != done).any():
            load(net, walk, done, cut, held)
        if not fits(net, walk, flow, v):
            continue
        run(net, walk, place_of(walk, v))
        _run_harmless(net, walk, flow)
        if walk.amount[0] == 0:
            return FOUND
        if sets.counts[ALL] == len(sets.held):
            return GAVE_UP
        add(net, sets, walk)
    return MORE


@compiled_inside
def _step(net: Net, walk: Walk, flow: Flow, ends: tuple[Sets, Sets]) -> int:
    """Makes the steps from one set at either end; ``MORE`` where that does not end the search."""
    ahead, behind = ends
    # An end that has no room for more sets stays as it is, and says nothing.
    at_start, at_end = ahead.counts[ALL] < len(ahead.held), behind.counts[ALL] < len(behind.held)
    if (at_start and ahead.counts[WAITING] == 0) or (at_end and behind.counts[WAITING] == 0):
        return NONE
    if not (at_start or at_end):
        return GAVE_UP
    if at_start and _expand(net, walk, flow, ahead) == FOUND:
        return FOUND
    if at_end and expand_behind(net, walk, flow, behind) == FOUND:
        return FOUND
    return MORE


@compiled
def _search(net: Net, most: int, steps: int, halted: IntArray) -> int:
    """Searches from the empty set and from the set of all nodes in turn: either may end long before the other."""
    if net.base > net.budget:
        return NONE
    walk, flow, ahead, behind = new_walk(net), new_flow(net), new_sets(net, most), new_sets(net, most)
    load(net, walk, walk.done.copy(), np.zeros((len(net.size) + WORD - 1) // WORD, np.uint64), net.base)
    _run_harmless(net, walk, flow)
    if walk.amount[0] == 0:
        return FOUND
    add(net, ahead, walk)
    if start_behind(net, walk, flow, behind):
        return FOUND
    while flow.steps[0] <= steps and not halted[0]:
        found = _step(net, walk, flow, (ahead, behind))
        if found != MORE:
            return found
    return GAVE_UP


compiled_function = _search


def compile_all() -> None:
    """Calls what is compiled once, for ``hcp.planning.compilation``."""
    graph = chain(2)
    OrderSearch(graph.index, budget=2)(np.zeros(2, np.bool_))
