"""rotor's dynamic programme for heterogeneous chains.

After Beaumont, Eyraud-Dubois, Herrmann, Joly, Shilova: Optimal checkpointing for heterogeneous chains: how to train
deep neural networks with limited memory (arXiv 1911.13214, 2019).

C(s, t, m) is the least cost to go through blocks s..t and back with m bytes, given the entry of s (held by the caller)
and the gradient of t's exit. Either the exit of a block s' - 1 is checkpointed,

    C1 = sum_{s <= k < s'} F(k) + C(s', t, m - exit(s' - 1)) + C(s, s' - 1, m),

or everything that the backward of s reads is saved,

    C2 = F(s) + C(s + 1, t, m - saved(s)) + B(s),

each where its own executions fit m. The result is optimal among *memory-persistent* schedules: what is checkpointed
stays until the backward that it is for. The recursion was checked against the authors' code as others carry it, and
against exhaustive search over persistent schedules; see the tests.

Here a block may have many nodes, found by ``sequence``; its needs are measured by running it (``block_memory``), what
stays in any case (residents, gradients of later blocks) is counted per block, and later runs of a block only run what
is asked for. Memory is divided into at most ``levels`` units, sizes rounded up, as in the paper; up to that many bytes
the programme is exact.

Shortfalls: sequences of blocks alone; a chain of more than ``most_blocks`` is thinned out; non-persistent schedules,
which can be cheaper, are out of reach, except that the planner also tries the same plan with a state kept where the
next backward reads it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcp.graph.cancellation import tick
from hcp.heuristics.block_memory import BlockNeeds, block_needs
from hcp.heuristics.sequence import BlockSequence, BlockStep, StepKind, block_sequence, run_steps
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay

_Int64 = NDArray[np.int64]

_IMPOSSIBLE: Final = 2**61
_LEAF: Final = -1
_SAVE: Final = -2

# The needs of blocks are upper bounds, so plans for somewhat more than the budget are tried as well.
_BUDGET_FACTORS: Final = (1.0, 1.02, 1.05, 1.1, 1.2)


@dataclass(frozen=True)
class Rotor:
    """Optimal persistent checkpointing on sequences of blocks.

    Attributes:
        levels: Units that memory is divided into.
        most_blocks: Longer sequences are thinned out to this many blocks.
    """

    levels: int = 500
    most_blocks: int = 64

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the cheapest of the plans that fit.

        Raises:
            NotApplicable: If the graph is no sequence of blocks.
        """
        sequence = block_sequence(problem.graph, problem.given_order, "rotor", self.most_blocks)
        return choose(Tracker(problem, limits, control, "rotor"), self._candidates(problem, sequence))

    def _candidates(self, problem: Problem, sequence: BlockSequence) -> Iterator[Schedule]:
        table = ChainTable(block_needs(sequence), int(problem.budget * _BUDGET_FACTORS[-1]), self.levels)
        found = False
        for factor in _BUDGET_FACTORS:
            for reuse in (False, True):
                schedule = persistent_schedule(sequence, table, int(problem.budget * factor), reuse)
                if schedule is not None:
                    found = True
                    yield schedule
        if not found:
            # Too little for the programme: its smallest plan shows how much it would take.
            peak = replay(problem.graph, keep_everything(problem.graph, problem.given_order)).peak
            table = ChainTable(block_needs(sequence), int(peak * _BUDGET_FACTORS[-1]), self.levels)
            yield from filter(None, [persistent_schedule(sequence, table, table.least)])


def persistent_schedule(
    sequence: BlockSequence, table: "ChainTable", budget: int, reuse: bool = False
) -> Schedule | None:
    """The cheapest persistent schedule that the table knows for a budget, or None.

    Args:
        sequence: The blocks that the table was made for.
        table: The solved dynamic programme.
        budget: Bytes, at most what the table was made for.
        reuse: Keep an exit for the backward of the block that made it where that backward reads it.
    """
    level = budget // table.unit
    last = len(sequence) - 1
    if table.cost[0][last][level] >= _IMPOSSIBLE:
        return None
    return run_steps(sequence, _steps(sequence, table, level, reuse))


