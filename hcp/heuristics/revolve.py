"""Binomial checkpointing, after Griewank & Walther: Algorithm 799, Revolve (ACM TOMS 26(1), 2000).

A chain of n equal steps has to be processed in reverse with s slots for states. The start of a segment holds a slot;
while slots are left the segment is split: advance over m steps, store the state there, go backwards through the right
part with one slot less, drop the state, then go backwards through the left part with all slots. Every step is run once
more right before its backward, so that what the backward reads is there ("taped"). With beta(s, r) = C(s + r, s) and r
the least with beta(s, r) >= n, the optimal number of steps advanced is r n - C(s + r, s + 1), which any m with
beta(s, r - 2) <= m <= beta(s, r - 1) and beta(s - 1, r - 1) <= n - m <= beta(s - 1, r) achieves. (Formula and bounds
were checked against a dynamic programme; see the tests.)

What a step is here: a block of the sequence of blocks that the graph is (see ``sequence``). Where every backward reads
something that only its own step makes, n steps run n + r n - C(s + r, s + 1) times in all. (On the plain training chain
one less: its last backward reads the first step's output, which is also the second step's input, and nothing else.)

Slots and bytes: the first slot holds the state at the chain's start, which is nothing, or an input of the graph. The
other s - 1 hold a block's exit each. In addition there are the current state, what the current backward reads, and the
gradients: on the uniform training chain, where every size is 1, the peak is at most s + 3. The planner takes the
largest s whose replay fits the budget.

Shortfalls: the count is optimal for uniform chains alone, sizes and costs are not looked at (``rotor`` does), and a
taped step is run again even if its output is at hand. The planner therefore also tries the same steps with that output
kept where a backward reads it, which is cheaper and may hold one more state.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import comb

from hcp.heuristics.sequence import BlockSequence, BlockStep, StepKind, block_sequence, by_slots, run_steps
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule


@dataclass(frozen=True)
class Revolve:
    """Binomial checkpointing on sequences of blocks.

    Attributes:
        slots: s, the start's included; None for the most that fit the budget.
    """

    slots: int | None = None

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the cheaper of the two forms that fit.

        Raises:
            NotApplicable: If the graph is no sequence of blocks.
        """
        sequence = block_sequence(problem.graph, problem.given_order, "revolve")
        return choose(Tracker(problem, limits, control, "revolve"), self._candidates(problem, sequence))

    def _candidates(self, problem: Problem, sequence: BlockSequence) -> Iterator[Schedule]:
        for reuse in (True, False):
            if self.slots is not None:
                yield binomial_schedule(sequence, self.slots, reuse)
                continue
            yield from by_slots(problem, partial(binomial_schedule, sequence, reuse=reuse), 0, len(sequence))


def binomial_schedule(sequence: BlockSequence, slots: int, reuse: bool = False) -> Schedule:
    """Revolve's schedule.

    Args:
        sequence: The chain.
        slots: s, at least 1; the start's slot included.
        reuse: Keep a state for the backward of the block that made it where that backward reads it.
    """
    return run_steps(sequence, binomial_steps(sequence, range(len(sequence)), slots, reuse))


def advances(n: int, slots: int) -> int:
    """The optimal number of steps advanced to go backwards through ``n`` steps: r n - C(s + r, s + 1)."""
    r = _repetitions(n, slots)
    return r * n - comb(slots + r, slots + 1)


def _repetitions(n: int, slots: int) -> int:
    """The least r with C(s + r, s) >= n."""
    r = 0
    while comb(slots + r, slots) < n:
        r += 1
    return r


def _split(n: int, slots: int) -> int:
    """How far to advance from the start of ``n`` > 1 steps."""
    r = _repetitions(n, slots)
    return min(comb(slots + r - 1, slots), n - comb(slots + r - 2, slots - 1))


def binomial_steps(sequence: BlockSequence, blocks: range, slots: int, reuse: bool) -> Iterator[BlockStep]:
    """The steps that go backwards through some blocks, the entry of the first of which is at hand; see above."""
    # Segments (first block, end, slots) still to be processed, and steps to take before them.
    stack: list[BlockStep | tuple[int, int, int]] = [(blocks.start, blocks.stop, max(1, min(slots, len(blocks))))]
    while stack:
        item = stack.pop()
        if isinstance(item, BlockStep):
            yield item
            continue
        first, end, left = item
        if end - first == 1:
            yield BlockStep(StepKind.SAVE, first)
            yield BlockStep(StepKind.BACK, first)
            continue
        middle = first + _split(end - first, left)
        yield from (BlockStep(StepKind.ADVANCE, block) for block in range(first, middle))
        release = BlockStep(StepKind.RELEASE, middle - 1)
        yield BlockStep(StepKind.HOLD_EXIT, middle - 1)
        right, before = (middle, end, left - 1), (first, middle, left)
        read = bool(sequence.exits[middle - 1] & sequence.saved[middle - 1])
        stack += [release, before, right] if reuse and read else [before, release, right]
