"""What the steps of a chain algorithm need: bytes and costs of advancing, saving and going back, block by block."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from hcp.heuristics.sequence import BlockSequence
from hcp.schedule.rematerialize import makers


@dataclass(frozen=True)
class RiseNeeds:
    """One run of a block's rise. Bytes leave out the block's entry, unless said otherwise, and all that stays.

    Attributes:
        advance: Most bytes while only the exit is made, with the entry held elsewhere.
        advance_on: The same with the entry, which goes after its last use.
        save: Most bytes while what the fall reads is made, with the entry held elsewhere.
        advance_cost: Cost of the nodes that the exit needs.
        save_cost: Cost of the nodes that the fall's reads need; ``save_on_cost`` of those that the exit needs as well.
    """

    advance: int
    advance_on: int
    save: int
    advance_cost: int
    save_cost: int
    save_on_cost: int


@dataclass(frozen=True)
class BlockNeeds:
    """What a sequence of blocks needs, in bytes and cost units; one entry a block in each tuple.

    Attributes:
        first: A block's first run, where every node runs.
        again: Its later runs, where only what is asked for is made.
        staying: Bytes that stay in any case while the fall has not yet come to the block: gradients, residents, inputs.
        back: Most bytes while the block's fall runs, with what stays and what it reads of its rise, without its entry.
        exit: Bytes of the exit.
        saved: Bytes of what the fall reads and of the exit.
    """

    first: tuple[RiseNeeds, ...]
    again: tuple[RiseNeeds, ...]
    staying: tuple[int, ...]
    back: tuple[int, ...]
    exit: tuple[int, ...]
    saved: tuple[int, ...]


def block_needs(sequence: BlockSequence) -> BlockNeeds:
    """Measures every block. Values that run-once nodes made are taken to stay to the end, which is on the safe side."""
    staying, back = _falls(sequence)
    blocks = range(len(sequence))
    return BlockNeeds(
        first=tuple(_first_run(sequence, block) for block in blocks),
        again=tuple(_later_run(sequence, block) for block in blocks),
        staying=staying,
        back=back,
        exit=tuple(sequence.bytes_of(sequence.exits[b]) for b in blocks),
        saved=tuple(sequence.bytes_of(sequence.exits[b] | sequence.saved[b]) for b in blocks),
    )


def _first_run(sequence: BlockSequence, block: int) -> RiseNeeds:
    nodes = sequence.rises[block]
    return _needs(sequence, block, [nodes, nodes, nodes], first=True)


def _later_run(sequence: BlockSequence, block: int) -> RiseNeeds:
    exit_values, saved = sequence.exits[block], sequence.saved[block]
    runs = [_closure(sequence, block, wanted) for wanted in (exit_values, saved, saved | exit_values)]
    return _needs(sequence, block, runs, first=False)


def _needs(sequence: BlockSequence, block: int, runs: Sequence[list[int]], first: bool) -> RiseNeeds:
    """Peaks of an advance, a save and a save with the exit, each by the nodes it runs."""
    index = sequence.walk.graph.index
    entry, exit_values = sequence.entry(block), sequence.exits[block]
    saved = sequence.saved[block]
    advance, save, save_on = runs
    held = sequence.bytes_of(entry)
    saving = _peak(sequence, save, entry, saved | entry, first)
    saving_on = _peak(sequence, save_on, entry, saved | exit_values | entry, first)
    advance_cost, save_cost, save_on_cost = (int(index.cost[run].sum()) for run in runs)
    return RiseNeeds(
        advance=_peak(sequence, advance, entry, exit_values | entry, first) - held,
        advance_on=_peak(sequence, advance, entry, exit_values, first),
        save=max(saving, saving_on) - held,
        advance_cost=advance_cost,
        save_cost=save_cost,
        save_on_cost=save_on_cost,
    )


def _closure(sequence: BlockSequence, block: int, wanted: Iterable[int]) -> list[int]:
    """The block's nodes that make these values from its entry, in order."""
    needed = makers(wanted, sequence.inputs, sequence.producer, sequence.lasting | sequence.entry(block))
    return [v for v in sequence.rises[block] if v in needed]


