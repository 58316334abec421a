"""The set of nodes that have run, step by step, and what is held with it: compiled code of ``order_search.py``."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hcp.annealing.compiled import compiled_inside
from hcp.graph.index import BoolArray, IntArray

Words = NDArray[np.uint64]
Int32 = NDArray[np.int32]

WORD = 64


class Net(NamedTuple):
    """A graph under a budget and a set F, as compiled code takes it; values have numbers of their own.

    Attributes:
        needs: Per node, distinct predecessors.
        before_start, before: Packed predecessors of each node.
        after_start, after: Packed successors of each node.
        free: Per node, whether it is in F.
        peak: Per node, bytes in addition to those held while it runs.
        keep: Per node, bytes of its outputs that are held afterwards.
        read_start, reads: Packed values that each node reads.
        freed: Bytes that a last read surely frees, one a read.
        regrown: Per node, bytes to hold of its outputs where its inputs are freed.
        made_start, made: Packed values that each node makes.
        user_start, users, user_reads: Packed nodes of F that read each value, and which of ``reads`` that is.
        maker: Producer of each value.
        size: Its bytes.
        held: Its bytes if nothing can make it again, else 0.
        readers: How many nodes read it.
        budget, base: Bytes.
        traced: Whether re-executions need their inputs.
    """

    needs: Int32
    before_start: Int32
    before: Int32
    after_start: Int32
    after: Int32
    free: BoolArray
    peak: IntArray
    keep: IntArray
    read_start: Int32
    reads: Int32
    freed: IntArray
    regrown: IntArray
    made_start: Int32
    made: Int32
    user_start: Int32
    users: Int32
    user_reads: Int32
    maker: Int32
    size: IntArray
    held: IntArray
    readers: Int32
    budget: int
    base: int
    traced: bool


class Walk(NamedTuple):
    """One set D and what follows from it; changed in place.

    Attributes:
        done: D, a bit a node.
        missing: Per node, predecessors that are not in D.
        left: Per value, readers that are not in D.
        born: Per value, whether its producer is in D.
        cut: Values, a flag each, that together with those that nothing can make again are enough to make all that is
            still to be read.
        ready: Nodes that can run next, at the front.
        amount: How many are ready, one number.
        memory: Bytes held, one number.
    """

    done: Words
    missing: Int32
    left: Int32
    born: BoolArray
    cut: BoolArray
    ready: Int32
    amount: IntArray
    memory: IntArray


@compiled_inside
def new_walk(net: Net) -> Walk:
    """A walk to load sets into."""
    nodes, values = len(net.needs), len(net.size)
    return Walk(
        np.zeros((nodes + WORD - 1) // WORD, np.uint64),
        np.zeros(nodes, np.int32),
        np.zeros(values, np.int32),
        np.zeros(values, np.bool_),
        np.zeros(values, np.bool_),
        np.zeros(nodes, np.int32),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
    )


@compiled_inside
def has(words: Words, place: int) -> bool:
    """A bit."""
    return bool((words[place // WORD] >> np.uint64(place % WORD)) & np.uint64(1))


@compiled_inside
def put(words: Words, place: int) -> None:
    """Sets a bit."""
    words[place // WORD] |= np.uint64(1) << np.uint64(place % WORD)


@compiled_inside
def let_go_on(walk: Walk, place: int, start: Int32, around: Int32) -> None:
    """Takes a node off the ready list; those around it that waited for it alone are ready then."""
    v = walk.ready[place]
    walk.amount[0] -= 1
    walk.ready[place] = walk.ready[walk.amount[0]]
    for i in range(start[v], start[v + 1]):
        w = around[i]
        walk.missing[w] -= 1
        if walk.missing[w] == 0:
            walk.ready[walk.amount[0]] = w
            walk.amount[0] += 1


@compiled_inside
def place_of(walk: Walk, v: int) -> int:
    """Where a node is in the ready list."""
    place = 0
    while walk.ready[place] != v:
        place += 1
    return place


@compiled_inside
def load_set(net: Net, walk: Walk, done: Words, cut: Words, memory: int) -> None:
    """Goes to a set with its cut and the bytes held, but for the lists of nodes."""
    walk.done[:] = done
    walk.memory[0] = memory
    walk.left[:] = net.readers
    walk.born[:] = False
    for v in range(len(net.needs)):
        if has(done, v):
            for i in range(net.read_start[v], net.read_start[v + 1]):
                walk.left[net.reads[i]] -= 1
            for i in range(net.made_start[v], net.made_start[v + 1]):
                walk.born[net.made[i]] = True
    if net.traced:
        for x in range(len(walk.cut)):
            walk.cut[x] = has(cut, x)


@compiled_inside
def load(net: Net, walk: Walk, done: Words, cut: Words, memory: int) -> None:
    """Goes to a set with its cut and the bytes held; ``ready`` are the nodes that can run next."""
    load_set(net, walk, done, cut, memory)
    walk.missing[:] = net.needs
    for v in range(len(net.needs)):
        if has(done, v):
            for i in range(net.after_start[v], net.after_start[v + 1]):
                walk.missing[net.after[i]] -= 1
    walk.amount[0] = 0
    for v in range(len(net.needs)):
        if walk.missing[v] == 0 and not has(done, v):
            walk.ready[walk.amount[0]] = v
            walk.amount[0] += 1


@compiled_inside
def growth(net: Net, walk: Walk, v: int) -> int:
    """Bytes held more after v ran than before, at most, whatever runs in between."""
    freed = np.int64(0)
    for i in range(net.read_start[v], net.read_start[v + 1]):
        if walk.left[net.reads[i]] == 1:
            freed += net.freed[i]
    return int(net.keep[v] + min(0, net.regrown[v] - freed))


@compiled_inside
def run(net: Net, walk: Walk, place: int) -> None:
    """Runs the node at a place of the ready list."""
    v = walk.ready[place]
    put(walk.done, v)
    walk.memory[0] += net.keep[v]
    for i in range(net.read_start[v], net.read_start[v + 1]):
        x = net.reads[i]
        walk.left[x] -= 1
        if walk.left[x] == 0 and not net.free[net.maker[x]]:
            # Nobody reads it for the first time any more, but it may be what others are made of again.
            walk.memory[0] -= net.held[x]
            walk.cut[x] = True
    for i in range(net.made_start[v], net.made_start[v + 1]):
        walk.born[net.made[i]] = True
    let_go_on(walk, place, net.after_start, net.after)
