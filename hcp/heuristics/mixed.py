"""Checkpointing of a chain by states and by what backwards read.

After Maddison, Step-based checkpointing with high-level algorithmic differentiation (arXiv 2305.09568, 2024): a slot
holds the state at the start of a step, from which it can be run again, or what the step's backward reads, so that it
need not be. With s free slots, R(i, j, s) is the least cost of runs for the steps i to j where the state at their start
is stored, and T(i, j, s) where it is at hand alone:

    T(i, j, s) = min( R(i, j, s - 1),  c(i) + T(i + 1, j, s - 1) )
    R(i, j, s) = min( c(i) + T(i + 1, j, s),  min over k of c(i) + .. + c(k - 1) + T(k, j, s) + R(i, k - 1, s) )

and c(i) where there is one step. A state that is at hand is stored, or what the first step's backward reads is; from a
stored one, one advances to k, or stores what the first step's backward reads in its place. Revolve
(``hcp.heuristics.revolve``) stores states alone. The paper's steps cost 1 each.

A step is a block of the sequence of blocks that the graph is, and the planner takes the most slots whose replay fits
the budget. Shortfalls: sizes are not looked at (``rotor`` does), and a chain of more than ``most_blocks`` is thinned
out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcp.graph.cancellation import tick
from hcp.heuristics.sequence import BlockSequence, BlockStep, StepKind, block_sequence, by_slots, run_steps
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule

# More than any chain costs; sums of a few fit.
_IMPOSSIBLE: Final = 2**61


@dataclass(frozen=True)
class Mixed:
    """Checkpointing of states and of what backwards read, on sequences of blocks.

    Attributes:
        most_blocks: Longer sequences are thinned out to this many blocks.
        most_slots: More are not tried.
    """

    most_blocks: int = 128
    most_slots: int = 32

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the cheapest schedule that fits.

        Raises:
            NotApplicable: If the graph is no sequence of blocks.
        """
        sequence = block_sequence(problem.graph, problem.given_order, "mixed", self.most_blocks)
        return choose(Tracker(problem, limits, control, "mixed"), self._candidates(problem, sequence))

    def _candidates(self, problem: Problem, sequence: BlockSequence) -> Iterator[Schedule]:
        cost = problem.graph.index.cost
        runs = Runs([int(cost[rise].sum()) for rise in sequence.rises], min(self.most_slots, len(sequence)))
        yield from by_slots(problem, partial(mixed_schedule, sequence, runs), -1, runs.slots)


class Runs:
    """The recursions, solved.

    Attributes:
        slots: The most for which they are.
        stored: R, by first and last step and slots.
        at_hand: T, by the same.
    """

    def __init__(self, costs: Sequence[int], slots: int) -> None:
        count = len(costs)
        self.slots = slots
        self.costs = np.array(costs, np.int64)
        self.before: NDArray[np.int64] = np.concatenate([[0], self.costs.cumsum()])
        shape = (count, count, slots + 1)
        self.stored: NDArray[np.int64] = np.full(shape, _IMPOSSIBLE)
        self.at_hand: NDArray[np.int64] = np.full(shape, _IMPOSSIBLE)
        for length in range(count):
            tick()
            for first in range(count - length):
                self._solve(first, first + length)

    def _solve(self, first: int, last: int) -> None:
        cost = self.costs[first]
        if first == last:
            self.stored[first, last] = self.at_hand[first, last] = cost
            return
        after = self.at_hand[first + 1, last]
        self.stored[first, last] = stored = np.minimum(cost + after, self._advanced(first, last).min(axis=0))
        self.at_hand[first, last, 1:] = np.minimum(np.minimum(stored, cost + after)[:-1], _IMPOSSIBLE)

    def _advanced(self, first: int, last: int) -> NDArray[np.int64]:
        """Costs by the place that one advances to, and slots."""
        way = self.before[first + 1 : last + 1] - self.before[first]
        found: NDArray[np.int64] = (
            way[:, None] + self.at_hand[first + 1 : last + 1, last] + self.stored[first, first:last]
        )
        return found

    def stores(self, first: int, last: int, slots: int) -> bool:
        """Whether a state that is at hand is best stored."""
        return bool(self.at_hand[first, last, slots] == self.stored[first, last, slots - 1])

    def middle(self, first: int, last: int, slots: int) -> int:
        """Where to advance to from a stored state; ``first`` to store what the first step's backward reads instead."""
        advanced = self._advanced(first, last)[:, slots]
        recorded = self.costs[first] + self.at_hand[first + 1, last, slots]
        return first if recorded <= advanced.min() else first + 1 + int(advanced.argmin())


def mixed_schedule(sequence: BlockSequence, runs: Runs, slots: int) -> Schedule:
    """The schedule with so many slots that costs least."""
    return run_steps(sequence, _steps(sequence, runs, slots))


@dataclass(frozen=True, slots=True)
class _Part:
    """Blocks that are still to be processed."""

    first: int
    end: int
    slots: int
    stored: bool


def _steps(sequence: BlockSequence, runs: Runs, slots: int) -> Iterator[BlockStep]:
    stack: list[BlockStep | _Part] = [_Part(0, len(sequence), slots, stored=True)]
    while stack:
        item = stack.pop()
        if isinstance(item, BlockStep):
            yield item
            continue
        first, end, left = item.first, item.end, item.slots
        count = end - first
        middle = runs.middle(first, end - 1, left) if item.stored and count > 1 else first
        if count == 1:
            yield BlockStep(StepKind.SAVE, first)
            yield BlockStep(StepKind.BACK, first)
        elif not item.stored and runs.stores(first, end - 1, left):
            yield BlockStep(StepKind.HOLD_EXIT, first - 1)
            stack += [BlockStep(StepKind.RELEASE, first - 1), _Part(first, end, left - 1, stored=True)]
        elif middle == first:
            # In place of the state, where that is stored; the first one of all is no hold.
            instead = item.stored and first > 0
            yield BlockStep(StepKind.SAVE_ON, first)
            yield BlockStep(StepKind.HOLD_INSTEAD if instead else StepKind.HOLD_READ, first)
            stack += [] if instead else [BlockStep(StepKind.RELEASE, first)]
            stack += [BlockStep(StepKind.BACK, first), _Part(first + 1, end, left - (not item.stored), stored=False)]
        else:
            yield from (BlockStep(StepKind.ADVANCE, block) for block in range(first, middle))
            stack += [_Part(first, middle, left, stored=True), _Part(middle, end, left, stored=False)]
