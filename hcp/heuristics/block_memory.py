"""What the steps of a chain algorithm need: bytes and costs of advancing, saving and going back, block by block."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from hcp.heuristics.sequence import BlockSequence


@dataclass(frozen=True)
class RiseNeeds:
    """One run of a block's rise. Bytes leave out the block's entry, unless said otherwise, and all that stays.

    Attributes:
        advance: Most bytes while only the exit is made, the entry held by somebody else.
        advance_on: The same with the entry, which goes after its last use.
        save: Most bytes while what the fall reads is made, the entry held by somebody else.
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
    index = sequence.walk.graph.index
    size = index.size
    staying, back = _falls(sequence)
    blocks = range(len(sequence))
    return BlockNeeds(
        first=tuple(_first_run(sequence, block) for block in blocks),
        again=tuple(_later_run(sequence, block) for block in blocks),
        staying=staying,
        back=back,
        exit=tuple(sum(int(size[x]) for x in sequence.exits[b]) for b in blocks),
        saved=tuple(sum(int(size[x]) for x in sequence.exits[b] | sequence.saved[b]) for b in blocks),
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
    held = sum(int(index.size[x]) for x in entry)
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
    index = sequence.walk.graph.index
    inside = set(sequence.rises[block])
    stays = sequence.lasting | sequence.entry(block)
    needed: set[int] = set()
    stack = [int(index.producer[x]) for x in wanted if x not in stays]
    while stack:
        v = stack.pop()
        if v in inside and v not in needed:
            needed.add(v)
            stack.extend(int(index.producer[x]) for x in index.inputs[v].tolist() if x not in stays)
    return [v for v in sequence.rises[block] if v in needed]


def _peak(sequence: BlockSequence, nodes: Sequence[int], live: Iterable[int], kept: Set[int], first: bool) -> int:
    """Most bytes held while nodes run; values go after their last use here unless they are kept."""
    index = sequence.walk.graph.index
    size: list[int] = index.size.tolist()
    last = {x: i for i, v in enumerate(nodes) for x in index.inputs[v].tolist()}
    held = set(live)
    peak = sum(size[x] for x in held)
    for i, v in enumerate(nodes):
        # The first instances of lasting values count as what stays; fresh ones come and go with their node.
        outputs = [x for x in index.outputs[v].tolist() if not (first and x in sequence.lasting)]
        peak = max(peak, sum(size[x] for x in held) + sum(size[x] for x in outputs) + int(index.workspace[v]))
        held.update(x for x in outputs if x not in sequence.lasting and (x in kept or last.get(x, -1) > i))
        held.difference_update(x for x in index.inputs[v].tolist() if last[x] == i and x not in kept)
    return peak


def _falls(sequence: BlockSequence) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Per block: bytes that stay when its fall begins, and the most bytes while its fall runs."""
    index = sequence.walk.graph.index
    size: list[int] = index.size.tolist()
    nodes = sequence.walk.nodes
    made_in_fall = sequence.walk.made_in_fall
    last = {x: i for i, v in enumerate(nodes) for x in index.inputs[v].tolist()}
    rise = {x for v in nodes[: sequence.walk.rise] for x in index.outputs[v].tolist()}
    held = sum(size[x] for x in sequence.lasting if index.producer[x] < 0 or x in rise)
    staying, back = [0] * len(sequence), [0] * len(sequence)
    position = sequence.walk.rise
    for block in reversed(range(len(sequence))):
        staying[block] = held
        fall = sequence.falls[block]
        uses = {x: i for i, v in enumerate(fall) for x in index.inputs[v].tolist()}
        reads = {x for x in sequence.saved[block] | sequence.exits[block] if x in uses}
        for i, v in enumerate(fall):
            outputs = index.outputs[v].tolist()
            saved = sum(size[x] for x in reads if uses[x] >= i)
            fresh = sum(size[x] for x in outputs)
            back[block] = max(back[block], held + saved + fresh + int(index.workspace[v]))
            held += sum(size[x] for x in outputs if x in sequence.lasting or last.get(x, -1) > position)
            held -= sum(
                size[x]
                for x in index.inputs[v].tolist()
                if x in made_in_fall and x not in sequence.lasting and last[x] == position
            )
            position += 1
    return tuple(staying), tuple(back)
