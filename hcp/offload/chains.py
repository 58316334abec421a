"""Schedules of chains with a host: some states go there on the way forward, and come back for the part behind them.

After Aupy, Herrmann, Hovland and Robert, "Optimal multistage algorithm for adjoint computation" (SIAM J. Sci. Comput.
38(3), 2016): the chain is advanced over once, states between its parts are offloaded, and the parts are gone backwards
through, the last one first, each with all slots and by binomial checkpointing (``hcp.heuristics.revolve``). Which
states go is decided by a dynamic programme over the blocks. It counts a part as if its blocks were equal, and fetches
each state once: what is fetched more often, or not for its part alone, is left to those that improve a schedule.
"""

from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from typing import Final

from hcp.graph.cancellation import tick
from hcp.heuristics.revolve import advances, binomial_steps
from hcp.heuristics.sequence import BlockSequence, BlockStep, StepKind, block_sequence, by_slots, run_steps
from hcp.planning.problem import NotApplicable, Problem
from hcp.schedule.actions import Schedule
from hcp.schedule.host import HostLink

# The programme looks at all pairs of blocks; longer chains are divided into fewer.
MOST_BLOCKS: Final = 400


def chain_schedules(problem: Problem, host: HostLink) -> Iterator[Schedule]:
    """Schedules for ever better numbers of slots; none where the graph is no sequence of blocks."""
    try:
        sequence = block_sequence(problem.graph, problem.given_order, "revolve", MOST_BLOCKS)
    except NotApplicable:
        return
    for reuse in (True, False):
        make = partial(multistage_schedule, sequence, host=host, reuse=reuse)
        yield from by_slots(problem, make, 0, len(sequence), host=host)


def multistage_schedule(sequence: BlockSequence, slots: int, host: HostLink, reuse: bool = False) -> Schedule:
    """The schedule with so many slots on the device, within the host's capacity.

    Args:
        sequence: The chain.
        slots: At least 1; that of the start of a part included.
        host: What offloading and fetching a state costs.
        reuse: See ``hcp.heuristics.revolve.binomial_schedule``.
    """
    parts = Parts(sequence, slots, host)
    return run_steps(sequence, _steps(sequence, parts.within_capacity(), slots, reuse))


def _steps(sequence: BlockSequence, starts: list[int], slots: int, reuse: bool) -> Iterator[BlockStep]:
    parts = [range(first, last) for first, last in zip(starts, [*starts[1:], len(sequence)], strict=True)]
    for part in parts[:-1]:
        yield from (BlockStep(StepKind.ADVANCE, block) for block in part)
        yield BlockStep(StepKind.OFFLOAD, part.stop - 1)
    for part in reversed(parts):
        before = part.start - 1
        if before >= 0:
            yield BlockStep(StepKind.FETCH, before)
            yield BlockStep(StepKind.HOLD_EXIT, before)
        yield from binomial_steps(sequence, part, slots, reuse)
        if before >= 0:
            yield BlockStep(StepKind.RELEASE, before)


class Parts:
    """The dynamic programme: where the parts of a chain begin."""

    def __init__(self, sequence: BlockSequence, slots: int, host: HostLink) -> None:
        nodes = sequence.walk.graph.index.cost.tolist()
        self.length = len(sequence)
        self.slots = slots
        self.host = host
        # What is run before each block, and the bytes of the states between them.
        self.before = [0, *accumulate(sum(nodes[v] for v in rise) for rise in sequence.rises)]
        self.bytes = [sequence.bytes_of(sequence.entry(block)) for block in range(self.length)]
        self.advances = [0, *(advances(n, min(slots, n)) for n in range(1, self.length + 1))]

    def within_capacity(self) -> list[int]:
        """The first blocks of the parts, such that the states between fit the host."""
        capacity, price = self.host.capacity, 0
        while True:
            starts = self.best(price)
            # With a high price there is one part.
            if capacity is None or sum(self.bytes[start] for start in starts[1:]) <= capacity:
                return starts
            price = 2 * price or max(1, self.before[-1] // (64 * max(1, sum(self.bytes))))

    def best(self, price: int) -> list[int]:
        """The first blocks of the cheapest parts, where a byte on the host has a price besides."""
        length, before = self.length, self.before
        # From each block on: the least cost, and where the next part begins.
        costs: list[int] = [0] * length
        nexts: list[int] = [length] * length
        for start in reversed(range(length)):
            tick()
            back = self.host.fetch_cost(self.bytes[start]) if start else 0
            options = [
                before[end] - before[start] + self.out(end, price) + costs[end] + self.again(start, end)
                for end in range(start + 1, length)
            ]
            # The last part is gone backwards through when it is reached.
            costs[start], nexts[start] = self.again(start, length), length
            if options and back + min(options) < costs[start]:
                costs[start] = back + min(options)
                nexts[start] = start + 1 + options.index(min(options))
        starts = [0]
        while nexts[starts[-1]] < length:
            starts.append(nexts[starts[-1]])
        return starts

    def out(self, block: int, price: int) -> int:
        """What sending the state before a block to the host costs, and its bytes there."""
        return self.host.offload_cost(self.bytes[block]) + price * self.bytes[block]

    def again(self, start: int, end: int) -> int:
        """What advancing costs while a part is gone backwards through."""
        number = end - start
        return self.advances[number] * int(self.before[end] - self.before[start]) // number