def _peak(sequence: BlockSequence, nodes: Sequence[int], live: Iterable[int], kept: Set[int], first: bool) -> int:
    """Most bytes held while nodes run; values go after their last use here unless they are kept."""
    index = sequence.walk.graph.index
    inputs = [index.inputs[v].tolist() for v in nodes]
    last = _last_reads(inputs)
    held = set(live)
    peak = sequence.bytes_of(held)
    for i, v in enumerate(nodes):
        # The first instances of lasting values count as what stays; fresh ones come and go with their node.
        outputs = set(index.outputs[v].tolist())
        transient = outputs - sequence.lasting
        fresh = transient if first else outputs
        peak = max(peak, sequence.bytes_of(held) + sequence.bytes_of(fresh) + int(index.workspace[v]))
        held.update(x for x in transient if x in kept or last.get(x, -1) > i)
        held.difference_update(x for x in inputs[i] if last[x] == i and x not in kept)
    return peak


def _falls(sequence: BlockSequence) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Per block: bytes that stay when its fall begins, and the most bytes while its fall runs."""
    held = _FallMemory(sequence)
    staying, back = [0] * len(sequence), [0] * len(sequence)
    for block in reversed(range(len(sequence))):
        staying[block] = held.bytes
        reads = _reads_of_rise(sequence, block)
        for i, v in enumerate(sequence.falls[block]):
            still_read = sequence.bytes_of(x for x, last in reads.items() if last >= i)
            back[block] = max(back[block], held.bytes + still_read + held.busy(v))
            held.run(v)
    return tuple(staying), tuple(back)


def _reads_of_rise(sequence: BlockSequence, block: int) -> dict[int, int]:
    """What a block's fall reads of its rise and can be dropped, with the place of the last reader in the fall."""
    index = sequence.walk.graph.index
    last = _last_reads([index.inputs[v].tolist() for v in sequence.falls[block]])
    return {x: last[x] for x in sequence.saved[block] | sequence.exits[block] if x in last}


def _last_reads(inputs: Sequence[Sequence[int]]) -> dict[int, int]:
    """The last place in a list of nodes that reads each value, from what every node reads."""
    return {x: i for i, reads in enumerate(inputs) for x in reads}


class _FallMemory:
    """Bytes held while the fall runs, without what it reads of the rise.

    They are those of lasting values, and of gradients up to their last use.
    """

    def __init__(self, sequence: BlockSequence) -> None:
        walk, index = sequence.walk, sequence.walk.graph.index
        self.sequence = sequence
        self.position = walk.rise
        self.last = _last_reads([index.inputs[v].tolist() for v in walk.nodes])
        rise = {x for v in walk.nodes[: walk.rise] for x in index.outputs[v].tolist()}
        self.bytes = sequence.bytes_of(x for x in sequence.lasting if index.producer[x] < 0 or x in rise)

    def busy(self, node: int) -> int:
        """Bytes of what a node makes and needs while it runs."""
        index = self.sequence.walk.graph.index
        return int(index.size[index.outputs[node]].sum()) + int(index.workspace[node])

    def run(self, node: int) -> None:
        """Takes the next node of the fall."""
        sequence, index = self.sequence, self.sequence.walk.graph.index
        here, self.position = self.position, self.position + 1
        outputs, reads = index.outputs[node].tolist(), set(index.inputs[node].tolist())
        # Every fall runs once, so that nothing has to stay for another run of it.
        done = {x for x in reads & sequence.walk.made_in_fall if self.last[x] == here and not index.resident[x]}
        self.bytes += sequence.bytes_of(x for x in outputs if index.resident[x] or self.last.get(x, -1) > here)
        self.bytes -= sequence.bytes_of(done)
