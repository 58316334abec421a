"""Path cuts (family E4): rows that follow a value's production back through the stages.

For a path of values x_m, ..., x_0, where x_m is read by w and each x_{l-1} by the producer of x_l, trace an execution
of w in stage k back through the instances it read. That walk goes back in time along saves S[x_l, j] and from a value
to what its producer read along runs R[p(x_l), j]. A staircase that separates it from the past is crossed at a save or a
run, so these sum up to at least R[w,k]; and w first executes at most once, so they sum up to at least its first
executions in the stages a .. k as well, where a is the stage that the staircase starts at.

A staircase starts at a value w reads with a save, S[x_m, a]. It then goes right, which costs the runs of that value's
producer in the stages passed; left, which is free; or down to a value the producer reads, which costs a save; until it
has passed stage k.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hcp.graph.errors import GraphError
from hcp.graph.fields import Record, as_list, shown, whole
from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph
from hcp.planning.compilation import PATH_CUTS
from hcp.solvers.cut_relaxation.cuts import CutModel, Family, Row
from hcp.solvers.cut_relaxation.grid import Terms
from hcp.solvers.formats import Format
from hcp.solvers.models.rows import FloatArray

FORMAT: Final = Format("path", 1)


@dataclass(frozen=True)
class PathCut:
    """A staircase.

    Attributes:
        reader: The node w whose execution is traced back.
        stage: The end stage k.
        first: Whether w's first executions in the stages from the first step's to ``stage`` are bounded; else its runs
            in ``stage``.
        steps: Pairs (value, stage) at which the staircase enters a value's layer, x_m first.
    """

    reader: int
    stage: int
    first: bool
    steps: tuple[tuple[int, int], ...]

    def runs(self, index: GraphIndex) -> list[tuple[int, int]]:
        """Pairs (node, stage) of the runs the staircase crosses."""
        ends = [stage for _, stage in self.steps[1:]] + [self.stage + 1]
        return [
            (int(index.producer[value]), j)
            for (value, start), end in zip(self.steps, ends, strict=True)
            for j in range(start, end)
        ]

    def is_valid(self, form: CutModel) -> bool:
        """Whether this is a staircase of the graph at all."""
        index = form.grid.index
        reader, values = self.reader, [value for value, _ in self.steps]
        if not (0 <= reader < index.n and 0 <= self.stage <= len(form.chain) and values):
            return False
        for value, stage in self.steps:
            if not (0 <= value < index.m and 0 <= stage <= self.stage):
                return False
            if value not in index.inputs[reader] or index.producer[value] < 0:
                return False
            reader = int(index.producer[value])
        return True

    def row(self, form: CutModel) -> Row:
        """The reader's runs, or its first executions, less the runs and the saves that the staircase crosses."""
        grid = form.grid
        reader, end = np.array([self.reader]), np.array([self.stage])
        terms: Terms = []
        if self.first:
            begun = np.array([self.steps[0][1]])
            terms += [(1, grid.births[reader, end]), (-1, grid.before(reader, begun))]
        else:
            terms += grid.run_terms(1, reader, end)
        for node, stage in self.runs(grid.index):
            terms += grid.run_terms(-1, np.array([node]), np.array([stage]))
        terms += [(-1, grid.saves[[value], [stage]]) for value, stage in self.steps]
        signs = np.array([sign for sign, _ in terms], np.int64)
        return Row(signs, np.concatenate([columns for _, columns in terms]), 0)

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores."""
        nodes, values = graph.index.node_names, graph.index.value_names
        return {
            "family": str(FORMAT),
            "reader": nodes[self.reader],
            "stage": self.stage,
            "first": self.first,
            "steps": [[values[value], stage] for value, stage in self.steps],
        }


def _separate(form: CutModel, point: FloatArray, least_violation: float) -> Sequence[PathCut]:
    """The most violated staircases of each end stage; none while the search for them is being compiled."""
    if not PATH_CUTS.ready():
        return ()
    # Here, since it loads a compiler, which checking certificates does not need.
    from hcp.solvers.cut_relaxation.separation import separate

    found = separate(form.grid.index, *form.grid.at(point), least_violation)
    return [PathCut(*staircase) for staircase in found]


def _read(record: Record, graph: Graph) -> PathCut:
    nodes, values = graph.index.node_of, graph.index.value_of
    fields = [record.get(name) for name in ("reader", "stage", "first", "steps")]
    match fields:
        case [str(reader), int(stage), bool(first), steps] if reader in nodes and whole(stage):
            walk = tuple(_step(step, record.owner, values) for step in as_list(steps, record.owner, "steps"))
            return PathCut(nodes[reader], stage, first, walk)
    raise GraphError(f"{record.owner} has path cut {shown(fields)}; expected reader, stage, first and steps")


def _step(step: object, owner: str, values: Mapping[str, int]) -> tuple[int, int]:
    match step:
        case [str(value), int(stage)] if value in values and whole(stage):
            return values[value], stage
    raise GraphError(f"{owner} has step {shown(step)}; expected [value, stage]")


FAMILY: Final = Family(FORMAT, _separate, _read)
