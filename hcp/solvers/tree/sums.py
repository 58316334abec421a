"""Sums of columns that are whole numbers in every schedule: what a tree branches on beside single columns.

How often a node runs is ``sum_k R[v,k]``. A fractional point spreads one execution over many stages, so that fixing a
single ``R[v,k]`` moves it to another stage and gains nothing; ``at most t times or at least t + 1 times`` does. The
same sum over nodes of the same sizes says how many of a graph's equal layers are computed again.
"""

from dataclasses import dataclass

import numpy as np

from hcp.graph.index import IntArray
from hcp.solvers.cut_relaxation.grid import Grid
from hcp.solvers.models.rows import ONE, Columns


@dataclass(frozen=True)
class RunSum:
    """How often some nodes run, in all.

    Attributes:
        nodes: Distinct nodes that may run twice, ascending.
    """

    nodes: tuple[int, ...]

    def is_valid(self, grid: Grid) -> bool:
        """Whether these are such nodes."""
        known = all(0 <= v < grid.index.n and not grid.once[v] for v in self.nodes)
        return bool(self.nodes) and known and list(self.nodes) == sorted(set(self.nodes))

    def columns(self, grid: Grid) -> Columns:
        """The columns that add up to it."""
        runs = grid.runs[list(self.nodes)]
        return runs[runs >= 0]

    def constant(self, grid: Grid) -> int:
        """What is added to the columns: runs that every schedule makes."""
        return int((grid.runs[list(self.nodes)] == ONE).sum())


def run_sums(grid: Grid) -> list[RunSum]:
    """The sums of single nodes, of nodes of the same sizes, and of all."""
    nodes = [v for v in np.flatnonzero(~grid.once).tolist() if (grid.runs[v] >= 0).any()]
    alike: dict[tuple[object, ...], list[int]] = {}
    for v in nodes:
        alike.setdefault(_sizes(grid, v), []).append(v)
    groups = [tuple(group) for group in [*alike.values(), nodes] if len(group) > 1]
    return [RunSum(group) for group in dict.fromkeys([*((v,) for v in nodes), *groups])]


def _sizes(grid: Grid, node: int) -> tuple[object, ...]:
    index = grid.index

    def sorted_sizes(values: IntArray) -> tuple[int, ...]:
        return tuple(sorted(index.size[values].tolist()))

    made, read = sorted_sizes(index.outputs[node]), sorted_sizes(index.inputs[node])
    return made, read, int(index.workspace[node])
