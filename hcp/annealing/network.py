"""A graph reduced to what the annealing moves need, as packed arrays."""

from collections.abc import Sequence
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


class PackedRows(NamedTuple):
    """Lists of numbers, one a row, packed: row i is ``items[start[i]:start[i + 1]]``."""

    start: Int32
    items: Int32

    @classmethod
    def pack(cls, rows: Sequence[Sequence[int]]) -> "PackedRows":
        """Packs one list a row."""
        packed = Incidence.pack(rows)
        return cls(packed.start.astype(np.int32), packed.items.astype(np.int32))


class Network(NamedTuple):
    """Nodes 0..n-1 as in ``GraphIndex``, and *bundles*: values that live and die together.

    Only values that can be dropped and that take space are in bundles; the outputs of one node with the same readers
    make one. Values that stay are in ``held``, unread ones in ``scratch``.

    Attributes:
        reads: Bundles that each node reads.
        makes: Bundles that each node makes.
        readers: Nodes that read each bundle.
        maker: Node that makes each bundle.
        size: Units of memory of each bundle.
        held: Per node, units of its resident outputs.
        scratch: Per node, units needed only while it runs: workspace and unread outputs.
        cost: Per node, in multiples of ``cost_unit``.
        repeatable: Per node: may run again, and it can help.
        before: Nodes whose first execution precedes each node's first.
        after: The inverse of ``before``.
    """

    reads: PackedRows
    makes: PackedRows
    readers: PackedRows
    maker: Int32
    size: Int64
    held: Int64
    scratch: Int64
    cost: Int64
    repeatable: Bool
    before: PackedRows
    after: PackedRows


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
    bundles = _Bundles(index.n)
    for node in range(index.n):
        for value in index.outputs[node].tolist():
            units = -(-int(index.size[value]) // unit)
            bundles.add(node, units, tuple(index.readers[value].tolist()), stays=bool(index.resident[value]))
    before = index.predecessors if order is None else _one_after_another(order)
    return Network(
        reads=PackedRows.pack(bundles.reads),
        makes=PackedRows.pack(bundles.makes),
        readers=PackedRows.pack(bundles.readers),
        maker=np.array(bundles.maker, np.int32),
        size=np.array(bundles.size, np.int64),
        held=np.array(bundles.held, np.int64),
        scratch=np.array(bundles.unread, np.int64) - (-index.workspace // unit),
        cost=index.cost // cost_unit(index),
        # Running a node again can only help where it makes something that can be dropped meanwhile.
        repeatable=index.recomputable & np.array([bool(made) for made in bundles.makes], np.bool_),
        before=PackedRows.pack(before),
        after=PackedRows.pack(_inverse(before)),
    )


class _Bundles:
    """The outputs of nodes, sorted into bundles, what stays, and what is never read."""

    def __init__(self, nodes: int) -> None:
        self.reads: list[list[int]] = [[] for _ in range(nodes)]
        self.makes: list[list[int]] = [[] for _ in range(nodes)]
        self.held = [0] * nodes
        self.unread = [0] * nodes
        self.readers: list[tuple[int, ...]] = []
        self.maker: list[int] = []
        self.size: list[int] = []
        self._with: dict[tuple[int, tuple[int, ...]], int] = {}

    def add(self, node: int, units: int, readers: tuple[int, ...], stays: bool) -> None:
        """Sorts an output of a node in."""
        if stays:
            self.held[node] += units
        elif not readers:
            self.unread[node] += units
        elif units:
            self.size[self._bundle(node, readers)] += units

    def _bundle(self, node: int, readers: tuple[int, ...]) -> int:
        """The bundle of a node's outputs that these nodes read."""
        if (node, readers) not in self._with:
            bundle = self._with[node, readers] = len(self.size)
            self.makes[node].append(bundle)
            for reader in readers:
                self.reads[reader].append(bundle)
            self.readers.append(readers)
            self.maker.append(node)
            self.size.append(0)
        return self._with[node, readers]


def _one_after_another(order: Sequence[int]) -> list[list[int]]:
    """Per node, the one before it: the chain of a legal order implies every edge of the graph."""
    before: list[list[int]] = [[] for _ in order]
    for earlier, later in pairwise(order):
        before[later].append(earlier)
    return before


def _inverse(before: Sequence[Sequence[int]]) -> list[list[int]]:
    after: list[list[int]] = [[] for _ in before]
    for node, earlier_nodes in enumerate(before):
        for earlier in earlier_nodes:
            after[earlier].append(node)
    return after
