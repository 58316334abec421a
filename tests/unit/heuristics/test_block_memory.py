"""What blocks need, against replay of the chain kept whole."""

from random import Random

import pytest

from hcp.graph.instances import instance
from hcp.heuristics.block_memory import block_needs
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from tests.chains import sequence_of, taped_chain


def random_chain(seed):
    rng = Random(seed)
    return taped_chain(rng.randint(2, 7), lambda: rng.randint(1, 6))


CHAINS = [*map(random_chain, range(60)), *map(instance, ("training-chain:9", "residual-net:4", "transformer:2"))]


@pytest.mark.parametrize("graph", CHAINS, ids=lambda graph: graph.name)
def test_the_falls_peaks_are_those_of_the_chain_kept_whole(graph):
    """While a block's fall runs, the rises of the earlier blocks are still held: what they save, and their exits."""
    sequence = sequence_of(graph)
    needs = block_needs(sequence)
    profile = replay(graph, keep_everything(graph)).profile
    step = len(profile) - sum(map(len, sequence.falls))
    # A value may cross into several blocks.
    kept = [sequence.saved[block] | sequence.exits[block] for block in range(len(sequence))]
    earlier = [sequence.bytes_of(set().union(*kept[:block])) for block in range(len(sequence))]
    for block in reversed(range(len(sequence))):
        steps = range(step, step + len(sequence.falls[block]))
        if steps:
            # Never below what is held, and above it by no more than what may be gone by then.
            excess = needs.back[block] + earlier[block] - max(profile[i] for i in steps)
            assert 0 <= excess <= _gone_early(sequence, block)
        step += len(steps)


def _gone_early(sequence, block):
    """Bytes that needs count in a block's fall and that a schedule may have freed by its end.

    Of the earlier blocks what no earlier fall reads, and outputs of run-once nodes of rises, which are taken to stay.
    """
    index = sequence.walk.graph.index
    held = set().union(*(sequence.saved[b] | sequence.exits[b] for b in range(block)), ())
    later = {x for b in range(block) for v in sequence.falls[b] for x in index.inputs[v].tolist()}
    return sequence.bytes_of((held - later) | {x for x in sequence.lasting if index.droppable[x]})


@pytest.mark.parametrize("graph", CHAINS, ids=lambda graph: graph.name)
def test_costs_are_those_of_what_has_to_run(graph):
    sequence = sequence_of(graph)
    needs = block_needs(sequence)
    index = graph.index
    for block, rise in enumerate(sequence.rises):
        whole = int(index.cost[rise].sum())
        first, again = needs.first[block], needs.again[block]
        assert first.advance_cost == first.save_cost == first.save_on_cost == whole
        assert max(again.advance_cost, again.save_cost) <= again.save_on_cost <= whole
        assert needs.exit[block] == sequence.bytes_of(sequence.exits[block])
        # Who holds the entry itself needs it beside what an advance takes, and it may go on the way.
        entry = sequence.bytes_of(sequence.entry(block))
        assert first.advance_on <= first.advance + entry
        assert again.advance_on <= again.advance + entry