class ChainTable:
    """The solved dynamic programme: cost and first decision for every range of blocks and every amount of memory.

    Attributes:
        unit: Bytes of one unit of memory.
        cost: ``cost[s][t][m]``, without the cost of the falls.
        choice: ``choice[s][t][m]``: a block s' to checkpoint before, or to save block s.
    """

    def __init__(self, needs: BlockNeeds, budget: int, levels: int) -> None:
        count = len(needs.exit)
        self.unit = max(1, -(-budget // levels)) if budget > 4 * levels else 1
        self.levels = budget // self.unit
        self.needs = needs
        nothing = np.empty(0, np.int64)
        self.cost: list[list[_Int64]] = [[nothing] * count for _ in range(count)]
        self.choice: list[list[_Int64]] = [[nothing] * count for _ in range(count)]
        for length in range(count):
            for first in range(count - length):
                self._solve(first, first + length)

    def units(self, size: int) -> int:
        """Units that hold this many bytes."""
        return -(-size // self.unit)

    @property
    def least(self) -> int:
        """The least memory in bytes that the whole chain can do with; all there is where it cannot."""
        feasible = np.flatnonzero(self.cost[0][-1] < _IMPOSSIBLE)
        return (int(feasible[0]) if len(feasible) else self.levels) * self.unit

    def _solve(self, first: int, last: int) -> None:
        needs = self.needs
        tick()
        # A block runs for the first time where nothing has been processed in reverse yet.
        runs = needs.first if last == len(needs.exit) - 1 else needs.again
        memory = np.arange(self.levels + 1)
        staying, back = needs.staying[last], needs.back[first]
        saving = max(staying + runs[first].save, back)
        fits = memory >= self.units(saving)
        if first == last:
            self.cost[first][last] = np.where(fits, runs[first].save_cost, _IMPOSSIBLE)
            self.choice[first][last] = np.full(self.levels + 1, _LEAF)
            return
        best = np.where(fits, runs[first].save_on_cost + self._with(first + 1, last, needs.saved[first]), _IMPOSSIBLE)
        choice = np.full(self.levels + 1, _SAVE)
        advanced, peak = 0, 0
        for split in range(first + 1, last + 1):
            run = runs[split - 1]
            peak = max(peak, run.advance if split == first + 1 else run.advance_on)
            advanced += run.advance_cost
            total = advanced + self._with(split, last, needs.exit[split - 1]) + self.cost[first][split - 1]
            better = (memory >= self.units(staying + peak)) & (total < best)
            best = np.where(better, total, best)
            choice = np.where(better, split, choice)
        self.cost[first][last] = np.minimum(best, _IMPOSSIBLE)
        self.choice[first][last] = choice

    def _with(self, first: int, last: int, held: int) -> _Int64:
        """Costs of a range of blocks for every amount of memory, of which ``held`` bytes are taken."""
        shift = min(self.units(held), self.levels + 1)
        found = np.full(self.levels + 1, _IMPOSSIBLE)
        found[shift:] = self.cost[first][last][: self.levels + 1 - shift]
        return found


def _steps(sequence: BlockSequence, table: ChainTable, level: int, reuse: bool) -> Iterator[BlockStep]:
    # Ranges (first, last, units of memory) still to be processed, and steps to take before them.
    stack: list[BlockStep | tuple[int, int, int]] = [(0, len(sequence) - 1, level)]
    while stack:
        item = stack.pop()
        if isinstance(item, BlockStep):
            yield item
            continue
        first, last, memory = item
        choice = int(table.choice[first][last][memory])
        back, release = BlockStep(StepKind.BACK, first), BlockStep(StepKind.RELEASE, first)
        if choice == _LEAF:
            yield BlockStep(StepKind.SAVE, first)
            yield back
        elif choice == _SAVE:
            yield BlockStep(StepKind.SAVE_ON, first)
            yield BlockStep(StepKind.HOLD_SAVED, first)
            stack += [release, back, (first + 1, last, memory - table.units(table.needs.saved[first]))]
        else:
            yield from (BlockStep(StepKind.ADVANCE, block) for block in range(first, choice))
            yield BlockStep(StepKind.HOLD_EXIT, choice - 1)
            right = (choice, last, memory - table.units(table.needs.exit[choice - 1]))
            before = (first, choice - 1, memory)
            read = bool(sequence.exits[choice - 1] & sequence.saved[choice - 1])
            stack += [release, before, right] if reuse and read else [before, release, right]
