"""Graphs that are a sequence of blocks, and what chain algorithms do with them: advance, save, go back.

The rise is cut wherever a single value that can be dropped crosses: these values are the states of the chain, and what
lies between two cuts is a block. The fall has to go through the blocks backwards: a node of the fall belongs to a block
if all it reads of the rise was made in that block or is the block's entry. Chains, residual networks and transformers
are sequences of blocks; a network with long skips, such as a U-Net, is not.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import accumulate
from typing import Final

from hcp.graph.cancellation import tick
from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph
from hcp.heuristics.segments import Walk
from hcp.planning.problem import NotApplicable, Problem
from hcp.schedule.actions import Compute, Fetch, Offload, Schedule, Step
from hcp.schedule.host import HostLink
from hcp.schedule.rematerialize import lasting, makers
from hcp.schedule.replay import replay

# Run-once nodes that may be the end of the forward pass.
_BOUNDARIES: Final = 4

_EMPTY: Final[frozenset[int]] = frozenset()


@dataclass(frozen=True)
class BlockSequence:
    """A walk whose rise is a sequence of blocks.

    Attributes:
        walk: The graph, its order and its turn.
        label: The block of each position of the order, rise and fall.
        exits: Per block, the values (by index) that cross into the next one; at most one, none behind the last.
    """

    walk: Walk
    label: tuple[int, ...]
    exits: tuple[frozenset[int], ...]

    def __len__(self) -> int:
        return len(self.exits)

    @cached_property
    def lasting(self) -> set[int]:
        """The values that never go: inputs, residents, outputs of nodes that run once, and values of no bytes."""
        return _staying(self.walk.graph.index)

    @cached_property
    def inputs(self) -> list[list[int]]:
        """Per node, the values it reads."""
        return self.walk.graph.index.inputs.tolists()

    @cached_property
    def producer(self) -> list[int]:
        """Per value, its node; -1 for the graph's inputs."""
        found: list[int] = self.walk.graph.index.producer.tolist()
        return found

    @cached_property
    def rises(self) -> list[list[int]]:
        """Per block, its nodes in the rise."""
        return self._nodes(range(self.walk.rise))

    @cached_property
    def falls(self) -> list[list[int]]:
        """Per block, its nodes in the fall."""
        return self._nodes(range(self.walk.rise, len(self.walk.order)))

    @cached_property
    def saved(self) -> list[frozenset[int]]:
        """Per block, the values made in its rise that its fall reads and that can be dropped."""
        index = self.walk.graph.index
        found = []
        for rise, fall in zip(self.rises, self.falls, strict=True):
            made = {x for v in rise for x in index.outputs[v].tolist()} - self.lasting
            found.append(frozenset(x for v in fall for x in index.inputs[v].tolist() if x in made))
        return found

    def bytes_of(self, values: Iterable[int]) -> int:
        """Bytes of these values together."""
        return sum(self._size[x] for x in values)

    @cached_property
    def _size(self) -> list[int]:
        found: list[int] = self.walk.graph.index.size.tolist()
        return found

    def entry(self, block: int) -> frozenset[int]:
        """What a block reads of the blocks before it."""
        return self.exits[block - 1] if block else _EMPTY

    def _nodes(self, positions: Iterable[int]) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in self.exits]
        for i in positions:
            found[self.label[i]].append(self.walk.nodes[i])
        return found


class StepKind(Enum):
    """What a step does to its block."""

    ADVANCE = "run the rise for its exit alone"
    SAVE = "run the rise for what its fall reads"
    SAVE_ON = "run the rise for what its fall reads and for its exit"
    BACK = "run the fall"
    HOLD_EXIT = "keep the exit until it is released"
    HOLD_READ = "keep what the fall reads until it is released"
    HOLD_INSTEAD = "keep what the fall reads in place of what the last hold kept"
    HOLD_SAVED = "keep the exit and what the fall reads until they are released"
    RELEASE = "drop what the matching hold kept"
    OFFLOAD = "copy the exit to the host"
    FETCH = "bring the exit back from there"


@dataclass(frozen=True, slots=True)
class BlockStep:
    """One step of a chain algorithm. Holds and releases match like brackets."""

    kind: StepKind
    block: int


