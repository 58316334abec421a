"""How often each pattern is repeated: a small integer program over the patterns of a tiling.

The patterns of a stack come in their order, each for some layers in a row. One more layer of a pattern adds what the
layer keeps to all that lies between its sections, and its recomputations to the cost: cost and peaks are linear in how
often the patterns come, as long as each comes once at least. The slopes are measured, by evaluating tilings that
differ by one layer; the program chooses by them, and what it chooses is evaluated as a whole.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final, NamedTuple

import numpy as np

from hcp.analysis.repetition import Stack
from hcp.graph.index import IntArray
from hcp.planning.deadline import Deadline
from hcp.planning.sequences import SequenceUsage, evaluate
from hcp.solvers.models.cpsat import solve_with_cpsat
from hcp.solvers.models.integer import IntegerTask
from hcp.solvers.models.rows import Model, RowBuilder
from hcp.solvers.repetition.tiling import Pattern, Segment, Tiling

# Per stack, how often each of its patterns comes.
Counts = tuple[tuple[int, ...], ...]

# Programs, each with slopes measured where the one before led.
MOST_PROGRAMS: Final = 6
# Seconds, or units of work: a program has a few hundred columns.
LONGEST_PROGRAM: Final = 2.0


class Tile(NamedTuple):
    """A tiled sequence, and what it costs and holds."""

    counts: Counts
    sequence: IntArray
    usage: SequenceUsage


@dataclass(frozen=True)
class Multiplicity:
    """Chooses how often the patterns of a tiling come.

    Attributes:
        tiling: What is repeated.
        budget: Bytes, of the whole graph.
        deadline: Of the search.
    """

    tiling: Tiling
    budget: int
    deadline: Deadline

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """Those of the graph."""
        return self.tiling.base.layout.repetition.stacks

    def even(self) -> Counts:
        """The base's own patterns, about equally often."""
        found = []
        for number, (stack, patterns) in enumerate(zip(self.stacks, self.tiling.patterns, strict=True)):
            own = self.tiling.base.patterns(number)
            ends = np.linspace(0, stack.equal, len(own) + 1).round().astype(int).tolist()
            often: Counter[Pattern] = Counter()
            for pattern, (begin, end) in zip(own, pairwise(ends), strict=True):
                often[pattern] += end - begin
            found.append(tuple(often[pattern] for pattern in patterns))
        return tuple(found)

    def tile(self, counts: Counts) -> Tile | None:
        """The tiling in which the patterns come so often; None where it is illegal."""
        sequence = self.tiling.tiled(counts)
        usage = evaluate(self.tiling.base.layout.index, sequence)
        return None if usage is None else Tile(counts, sequence, usage)

    def tiles(self) -> Iterator[Tile]:
        """Tilings worth a look, the even one first; then those that programs choose, until none is new."""
        here = self.tile(self.even())
        seen: set[Counts] = set()
        short = 0
        while here is not None and len(seen) < MOST_PROGRAMS:
            yield here
            if here.counts in seen or self.deadline.over:
                return
            seen.add(here.counts)
            chosen = self._chosen(here, self.budget - short)
            if chosen is None:
                return
            here = self.tile(chosen)
            # What the slopes did not foresee: patterns that come not at all, or work that is shared.
            if here is not None:
                short += max(0, here.usage.peak - self.budget)

    def _chosen(self, here: Tile, budget: int) -> Counts | None:
        """The cheapest counts that fit by the slopes around a tile; None where there are none."""
        peaks = self._peaks(here)
        costs: list[int] = []
        slopes: list[IntArray] = []
        for stack, row in enumerate(here.counts):
            for pattern in range(len(row)):
                other = self._moved(here.counts, stack, pattern)
                moved = None if other is None or self.deadline.over else self.tile(other)
                costs.append(0 if moved is None else moved.usage.cost - here.usage.cost)
                slopes.append(peaks - peaks if moved is None else self._peaks(moved) - peaks)
        program = _Program.of(here.counts, costs)
        room = (
            budget
            - peaks
            + sum(
                (slope * often for slope, often in zip(slopes, chain(*here.counts), strict=True)), np.zeros_like(peaks)
            )
        )
        for row, rest in zip(np.array(slopes).T, room.tolist(), strict=True):
            if row.any() or rest < 0:
                program.add(row, rest)
        return program.solved(self.deadline)

    def _moved(self, counts: Counts, stack: int, pattern: int) -> Counts | None:
        """One layer more of a pattern and one less of the most common one; None for that itself."""
        row = list(counts[stack])
        most = int(np.argmax(row))
        if pattern == most or row[most] < 2:
            return None
        row[pattern] += 1
        row[most] -= 1
        return (*counts[:stack], tuple(row), *counts[stack + 1 :])

    def _equal(self, segment: Segment) -> bool:
        """Whether a segment is one of the equal layers, which come in what patterns they do."""
        if segment.between:
            return False
        begin, end = self.stacks[segment.stack].core
        return begin <= segment.layer < end

    def _peaks(self, tile: Tile) -> IntArray:
        """The most bytes held in all segments but equal layers, and in the first and the last layer of each pattern."""
        layout = self.tiling.base.layout
        held = np.zeros(len(layout.segments), np.int64)
        np.maximum.at(held, self.tiling.owners(tile.sequence), tile.usage.profile)
        found = [held[place] for place, segment in enumerate(layout.segments) if not self._equal(segment)]
        for number, (stack, row) in enumerate(zip(self.stacks, tile.counts, strict=True)):
            ends = (stack.core[0] + np.cumsum((0, *row))).tolist()
            for section in range(len(stack.sections)):
                for begin, end in pairwise(ends):
                    for layer in (begin, end - 1):
                        found.append(held[layout.number[Segment(number, section, layer)]] if end > begin else 0)
        return np.array(found, np.int64)


