"""What a sequence of executions costs and holds, without its schedule.

Searches have their candidates as nodes of the graph's index. ``evaluate`` says of one what ``replay`` would say of
``Schedule.from_computes`` with the same nodes, many times sooner, so that schedules are made of those alone that are
worth it. ``replay`` stays the judge of these; the tests compare both on every schedule that they come across.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from hcp.graph.cancellation import tick, ticking
from hcp.graph.index import BoolArray, GraphIndex, IntArray
from hcp.planning.compilation import SEQUENCES

# Compiled code adds costs up in 64 bits.
_MOST_COST: Final = 2**62

Numbers = IntArray | list[int]
Flags = BoolArray | list[bool]


@dataclass(frozen=True)
class SequenceUsage:
    """What a legal sequence costs and holds, where every instance is freed after its last use.

    Attributes:
        cost: Sum of the costs of all executions, in the graph's cost unit.
        peak: Most bytes held at any time.
        peak_step: The first execution that reaches the peak.
        profile: Bytes held during each execution.
    """

    cost: int
    peak: int
    peak_step: int
    profile: IntArray = field(compare=False, repr=False)


def evaluate(index: GraphIndex, sequence: Sequence[int] | IntArray) -> SequenceUsage | None:
    """What a sequence of executions costs and holds; None where it is illegal.

    Illegal is what ``replay`` refuses: a node that runs before what it reads was made, that runs again though it must
    run once, or that never runs.

    Args:
        index: Of the graph.
        sequence: Its nodes by their numbers, in execution order, recomputations included.

    Raises:
        Cancelled: If the limit of the scope is over.
    """
    tick()
    nodes = np.ascontiguousarray(sequence, np.int64)
    if len(nodes) < index.n or nodes.min() < 0 or nodes.max() >= index.n:
        return None
    fits = int(index.cost.max()) * len(nodes) < _MOST_COST
    cost, peak, step, profile = _compiled(index, nodes) if fits and SEQUENCES.ready() else _interpreted(index, nodes)
    return None if step < 0 else SequenceUsage(cost, peak, step, profile)


def without_unread(index: GraphIndex, sequence: Sequence[int]) -> list[int]:
    """A legal sequence without executions that nobody reads from before the node runs again or the end.

    One execution of each node stays. Cost and peak fall or stay.
    """
    reads, makes = index.inputs.tolists(), index.outputs.tolists()
    left: list[int] = np.bincount(np.array(sequence, np.int64), minlength=index.n).tolist()
    needed = [False] * index.m
    found: list[int] = []
    for node in ticking(reversed(sequence)):
        if left[node] > 1 and not any(needed[value] for value in makes[node]):
            left[node] -= 1
            continue
        for value in makes[node]:
            needed[value] = False
        for value in reads[node]:
            needed[value] = True
        found.append(node)
    return found[::-1]


class Tables(NamedTuple):
    """What ``walk`` reads of a graph's index: arrays where it is compiled, lists where it is not.

    Attributes:
        read_start, reads: Values that each node reads, packed.
        made_start, made: Values that each node makes, packed.
        producer, droppable, size: Per value.
        cost: Per node.
        needs: Per node: bytes of all its outputs and its workspace.
        recomputable: Per node.
    """

    read_start: Numbers
    reads: Numbers
    made_start: Numbers
    made: Numbers
    producer: Numbers
    droppable: Flags
    size: Numbers
    cost: Numbers
    needs: Numbers
    recomputable: Flags

    @classmethod
    def of(cls, index: GraphIndex) -> "Tables":
        """The tables as arrays."""
        return cls(
            index.inputs.start,
            index.inputs.items,
            index.outputs.start,
            index.outputs.items,
            index.producer,
            index.droppable,
            index.size,
            index.cost,
            index.needs,
            index.recomputable,
        )

    def as_lists(self) -> "Tables":
        """The tables as lists, which interpreted code reads several times as fast."""
        return Tables(*(np.asarray(table).tolist() for table in self))


Walk = Callable[[Tables, Numbers, Flags, Numbers, Numbers], tuple[int, int, int]]
Found = tuple[int, int, int, IntArray]


def walk(tables: Tables, nodes: Numbers, ran: Flags, last: Numbers, held: Numbers) -> tuple[int, int, int]:
    """The cost, the peak and its step; a step of -1 where the sequence is illegal.

    An instance is held from after its execution until its last reader before the next execution that makes it has run,
    so that only reads of what was never made are illegal. This is compiled as it stands, and runs interpreted as well.

    Args:
        tables: Of the graph.
        nodes: In execution order, one at least.
        ran: Per node, all false; becomes whether it has run.
        last: Per value: becomes the last use of its instance, its production included.
        held: Per step and one more: the bytes of the graph's inputs, then zeros; becomes the profile.
    """
    cost, distinct = 0, 0
    for step in range(len(nodes)):
        node = nodes[step]
        again = ran[node]
        if again and not tables.recomputable[node]:
            return 0, 0, -1
        for place in range(tables.read_start[node], tables.read_start[node + 1]):
            value = tables.reads[place]
            maker = tables.producer[value]
            if maker >= 0 and not ran[maker]:
                return 0, 0, -1
            last[value] = step
        for place in range(tables.made_start[node], tables.made_start[node + 1]):
            value = tables.made[place]
            if tables.droppable[value]:
                if again:
                    held[last[value] + 1] -= tables.size[value]
                held[step + 1] += tables.size[value]
                last[value] = step
            elif not again:
                held[step + 1] += tables.size[value]
        ran[node] = True
        cost += tables.cost[node]
        distinct += not again
    if distinct < len(ran):
        return 0, 0, -1
    for value, end in enumerate(last):
        held[end + 1] -= tables.size[value] * tables.droppable[value]
    live, peak, peak_step = 0, -1, -1
    for step in range(len(nodes)):
        # So far, ``held`` has what live values have grown by since the step before.
        live += held[step]
        held[step] = live + tables.needs[nodes[step]]
        if held[step] > peak:
            peak, peak_step = held[step], step
    return cost, peak, peak_step


def _compiled(index: GraphIndex, nodes: IntArray) -> Found:
    # numba is loaded where it is used alone.
    from hcp.planning.compiled_sequences import run_compiled

    return run_compiled(index, nodes)


def _interpreted(index: GraphIndex, nodes: IntArray) -> Found:
    held = [index.base_bytes] + [0] * len(nodes)
    found = walk(Tables.of(index).as_lists(), nodes.tolist(), [False] * index.n, [0] * index.m, held)
    return *found, np.array(held[:-1], np.int64)