def block_sequence(graph: Graph, order: tuple[str, ...], planner: str, most_blocks: int | None = None) -> BlockSequence:
    """The sequence of blocks that a graph is, in the finest division there is.

    Args:
        graph: The computation.
        order: All nodes, in a topological order.
        planner: Who asks, for the error.
        most_blocks: Cuts are thinned out evenly to have no more blocks than this.

    Raises:
        NotApplicable: If the graph is no sequence of at least two blocks, none with more than half of the rise's nodes.
    """
    found = [sequence for turn in _turns(graph, order) if (sequence := _divide(Walk(graph, order, turn), most_blocks))]
    # The true turn from forward to backward is where most cuts have a single value crossing.
    best = max(found, key=len, default=None)
    if best is None or len(best) < 2 or max(map(len, best.rises)) > (best.walk.rise + 1) // 2:
        raise NotApplicable(
            f"solver {planner!r} needs a sequence of blocks (a forward pass cut into parts by single values, none with "
            "more than half of the nodes, and a backward pass through the parts in reverse), and graph "
            f"{graph.name!r} in this order is none; use 'lower_sets', 'interval_tree' or 'anneal'"
        )
    return best


def by_slots(
    problem: Problem, make: Callable[[int], Schedule], least: int, most: int, *, host: HostLink | None = None
) -> Iterator[Schedule]:
    """Schedules for ever better numbers of slots, by bisection: the peak grows with them.

    Args:
        problem: Has the budget.
        make: The schedule for a number of slots.
        least: A number that needs no look, or one less than the first.
        most: The largest.
        host: Over which it moves values, if at all.
    """
    while least < most:
        middle = (least + most + 1) // 2
        schedule = make(middle)
        yield schedule
        fits = replay(problem.graph, schedule, host).peak <= problem.budget
        least, most = (middle, most) if fits else (least, middle - 1)


def run_steps(sequence: BlockSequence, steps: Iterable[BlockStep]) -> Schedule:
    """The schedule that a chain algorithm's steps describe; what is missing all the same is run again on demand."""
    machine = _Machine(sequence)
    for step in steps:
        tick()
        machine.take(step)
    return Schedule.from_steps(sequence.walk.graph, machine.steps)


class _Machine:
    """Carries out steps: keeps what is held, runs what is missing, drops the rest."""

    def __init__(self, sequence: BlockSequence) -> None:
        index = sequence.walk.graph.index
        self.sequence = sequence
        self.names_of = index.node_names
        self.value_names = index.value_names
        self.inputs = sequence.inputs
        self.outputs = index.outputs.tolists()
        self.producer = sequence.producer
        self.position = {v: i for i, v in enumerate(sequence.walk.nodes)}
        self.stays = sequence.lasting | sequence.walk.made_in_fall
        self.at_hand = {x for x in range(index.m) if self.producer[x] < 0}
        # What is at hand and can be dropped.
        self.droppable: set[int] = set()
        self.holds: list[Set[int]] = []
        self.entered = [False] * len(sequence)
        self.steps: list[Step] = []

    def take(self, step: BlockStep) -> None:
        block, sequence = step.block, self.sequence
        match step.kind:
            case StepKind.ADVANCE:
                self.rise(block, sequence.exits[block])
            case StepKind.SAVE:
                self.rise(block, sequence.saved[block])
            case StepKind.SAVE_ON:
                self.rise(block, sequence.saved[block] | sequence.exits[block])
            case StepKind.BACK:
                for v in sequence.falls[block]:
                    self.demand(self.inputs[v])
                    self.compute(v)
                self.keep(_EMPTY)
            case StepKind.HOLD_EXIT:
                self.holds.append(sequence.exits[block])
            case StepKind.HOLD_READ:
                self.holds.append(sequence.saved[block])
            case StepKind.HOLD_INSTEAD:
                self.holds[-1] = sequence.saved[block]
            case StepKind.HOLD_SAVED:
                self.holds.append(sequence.exits[block] | sequence.saved[block])
            case StepKind.RELEASE:
                self.holds.pop()
                self.keep(_EMPTY)
            case StepKind.OFFLOAD:
                self.steps.extend(Offload(self.value_names[x]) for x in sequence.exits[block])
            case StepKind.FETCH:
                self.fetch(sequence.exits[block])

    def rise(self, block: int, wanted: Set[int]) -> None:
        """Has these values at hand, and drops all else that is not held."""
        if not self.entered[block]:
            # First executions follow the order, whether their outputs are needed yet or not.
            self.entered[block] = True
            for v in self.sequence.rises[block]:
                self.demand(self.inputs[v])
                self.compute(v)
        self.demand(wanted)
        self.keep(wanted)

    def demand(self, values: Iterable[int]) -> None:
        """Runs what brings values back to hand, in the order's own sequence."""
        for v in sorted(makers(values, self.inputs, self.producer, self.at_hand), key=self.position.__getitem__):
            self.compute(v)

    def compute(self, node: int) -> None:
        self.steps.append(Compute(self.names_of[node]))
        self.bring(self.outputs[node])

    def fetch(self, values: Iterable[int]) -> None:
        missing = [x for x in values if x not in self.at_hand]
        self.steps.extend(Fetch(self.value_names[x]) for x in missing)
        self.bring(missing)

    def bring(self, values: Iterable[int]) -> None:
        for x in values:
            self.at_hand.add(x)
            if x not in self.stays:
                self.droppable.add(x)

    def keep(self, values: Set[int]) -> None:
        """Drops all but what stays, what is held, and these values."""
        dropped = self.droppable.difference(values, *self.holds)
        self.droppable -= dropped
        self.at_hand -= dropped


