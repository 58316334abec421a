"""The search from the set of all nodes back to the empty one: compiled code of ``order_search.py``.

From a set D + v, where no node of D reads what v makes, it goes to D if v fits there. Such a step is made at once, and
others left out, if D holds no more than D + v, whatever runs in between: proofs are in ``docs/formulations.md``. Where
most memory is held towards the end, very few sets lead there.
"""

import numpy as np

from hcp.annealing.compiled import compiled_inside
from hcp.solvers.conflicts.min_cut import Flow, fits
from hcp.solvers.conflicts.sets import ALL, FOUND, GAVE_UP, MORE, WAITING, Sets, add
from hcp.solvers.conflicts.walk import WORD, Net, Walk, Words, has, let_go_on, load_set, place_of, put


@compiled_inside
def _load_behind(net: Net, walk: Walk, done: Words, cut: Words, memory: int) -> None:
    """Goes to a set; ``missing`` counts successors in it then, and ``ready`` are its nodes without any."""
    load_set(net, walk, done, cut, memory)
    walk.amount[0] = 0
    for v in range(len(net.needs)):
        walk.missing[v] = 0
        for i in range(net.after_start[v], net.after_start[v + 1]):
            walk.missing[v] += has(done, net.after[i])
        if walk.missing[v] == 0 and has(done, v):
            walk.ready[walk.amount[0]] = v
            walk.amount[0] += 1


@compiled_inside
def _take_out(net: Net, walk: Walk, v: int) -> None:
    """Takes a node out of the set, but for the lists of nodes."""
    walk.done[v // WORD] &= ~(np.uint64(1) << np.uint64(v % WORD))
    walk.memory[0] -= net.keep[v]
    for i in range(net.read_start[v], net.read_start[v + 1]):
        x = net.reads[i]
        if walk.left[x] == 0 and not net.free[net.maker[x]]:
            walk.memory[0] += net.held[x]
        walk.left[x] += 1
        # It is to be read again, so that it is held or made.
        walk.cut[x] = True
    for i in range(net.made_start[v], net.made_start[v + 1]):
        walk.born[net.made[i]] = False


@compiled_inside
def _put_back(net: Net, walk: Walk, v: int) -> None:
    """Takes back ``_take_out``, but for the cut, which may be larger than it has to be."""
    put(walk.done, v)
    walk.memory[0] += net.keep[v]
    for i in range(net.read_start[v], net.read_start[v + 1]):
        x = net.reads[i]
        walk.left[x] -= 1
        if walk.left[x] == 0 and not net.free[net.maker[x]]:
            walk.memory[0] -= net.held[x]
    for i in range(net.made_start[v], net.made_start[v + 1]):
        walk.born[net.made[i]] = True


@compiled_inside
def _leaves(net: Net, walk: Walk, flow: Flow, place: int) -> bool:
    """Takes the node at a place of the ready list out of the set, if it fits there."""
    v = walk.ready[place]
    _take_out(net, walk, v)
    if not fits(net, walk, flow, v):
        _put_back(net, walk, v)
        return False
    let_go_on(walk, place, net.before_start, net.before)
    return True


@compiled_inside
def _loss(net: Net, walk: Walk, v: int) -> int:
    """Bytes held more without a node than with it, at most, whatever runs in between."""
    again = np.int64(0)
    for i in range(net.read_start[v], net.read_start[v + 1]):
        if walk.left[net.reads[i]] == 0:
            again += net.size[net.reads[i]]
    return int(again - net.keep[v] - net.regrown[v])


@compiled_inside
def _leave_harmless(net: Net, walk: Walk, flow: Flow) -> None:
    place = 0
    while place < walk.amount[0]:
        if _loss(net, walk, walk.ready[place]) <= 0 and _leaves(net, walk, flow, place):
            place = 0
        else:
            place += 1


@compiled_inside
def start_behind(net: Net, walk: Walk, flow: Flow, sets: Sets) -> bool:
    """Begins with the set of all nodes; whether that leads to the empty set at once."""
    done = np.zeros(len(walk.done), np.uint64)
    memory = np.int64(net.base)
    for v in range(len(net.needs)):
        put(done, v)
        memory += net.keep[v]
    for x in range(len(net.size)):
        memory -= net.held[x] if net.readers[x] > 0 else 0
    _load_behind(net, walk, done, np.zeros((len(net.size) + WORD - 1) // WORD, np.uint64), int(memory))
    _leave_harmless(net, walk, flow)
    add(net, sets, walk)
    return bool(walk.amount[0] == 0)


@compiled_inside
def expand_behind(net: Net, walk: Walk, flow: Flow, sets: Sets) -> int:
    """Makes each step back that fits from the set that waits last; ``MORE`` where that does not end the search."""
    sets.counts[WAITING] -= 1
    number = sets.waiting[sets.counts[WAITING]]
    done, cut, held = sets.done[number], sets.cut[number], sets.held[number]
    _load_behind(net, walk, done, cut, held)
    for v in walk.ready[: walk.amount[0]].copy():
        if (walk.done != done).any():
            _load_behind(net, walk, done, cut, held)
        if not _leaves(net, walk, flow, place_of(walk, v)):
            continue
        _leave_harmless(net, walk, flow)
        if walk.amount[0] == 0:
            return FOUND
        if sets.counts[ALL] == len(sets.held):
            return GAVE_UP
        add(net, sets, walk)
    return MORE
