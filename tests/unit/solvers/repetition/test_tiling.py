"""Tiled sequences are legal whatever is tiled, and repeat what the few layers do."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.analysis.repetition import find_repetition
from hcp.graph.instances import instance
from hcp.graph.random_graphs import random_graph
from hcp.planning.sequences import evaluate, without_unread
from hcp.solvers.repetition.fold import fold
from hcp.solvers.repetition.tiling import Layout, Template, Tiling, completed
from tests.effort import examples

GRAPH = instance("transformer:12")
REPETITION = find_repetition(GRAPH)
FOLD = fold(REPETITION, 4)
LAYOUT = Layout(REPETITION)


def template(sequence):
    return Template(LAYOUT, FOLD, tuple(sequence))


def random_run(index, random):
    """A legal sequence that runs some nodes again, at any time after they have run."""
    found = []
    for node in index.order.tolist():
        found.append(node)
        again = [v for v in found if index.recomputable[v]]
        found += [random.choice(again) for _ in range(random.randrange(3)) if again]
    return found


def tiling(*sequences):
    return Tiling.of([template(sequence) for sequence in sequences], 100)


def test_keeping_everything_tiles_to_keeping_everything():
    small = FOLD.small.index
    found = tiling(small.order.tolist())
    (count,) = {len(row) for row in found.patterns}
    # Layers that do the same share a pattern.
    assert count == 1
    sequence = found.tiled([[10]])
    assert sequence.tolist() == GRAPH.index.order.tolist()


def test_every_layer_does_what_its_pattern_does():
    small = FOLD.small.index
    names = small.node_names
    # Every layer that is left makes its GELU again just before it is read backwards.
    sequence = []
    for node in small.order.tolist():
        reads = {names[int(small.producer[x])] for x in small.inputs[node] if small.producer[x] >= 0}
        forward = [name for name in reads if name.startswith("gelu.") and not name.endswith(":backward")]
        if forward and names[node].endswith(":backward"):
            sequence.append(small.node_of[forward[0]])
        sequence.append(node)
    again = [node for node in set(sequence) if sequence.count(node) > 1]
    assert len(again) == 6
    (patterns,) = tiling(sequence).patterns
    tiled = tiling(sequence).tiled([[10, *[0] * (len(patterns) - 1)]])
    often = np.bincount(tiled)
    assert sorted(GRAPH.index.node_names[node] for node in np.flatnonzero(often > 1)) == sorted(
        f"gelu.{layer}" for layer in range(12)
    )


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 10**6))
def test_what_is_tiled_is_legal(seed):
    random = Random(seed)
    small = FOLD.small.index
    found = tiling(random_run(small, random), random_run(small, random))
    counts = []
    for row, stack in zip(found.patterns, REPETITION.stacks, strict=True):
        picked = [random.randrange(len(row)) for _ in range(stack.equal)]
        counts.append([picked.count(pattern) for pattern in range(len(row))])
    assert evaluate(GRAPH.index, found.tiled(counts)) is not None


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12))
def test_any_sequence_is_completed_to_a_legal_one(seed, nodes):
    random = Random(seed)
    index = random_graph(nodes, seed).index
    sequence = [random.randrange(index.n) for _ in range(random.randrange(3 * nodes))]
    assert evaluate(index, completed(index, np.array(sequence, np.int64))) is not None


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12))
def test_trimming_costs_nothing(seed, nodes):
    index = random_graph(nodes, seed).index
    sequence = random_run(index, Random(seed))
    before, after = evaluate(index, sequence), evaluate(index, without_unread(index, sequence))
    assert after.cost <= before.cost
    assert after.peak <= before.peak
    # Nothing is left to trim.
    assert without_unread(index, without_unread(index, sequence)) == without_unread(index, sequence)


def test_owners_are_segments_in_their_order():
    sequence = tiling(FOLD.small.index.order.tolist()).tiled([[10]])
    owners = tiling(FOLD.small.index.order.tolist()).owners(sequence)
    assert (np.diff(owners) >= 0).all()
    assert set(owners.tolist()) == set(range(len(LAYOUT.segments)))


@pytest.mark.parametrize("most", [1, 4, 100])
def test_later_templates_go_first_where_patterns_are_limited(most):
    random = Random(1)
    small = FOLD.small.index
    templates = [template(random_run(small, random)) for _ in range(3)]
    found = Tiling.of(templates, most)
    for stack, row in enumerate(found.patterns):
        assert set(templates[-1].patterns(stack)) <= set(row)
        assert len(row) <= max(most, len(set(templates[-1].patterns(stack))))
