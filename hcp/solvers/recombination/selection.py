"""Which executions of a long sequence to make: the exact model behind recombining schedules.

A supersequence of several schedules contains many schedules, and need not itself keep to the budget. The model chooses
among its executions: 0 or 1 for each step, and 0 or 1 for each value in each interval between two of its
events (steps that make or read it), where 1 says that the value is live there. Cost and memory are those of ``replay``:

- a step that reads a value has it live in the interval before;
- an interval is live only if the one before it is, or the step between them makes the value; residents stay live;
- at a step that is made, what is live plus its outputs plus its workspace fits the budget; at one that is not, what is
  live does;
- every node runs, and one that must not run again runs once.

It is the integer program of Checkmate (Jain et al., MLSys 2020) with the sequence in place of its stages, and with one
column for an interval in place of one for a step. Its optimum says nothing about schedules outside of the sequence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from hcp.graph.cancellation import ticking
from hcp.graph.index import BoolArray, GraphIndex, IntArray
from hcp.solvers.models.rows import ONE, ZERO, Columns, FloatArray, Model, RowBuilder

# Entries of the memory rows, one for each step that a value may be live at. Building a larger model takes seconds.
MOST_ENTRIES: Final = 5_000_000


@dataclass(frozen=True)
class Selection:
    """The model for one sequence.

    Attributes:
        model: Rows and columns.
        sequence: Nodes of the graph's index, one a step.
        steps: Column of each step; ``ONE`` or ``ZERO`` where there is no choice.
        hint: Columns at the choice that the model was built with, which is no solution where that breaks the budget.
    """

    model: Model
    sequence: IntArray
    steps: Columns
    hint: dict[int, bool]

    def chosen(self, point: FloatArray) -> list[int]:
        """The nodes that run, in order, at an integer point of the model."""
        made = np.where(self.steps >= 0, point[np.maximum(self.steps, 0)] > 0.5, self.steps == ONE)
        return [int(node) for node in self.sequence[made]]


def select(index: GraphIndex, budget: int, sequence: IntArray, made: BoolArray, free: BoolArray) -> Selection | None:
    """Builds the model; None where it would be too large.

    Args:
        index: The graph.
        budget: Bytes.
        sequence: Nodes in the order in which they may run.
        made: Steps of a legal schedule, which may break the budget.
        free: Steps that may be chosen otherwise than ``made``.
    """
    steps = np.where(made, ONE, ZERO)
    steps[free] = np.arange(int(free.sum()))
    hint = dict(enumerate(made[free].tolist()))
    rows = RowBuilder()
    spans = []
    # Bytes of values without a choice, as changes from step to step.
    fixed = np.zeros(len(sequence) + 1, np.int64)
    for value, when in ticking(_events(index, sequence)):
        makes = sequence[when] == index.producer[value]
        live = _live(made[when], makes, resident=bool(index.resident[value]))
        # A resident value is live to the end, any other at most to its last event.
        first, end = when[: len(live)] + 1, np.append(when[1:], len(sequence) - 1)[: len(live)] + 1
        size = int(index.size[value])
        if not free[when].any():
            np.add.at(fixed, first[live], size)
            np.subtract.at(fixed, end[live], size)
            continue
        intervals = np.arange(len(hint), len(hint) + len(live))
        hint.update(zip(intervals.tolist(), live.tolist(), strict=True))
        _keep(rows, steps[when], intervals, makes, bool(index.resident[value]))
        spans.append(_Span(intervals, first, end, size))
    if sum(int((span.end - span.first).sum()) for span in spans) > MOST_ENTRIES:
        return None
    _fit(rows, index, sequence, steps, spans, budget - index.base_bytes - np.cumsum(fixed[:-1]))
    _run_all(rows, index, sequence, steps)
    matrix, rhs, *_ = rows.build(len(hint))
    cost = np.zeros(len(hint), np.int64)
    cost[: int(free.sum())] = index.cost[sequence[free]]
    constant = int(index.cost[sequence[made & ~free]].sum())
    return Selection(Model(matrix, rhs, cost, constant, np.ones(len(hint), np.bool_)), sequence, steps, hint)


@dataclass(frozen=True)
class _Span:
    """Intervals of one value: their columns, their first steps, the steps after their last, and the value's bytes."""

    intervals: Columns
    first: IntArray
    end: IntArray
    size: int


def _events(index: GraphIndex, sequence: IntArray) -> Iterator[tuple[int, IntArray]]:
    """The values that nodes make, each with the steps that make or read it."""
    touched = [np.concatenate([index.inputs[node], index.outputs[node]]) for node in range(index.n)]
    values = np.concatenate([touched[node] for node in sequence])
    steps = np.repeat(np.arange(len(sequence)), [len(touched[node]) for node in sequence])
    order = np.argsort(values, kind="stable")
    found = np.split(steps[order], np.cumsum(np.bincount(values, minlength=index.m))[:-1])
    return ((value, found[value]) for value in range(index.m) if index.producer[value] >= 0)


def _live(made: BoolArray, makes: BoolArray, *, resident: bool) -> BoolArray:
    """Whether a value is live in its intervals, for the choice of a legal schedule that frees after the last use.

    Args:
        made: Which of the value's events happen.
        makes: Which of them make the value, rather than read it.
        resident: Whether the value stays; one that does not has no interval after its last event.
    """
    if resident:
        return np.logical_or.accumulate(made & makes)
    needed = np.zeros(len(made), np.bool_)
    later = False
    for event in range(len(made) - 1, 0, -1):
        if made[event]:
            later = not makes[event]
        needed[event - 1] = later
    return needed[:-1]


def _keep(rows: RowBuilder, steps: Columns, intervals: Columns, makes: BoolArray, resident: bool) -> None:
    """Rows of one value: what its readers and its intervals need."""
    before = np.append(ZERO, intervals)[: len(steps)]
    reads = ~makes
    rows.add((1, steps[reads]), (-1, before[reads]))
    here, count = steps[: len(intervals)], len(intervals)
    made = makes[:count]
    rows.add((1, intervals), (-1, before[:count]), (-1, np.where(made, here, ZERO)))
    if resident:
        rows.add((1, before), (-1, intervals))
        rows.add((1, here[made]), (-1, intervals[made]))


def _fit(  # noqa: PLR0917
    rows: RowBuilder, index: GraphIndex, sequence: IntArray, steps: Columns, spans: list[_Span], room: IntArray
) -> None:
    """Rows of the memory, one a step, each with its room."""
    made = np.array([index.size[index.outputs[node]].sum() for node in range(index.n)], np.int64) + index.workspace
    when, columns, sizes = [np.arange(len(sequence))], [steps], [made[sequence]]
    for span in spans:
        lengths = span.end - span.first
        starts = np.cumsum(lengths) - lengths
        when.append(np.arange(int(lengths.sum())) + np.repeat(span.first - starts, lengths))
        columns.append(np.repeat(span.intervals, lengths))
        sizes.append(np.full(int(lengths.sum()), span.size, np.int64))
    rows.add_entries(np.concatenate(when), np.concatenate(columns), np.concatenate(sizes), room)


def _run_all(rows: RowBuilder, index: GraphIndex, sequence: IntArray, steps: Columns) -> None:
    """Rows of the nodes: each runs, and where it must not run again, once."""
    count = np.ones(len(sequence), np.int64)
    rows.add_entries(sequence, steps, -count, np.full(index.n, -1, np.int64))
    rows.add_entries(sequence, steps, count, np.where(index.recomputable, len(sequence), 1))
