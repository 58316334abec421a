"""A graph reduced to what the annealing moves need, as packed arrays."""

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hcp.graph.index import GraphIndex, Incidence

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

# The area over the budget is a sum over all slots of the timeline; 2^62 keeps it inside a 64-bit integer.
_LARGEST_AREA: Final = 2**62
_MOST_SLOTS_PER_NODE: Final = 2**6


class Network(NamedTuple):
    """Nodes 0..n-1 as in ``GraphIndex``, and *bundles*: values that live and die together.

    Only values that can be dropped and that take space are in bundles; the outputs of one node with the same readers
    make one. Values that stay are in ``held``, unread ones in ``scratch``.

    Attributes:
        read_start, reads: Packed bundles that each node reads.
        make_start, makes: Packed bundles that each node makes.
        reader_start, readers: Packed nodes that read each bundle.
        maker: Node that makes each bundle.
        size: Units of memory of each bundle.
        held: Per node, units of its resident outputs.
        scratch: Per node, units needed only while it runs: workspace and unread outputs.
        cost: Per node, in multiples of ``cost_unit``.
        repeatable: Per node: may run again, and it can help.
        before_start, before: Packed nodes whose first execution precedes this node's first.
        after_start, after: The inverse of ``before``.
    """

    read_start: Int32
    reads: Int32
    make_start: Int32
    makes: Int32
    reader_start: Int32
    readers: Int32
    maker: Int32
    size: Int64
    held: Int64
    scratch: Int64
    cost: Int64
    repeatable: Bool
    before_start: Int32
    before: Int32
    after_start: Int32
    after: Int32


def cost_unit(index: GraphIndex) -> int:
    """Cost in one unit of the network: 1, or more where a long schedule's cost would not fit 64 bits."""
    return 1 + int(index.cost.sum()) * _MOST_SLOTS_PER_NODE // _LARGEST_AREA


def memory_unit(index: GraphIndex) -> int:
    """Bytes in one unit of memory: 1, or more where sums over a timeline would not fit 64 bits."""
    total = 2 * int(index.size.sum()) + int(index.workspace.sum())
    slots = max(index.n, 16) * _MOST_SLOTS_PER_NODE
    return 1 + total * slots // _LARGEST_AREA


def build_network(index: GraphIndex, order: list[int] | None, unit: int) -> Network:
    """Bundles the values of a graph.

    Args:
        index: The graph.
        order: Nodes in the order that first executions must follow; None where the graph alone decides.
        unit: Bytes in a unit of memory; sizes are rounded up.
    """
    held = np.zeros(index.n, np.int64)
    scratch = -(-index.workspace // unit)
    reads: list[list[int]] = [[] for _ in range(index.n)]
    makes: list[list[int]] = [[] for _ in range(index.n)]
    readers: list[list[int]] = []
    sizes: list[int] = []
    makers: list[int] = []
    for node in range(index.n):
        bundle_of: dict[tuple[int, ...], int] = {}
        for value in index.outputs[node].tolist():
            units = -(-int(index.size[value]) // unit)
            who = tuple(index.readers[value].tolist())
            if index.resident[value]:
                held[node] += units
            elif not who:
                scratch[node] += units
            elif units:
                if who not in bundle_of:
                    bundle_of[who] = len(sizes)
                    makes[node].append(len(sizes))
                    for reader in who:
                        reads[reader].append(len(sizes))
                    readers.append(list(who))
                    sizes.append(0)
                    makers.append(node)
                sizes[bundle_of[who]] += units
    before = index.predecessors
    if order is not None:
        # The chain of a legal order implies every edge of the graph.
        before = [[] for _ in range(index.n)]
        for earlier, later in pairwise(order):
            before[later].append(earlier)
    after: list[list[int]] = [[] for _ in range(index.n)]
    for node, earlier_nodes in enumerate(before):
        for earlier in earlier_nodes:
            after[earlier].append(node)
    packed = [Incidence.pack(rows) for rows in (reads, makes, readers, before, after)]
    (read_start, read), (make_start, make), (reader_start, reader), (before_start, befores), (after_start, afters) = (
        (pack.start.astype(np.int32), pack.items.astype(np.int32)) for pack in packed
    )
    return Network(
        read_start=read_start,
        reads=read,
        make_start=make_start,
        makes=make,
        reader_start=reader_start,
        readers=reader,
        maker=np.array(makers, np.int32),
        size=np.array(sizes, np.int64),
        held=held,
        scratch=scratch,
        cost=index.cost // cost_unit(index),
        # Running a node again can only help where it makes something that can be dropped meanwhile.
        repeatable=index.recomputable & np.array([bool(made) for made in makes], np.bool_),
        before_start=before_start,
        before=befores,
        after_start=after_start,
        after=afters,
    )
