"""A graph as integer arrays: what planners and models compute on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hcp.graph.cancellation import tick, ticking

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Incidence:
    """Lists of integers, one a row, packed: row i is ``items[start[i]:start[i + 1]]``."""

    start: IntArray
    items: IntArray

    @classmethod
    def pack(cls, rows: Sequence[Sequence[int]]) -> "Incidence":
        """Packs one list of integers a row."""
        start = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=start[1:])
        items = np.fromiter((item for row in rows for item in row), np.int64, int(start[-1]))
        return cls(start, items)

    def __getitem__(self, row: int) -> IntArray:
        return self.items[self.start[row] : self.start[row + 1]]

    def __len__(self) -> int:
        return len(self.start) - 1

    def tolists(self) -> list[list[int]]:
        """The rows as lists of Python integers."""
        items: list[int] = self.items.tolist()
        return [items[begin:end] for begin, end in pairwise(self.start.tolist())]


@dataclass(frozen=True)
class GraphIndex:
    """Nodes 0..n-1 in the order of ``Graph.nodes``, values 0..m-1 in the order of ``Graph.values``.

    Attributes:
        inputs: Values read by each node.
        outputs: Values created by each node.
        readers: Nodes that read each value.
        cost, workspace: Per node, int64.
        recomputable: Per node.
        size, resident: Per value.
        producer: Node that creates each value, -1 for the graph's inputs.
        order: Nodes in the graph's own topological order.
    """

    node_names: tuple[str, ...]
    value_names: tuple[str, ...]
    inputs: Incidence
    outputs: Incidence
    readers: Incidence
    cost: IntArray
    workspace: IntArray
    recomputable: BoolArray
    size: IntArray
    resident: BoolArray
    producer: IntArray
    order: IntArray

    @classmethod
    def build(
        cls,
        *,
        node_names: tuple[str, ...],
        value_names: tuple[str, ...],
        inputs: Sequence[Sequence[int]],
        outputs: Sequence[Sequence[int]],
        cost: Sequence[int],
        workspace: Sequence[int],
        recomputable: Sequence[bool],
        size: Sequence[int],
        resident: Sequence[bool],
        order: Sequence[int],
    ) -> "GraphIndex":
        """Packs lists into arrays and derives producers and readers."""
        producer = np.full(len(value_names), -1, np.int64)
        readers: list[list[int]] = [[] for _ in value_names]
        for node, (ins, outs) in enumerate(ticking(zip(inputs, outputs, strict=True))):
            producer[list(outs)] = node
            for value in ins:
                readers[value].append(node)
        return cls(
            node_names=node_names,
            value_names=value_names,
            inputs=Incidence.pack(inputs),
            outputs=Incidence.pack(outputs),
            readers=Incidence.pack(readers),
            cost=np.array(cost, np.int64),
            workspace=np.array(workspace, np.int64),
            recomputable=np.array(recomputable, np.bool_),
            size=np.array(size, np.int64),
            resident=np.array(resident, np.bool_),
            producer=producer,
            order=np.array(order, np.int64),
        )

    @property
    def n(self) -> int:
        """Number of nodes."""
        return len(self.node_names)

    @property
    def m(self) -> int:
        """Number of values."""
        return len(self.value_names)

    @cached_property
    def node_of(self) -> Mapping[str, int]:
        """Each node's number by its name."""
        return {name: node for node, name in enumerate(self.node_names)}

    @cached_property
    def value_of(self) -> Mapping[str, int]:
        """Each value's number by its name."""
        return {name: value for value, name in enumerate(self.value_names)}

    @cached_property
    def droppable(self) -> BoolArray:
        """Per value: whether a schedule may free it. Inputs of the graph and residents stay to the end."""
        return (self.producer >= 0) & ~self.resident

    @cached_property
    def base_bytes(self) -> int:
        """Bytes of the graph's inputs, live in every schedule from start to end."""
        return int(self.size[self.producer < 0].sum())

    @cached_property
    def needs(self) -> IntArray:
        """Per node: bytes that it needs beside what is live when it runs, for all its outputs and its workspace."""
        needs = self.workspace.copy()
        np.add.at(needs, np.repeat(np.arange(self.n), np.diff(self.outputs.start)), self.size[self.outputs.items])
        return needs

    @cached_property
    def kept(self) -> IntArray:
        """Per node: bytes of the resident values that it makes, which stay to the end of every schedule."""
        kept = np.zeros(self.n, np.int64)
        made = np.flatnonzero(self.resident & (self.producer >= 0))
        np.add.at(kept, self.producer[made], self.size[made])
        return kept

    @cached_property
    def floor(self) -> IntArray:
        """Per node: bytes that every schedule holds while the node runs.

        Its inputs, outputs and workspace, the graph's inputs, and the resident values that its ancestors made.
        """
        total = self.workspace + self.base_bytes + self._kept_above
        droppable = np.where(self.resident, 0, self.size)
        for values, sizes in ((self.inputs, droppable), (self.outputs, self.size)):
            np.add.at(total, np.repeat(np.arange(self.n), np.diff(values.start)), sizes[values.items])
        return total

    @cached_property
    def last_floor(self) -> IntArray:
        """Per node: bytes held while it runs for the first time, by every schedule in which all others have run before.

        As ``floor``, with the resident values of all nodes. They neither are freed nor move to a host.
        """
        return self.floor + int(self.kept.sum()) - self._kept_above - self.kept

    @cached_property
    def last(self) -> int:
        """The node that holds least in ``last_floor``, of those that can be the last to run for the first time."""
        ends = np.setdiff1d(np.arange(self.n), np.concatenate(self.predecessors).astype(np.int64))
        return int(ends[self.last_floor[ends].argmin()])

    @property
    def least_bytes(self) -> int:
        """Bytes that every schedule holds at some time, with a host or without: no smaller budget is met.

        Every node runs, and while it runs ``floor`` is held. In every schedule one of the nodes is the last to run for
        the first time. It has no readers, since a reader would run later still; when it runs all others
        have run, so that ``last_floor`` is held, at least that of ``last``.
        """
        return max(int(self.floor.max()), int(self.last_floor[self.last]))

    @cached_property
    def _kept_above(self) -> IntArray:
        """Per node: bytes of the resident values that its ancestors make."""
        makers = np.flatnonzero(self.kept)
        place = {int(node): i for i, node in enumerate(makers)}
        above = [0] * self.n
        found = np.zeros(self.n, np.int64)
        for node in self.order.tolist():
            tick()
            for before in self.predecessors[node]:
                above[node] |= above[before] | (1 << place[before] if before in place else 0)
            if above[node]:
                found[node] = self.kept[makers[members(above[node], len(makers))]].sum()
        return found

    @cached_property
    def predecessors(self) -> list[list[int]]:
        """Per node: the nodes whose outputs it reads, without repetition, in increasing order."""
        producer: list[int] = self.producer.tolist()
        return [sorted({producer[x] for x in row if producer[x] >= 0}) for row in ticking(self.inputs.tolists())]

    @cached_property
    def successors(self) -> list[list[int]]:
        """Per node: the nodes that read what it makes, without repetition, in increasing order."""
        found: list[list[int]] = [[] for _ in range(self.n)]
        for node, row in enumerate(ticking(self.predecessors)):
            for before in row:
                found[before].append(node)
        return found

    @cached_property
    def position(self) -> IntArray:
        """Per node: its place in ``order``."""
        found = np.empty(self.n, np.int64)
        found[self.order] = np.arange(self.n)
        return found

    @cached_property
    def ancestors(self) -> list[int]:
        """Per node: its proper ancestors as the bits of one Python integer."""
        return _reached(self.order.tolist(), self.predecessors)

    @cached_property
    def descendants(self) -> list[int]:
        """Per node: the nodes of which it is a proper ancestor, as the bits of one Python integer."""
        return _reached(self.order.tolist()[::-1], self.successors)


def members(mask: int, count: int) -> BoolArray:
    """Which of so many things are in a set, which is given as the bits of an integer."""
    octets = np.frombuffer(mask.to_bytes(-(-count // 8), "little"), np.uint8)
    return np.unpackbits(octets, count=count, bitorder="little").astype(np.bool_)


def _reached(order: list[int], neighbours: list[list[int]]) -> list[int]:
    """Per node: all that is reached by way of neighbours, which come before it in the order, as bits."""
    found = [0] * len(order)
    for node in order:
        tick()
        mask = 0
        for other in neighbours[node]:
            mask |= found[other] | (1 << other)
        found[node] = mask
    return found
