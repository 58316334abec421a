"""Which nodes to merge: a node with the only one that reads it, where little is lost by running both together.

Of a node u and the only node v that reads what it makes, one can run right behind the other:

- *early*: v reads nothing that u does not make or read, and makes no more bytes than it reads of u. Then v may as well
  run right after u, since what it makes takes no more room than what waits for it; nothing is lost.
- *late*: what only u reads takes no more bytes than what u makes for v. Then u may as well run right before v. Nothing
  is lost where v runs once; elsewhere, u runs again with v, and would not have to where its output had been kept.

Contracting such an edge closes no cycle: another path from u to v would leave u by another edge.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hcp.graph.cancellation import ticking
from hcp.graph.index import GraphIndex, Incidence, IntArray
from hcp.graph.ir import Graph
from hcp.planning.parameters import Amount, Params, Share
from hcp.solvers.coarsening.contraction import Contraction, contract


@dataclass(frozen=True)
class MergeParams(Params):
    """Which nodes are merged.

    Attributes:
        cheap: Most that a node costs that runs each time with its only reader, as a share of what that one costs.
        widest: Most bytes that two merged nodes read, make and need where they need more than one of them, as a share
            of the budget less what stays. What a run needs at once leaves less for what is kept.
        least_gain: Merging goes on while a pass takes away this share of the nodes.
    """

    cheap: Amount = 0.1
    widest: Share = 0.01
    least_gain: Share = 0.01


def coarsened(graph: Graph, budget: int, params: MergeParams) -> Contraction:
    """Merges pairs of nodes, and pairs of what came out, as long as that takes away many nodes.

    Args:
        graph: The computation.
        budget: Bytes.
        params: Tuned choices.
    """
    groups = [[node] for node in range(graph.index.n)]
    contraction = Contraction(graph, graph, {name: (name,) for name in graph.index.node_names})
    while True:
        pairs = _disjoint(_Merges(contraction.coarse.index, budget, params).candidates())
        if len(pairs) <= params.least_gain * len(groups):
            return contraction
        into = dict(pairs)
        behind = set(into.values())
        groups = [
            group + groups[into[node]] if node in into else group
            for node, group in enumerate(groups)
            if node not in behind
        ]
        contraction = contract(graph, groups)


def _disjoint(candidates: Sequence[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """The pairs that lose least, each node in one at most."""
    taken: set[int] = set()
    pairs = []
    for _, first, second in sorted(candidates):
        if first not in taken and second not in taken:
            taken.update((first, second))
            pairs.append((first, second))
    return pairs


class _Merges:
    """The candidates of one graph. Sizes are in bytes."""

    def __init__(self, index: GraphIndex, budget: int, params: MergeParams) -> None:
        drops = index.droppable
        read = np.diff(index.readers.start) > 0
        self.params = params
        self.room: float = params.widest * (budget - index.base_bytes - int(index.kept.sum()))
        self.after = index.successors
        self.size: list[int] = np.where(drops, index.size, 0).tolist()
        self.cost: list[int] = index.cost.tolist()
        self.inputs = [set(row) for row in index.inputs.tolists()]
        self.outputs = [set(row) for row in index.outputs.tolists()]
        # What waits for readers, with it what stays, and all that is held while a node runs.
        leaves = _totals(index.outputs, np.where(drops & read, index.size, 0))
        makes = _totals(index.outputs, np.where(drops & ~read, 0, index.size))
        needs = _totals(index.outputs, index.size) + _totals(index.inputs, np.where(drops, index.size, 0))
        self.leaves: list[int] = leaves.tolist()
        self.makes: list[int] = makes.tolist()
        self.needs: list[int] = (needs + index.workspace).tolist()
        self.repeatable: list[bool] = index.recomputable.tolist()
        # Running a node again helps only where it makes something that can be dropped meanwhile.
        self.once: list[bool] = (~index.recomputable | (leaves == 0)).tolist()

    def candidates(self) -> list[tuple[int, int, int]]:
        """Loss, first and second node of every pair that may be merged."""
        found = []
        for first, readers in enumerate(ticking(self.after)):
            if len(readers) == 1 and self.fits(first, readers[0]):
                loss = self.loss(first, readers[0])
                if loss is not None:
                    found.append((loss, first, readers[0]))
        return found

    def fits(self, first: int, second: int) -> bool:
        """Whether both together hold about what one of them does, or little."""
        needs = self.needs
        together = self.bytes_of(self.inputs[first] - self.inputs[second]) + needs[second]
        return max(needs[first], together) <= max(needs[first], needs[second], self.room)

    def loss(self, first: int, second: int) -> int | None:
        """What merging a node with its only reader loses each time that one runs again; None where too much."""
        waits = self.leaves[first]
        early = not self.bytes_of(self.inputs[second] - self.inputs[first] - self.outputs[first])
        if early and self.makes[second] <= waits and self.makes[first] == waits:
            return 0
        if self.bytes_of(self.inputs[first] - self.inputs[second]) > waits:
            return None
        if self.once[second]:
            return 0
        cost = self.cost[first]
        return cost if self.repeatable[first] and cost <= self.params.cheap * self.cost[second] else None

    def bytes_of(self, values: Iterable[int]) -> int:
        """The size of those that can be dropped."""
        return sum(self.size[x] for x in values)


def _totals(rows: Incidence, amounts: IntArray) -> IntArray:
    """The sum over each row."""
    total = np.zeros(len(rows), np.int64)
    np.add.at(total, np.repeat(np.arange(len(rows)), np.diff(rows.start)), amounts[rows.items])
    return total