@dataclass(frozen=True)
class _Program:
    """The integer program: how often each pattern comes, in binary digits.

    Attributes:
        counts: A start.
        digits: Per stack, of the number of its layers.
        costs: Per pattern, of one layer more of it.
        rows: Those that were added.
    """

    counts: Counts
    digits: tuple[int, ...]
    costs: IntArray
    rows: RowBuilder

    @classmethod
    def of(cls, counts: Counts, costs: Sequence[int]) -> "_Program":
        """The program in which each stack has as many layers as in the start."""
        digits = tuple(sum(row).bit_length() for row in counts)
        program = cls(counts, digits, np.array(costs, np.int64), RowBuilder())
        program.rows.begin("layers", whole=True)
        for number, row in enumerate(counts):
            mine = np.repeat([stack == number for stack in range(len(counts))], [len(other) for other in counts])
            program.add(mine.astype(np.int64), sum(row))
            program.add(-mine.astype(np.int64), -sum(row))
        return program

    def add(self, slopes: IntArray, rest: int) -> None:
        """The sum of the patterns' slopes, as often as they come, is at most the rest."""
        weights = self._weights(slopes)
        self.rows.add_row(weights, np.arange(len(weights)), rest)

    def solved(self, deadline: Deadline) -> Counts | None:
        """The cheapest counts; None where there are none, or they are not found soon."""
        cost = self._weights(self.costs)
        matrix, rhs, *_ = self.rows.build(len(cost))
        hint = np.concatenate(
            [
                often >> np.arange(digits) & 1
                for row, digits in zip(self.counts, self.digits, strict=True)
                for often in row
            ]
        )
        task = IntegerTask(
            model=Model(matrix, rhs, cost, 0, np.ones(len(cost), np.bool_)),
            hint={column: bool(digit) for column, digit in enumerate(hint.tolist())},
            bound=int(cost[cost < 0].sum()),
            deadline=deadline.part(LONGEST_PROGRAM),
            workers=1,
            seed=0,
        )
        point = solve_with_cpsat(task).point
        if point is None:
            return None
        ends = np.cumsum(np.repeat(self.digits, [len(row) for row in self.counts]))[:-1]
        parts = np.split((point > 0.5).astype(np.int64), ends)
        often = iter(int(part @ (1 << np.arange(len(part)))) for part in parts)
        return tuple(tuple(next(often) for _ in row) for row in self.counts)

    def _weights(self, amounts: IntArray) -> IntArray:
        """An amount for each pattern as one for each of its digits."""
        digits = np.repeat(self.digits, [len(row) for row in self.counts])
        return np.concatenate([amount << np.arange(many) for amount, many in zip(amounts, digits, strict=True)])