def _staying(index: GraphIndex) -> set[int]:
    # Values of no bytes, which orderings are made of, cross blocks wherever they like: to hold them is free.
    return lasting(index) | {x for x in range(index.m) if not index.size[x]}


def _turns(graph: Graph, order: tuple[str, ...]) -> list[int]:
    """Places where the forward pass may end.

    Around the peaks of the bytes and of the number of values held, and at the run-once nodes where most values are
    held: the boundary between forward and backward is such a node, where a graph has one.
    """
    walk = Walk(graph, order)
    counts = _droppable_counts(walk)
    fullest = counts.index(max(counts)) + 1
    recomputable = graph.index.recomputable
    once = sorted((i for i, v in enumerate(walk.nodes) if not recomputable[v]), key=lambda i: -counts[i])
    near = {turn + shift for turn in (walk.rise, fullest) for shift in (-2, -1, 0, 1)}
    near |= {i + shift for i in once[:_BOUNDARIES] for shift in (0, 1)}
    return sorted(turn for turn in near if 0 < turn < len(order))


def _droppable_counts(walk: Walk) -> list[int]:
    """Per position of the order: how many values that can go are held right after its node, each to its last use."""
    index = walk.graph.index
    stays = _staying(index)
    uses = [set(index.inputs[v].tolist()) - stays for v in walk.nodes]
    last = {x: i for i, used in enumerate(uses) for x in used}
    held = 0
    counts = []
    for i, v in enumerate(walk.nodes):
        held += sum(last.get(x, -1) > i for x in index.outputs[v].tolist())
        counts.append(held)
        held -= sum(last[x] == i for x in uses[i])
    return counts


def _divide(walk: Walk, most_blocks: int | None) -> BlockSequence | None:
    """Cuts a rise wherever one value crosses, at most; None where the fall does not fit the blocks."""
    stays = _staying(walk.graph.index)
    # How many values cross each cut, and the sum of their numbers: where one crosses, its own.
    crossing, total = [0] * (walk.rise + 1), [0] * (walk.rise + 1)
    for x, made, last in walk.spans:
        if x not in stays and last > made:
            for place, sign in ((made + 1, 1), (last + 1, -1)):
                crossing[place] += sign
                total[place] += sign * x
    crossing, total = list(accumulate(crossing)), list(accumulate(total))
    cuts = [cut for cut in range(1, walk.rise) if crossing[cut] <= 1]
    cuts = _thinned(cuts, most_blocks)
    label = [bisect_right(cuts, place) for place in range(walk.rise)]
    fall = _label_fall(walk, label, stays)
    if fall is None:
        return None
    if len(cuts) > 1 and len(cuts) not in fall:
        # What nothing comes back to, such as a loss, goes with the block before: its results are still there then.
        cuts.pop()
        label = [min(each, len(cuts)) for each in label]
    exits = (*(frozenset([total[cut]] if crossing[cut] else []) for cut in cuts), _EMPTY)
    return BlockSequence(walk, (*label, *fall), exits)


def _thinned(cuts: list[int], most_blocks: int | None) -> list[int]:
    """Cuts for no more blocks than that."""
    if most_blocks is None or len(cuts) < most_blocks:
        return cuts
    return [cuts[i * len(cuts) // most_blocks] for i in range(1, most_blocks)]


def _label_fall(walk: Walk, label: Sequence[int], stays: Set[int]) -> list[int] | None:
    """The block of each node of the fall, in falling order; None where there is no such assignment.

    A value can be read by the fall of the block that made it and of the blocks that it enters.
    """
    index = walk.graph.index
    position = {v: i for i, v in enumerate(walk.nodes)}
    deepest = {x: label[last] for x, _, last in walk.spans}
    found = []
    current = label[-1]
    for v in walk.nodes[walk.rise :]:
        low, high = 0, current
        for x in index.inputs[v].tolist():
            made = position.get(int(index.producer[x]), walk.rise)
            if x not in stays and made < walk.rise:
                low = max(low, label[made])
                high = min(high, deepest.get(x, label[made]))
        if low > high:
            return None
        current = high
        found.append(current)
    return found
