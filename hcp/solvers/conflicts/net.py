"""A graph under a budget and a set F as arrays for ``order_search.py``."""

import numpy as np

from hcp.graph.index import BoolArray, GraphIndex, Incidence, IntArray
from hcp.solvers.conflicts.walk import Int32, Net


def neighbours(index: GraphIndex) -> tuple[Incidence, Incidence]:
    """The distinct predecessors and successors of each node."""
    return Incidence.pack(index.predecessors), Incidence.pack(index.successors)


def build_net(
    index: GraphIndex, budget: int, free: BoolArray, around: tuple[Incidence, Incidence], *, traced: bool
) -> Net:
    """The arrays.

    Args:
        index: The graph.
        budget: Bytes.
        free: F, a boolean per node.
        around: Of ``neighbours``.
        traced: Whether re-executions need their inputs.
    """
    before, after = around
    made = index.producer >= 0
    again = made & free[index.producer]
    held = np.where(index.resident | ~again, index.size, 0)
    unread = np.diff(index.readers.start) == 0
    peak, keep = index.workspace.copy(), np.zeros(index.n, np.int64)
    np.add.at(peak, index.producer[made], index.size[made])
    np.add.at(keep, index.producer[made], (held * (index.resident | ~unread))[made])
    reader = np.repeat(np.arange(index.n), np.diff(index.inputs.start))
    np.add.at(peak, reader, (index.size - held)[index.inputs.items])
    # Only values that can be dropped matter from here on, and of those made in F only where inputs are needed.
    counted = index.droppable & ((index.size > 0) & ~again | traced)
    number = np.cumsum(counted) - 1
    read = counted[index.inputs.items]
    node, value = reader[read], number[index.inputs.items[read]]
    users, user_reads, user_start = _users(node, value, free, int(counted.sum()))
    makers = index.producer[counted]
    by_maker = np.argsort(makers, kind="stable")
    others = np.diff(user_start)[value] - free[node]
    regrown = np.zeros(index.n, np.int64)
    if traced:
        lost = index.droppable & again & ~unread
        np.add.at(regrown, index.producer[lost], index.size[lost])
    return Net(
        needs=np.diff(before.start).astype(np.int32),
        before_start=before.start.astype(np.int32),
        before=before.items.astype(np.int32),
        after_start=after.start.astype(np.int32),
        after=after.items.astype(np.int32),
        free=free,
        peak=peak,
        keep=keep,
        read_start=_starts(node, index.n),
        reads=value.astype(np.int32),
        # What nodes of F still need to run again is not freed.
        freed=np.where((others == 0) | (not traced), held[counted][value], 0),
        regrown=regrown,
        made_start=_starts(np.sort(makers), index.n),
        made=by_maker.astype(np.int32),
        user_start=user_start,
        users=users,
        user_reads=user_reads,
        maker=makers.astype(np.int32),
        size=index.size[counted],
        held=held[counted],
        readers=np.diff(index.readers.start)[counted].astype(np.int32),
        budget=budget,
        base=int(index.base_bytes),
        traced=traced,
    )


def _starts(rows: IntArray, count: int) -> Int32:
    """Where each row begins in a list that is sorted by rows."""
    return np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=count)))).astype(np.int32)


def _users(node: IntArray, value: IntArray, free: BoolArray, values: int) -> tuple[Int32, Int32, Int32]:
    """Nodes of F that read each value, which reads these are, and where each value's begin."""
    reads = np.flatnonzero(free[node])
    reads = reads[np.argsort(value[reads], kind="stable")]
    return node[reads].astype(np.int32), reads.astype(np.int32), _starts(value[reads], values)
