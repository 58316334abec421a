"""Stacks of equal layers in training steps of layered models, and none where there are none."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.analysis.node_labels import node_labels
from hcp.analysis.repetition import OUTSIDE, find_repetition
from hcp.graph.instances import instance, transformer
from hcp.graph.topo import is_topological, topological_order
from tests.effort import examples
from tests.layered import Step, layered


def found(graph, **options):
    """Per stack: layers, equal layers, nodes of a layer, sections; what it claims is checked."""
    repetition = find_repetition(graph, **options)
    check(repetition)
    return [(stack.layers, stack.equal, stack.size, len(stack.sections)) for stack in repetition.stacks]


def check(repetition):
    """Nodes at one place of equal layers do the same, and read from the same places."""
    graph, index, spot_of = repetition.graph, repetition.graph.index, repetition.spot_of
    assert is_topological(graph, graph.order)
    labels = node_labels(graph)
    places = [place for stack in repetition.stacks for place, _ in stack.spots()]
    assert len(set(places)) == len(places) == len(spot_of)
    for number, stack in enumerate(repetition.stacks):
        first, end = stack.core
        assert 0 <= first < end <= stack.layers
        seen, reach = {}, 0
        for node, (own, spot) in spot_of.items():
            if own != number or not first <= spot.layer < end:
                continue
            reads = []
            for value in index.inputs[node].tolist():
                maker = int(index.producer[value])
                home, source = spot_of.get(maker, (OUTSIDE, None))
                if home != number:
                    reads.append(maker)
                    continue
                reach = max(reach, abs(source.layer - spot.layer))
                output = index.outputs[maker].tolist().index(value)
                reads.append((source.section, source.layer - spot.layer, source.place, output))
            does = (int(labels[node]), tuple(reads))
            assert seen.setdefault((spot.section, spot.place), does) == does
        assert reach == stack.reach
        assert len(seen) == stack.size
        assert stack.equal > 2 * reach


def encoder_decoder(encoder, decoder, **options):
    step = Step(**options)
    x = step.forward("embed", ["x"], 8, 64)
    for _ in range(encoder):
        x = step.layer(x)
    memory = step.forward("encoded", [x])
    x = step.forward("target", ["x"], 8, 64)
    for _ in range(decoder):
        x = step.layer(x, beside=[memory])
    return step.graph(step.forward("head", [x], 4, 64))


def staged(counts):
    step = Step()
    size = 8 << len(counts)
    x = step.forward("embed", ["x"], size, 64)
    for count in counts:
        for _ in range(count):
            x = step.layer(x, size=size)
        size //= 2
        x = step.forward("pool", [x], size)
    return step.graph(step.forward("head", [x], 4, 64))


def skipping(layers):
    """Each layer also reads what the layer before the last one made."""
    step = Step()
    before = x = step.forward("embed", ["x"], 8, 64)
    for _ in range(layers):
        normed = step.forward("norm", [x])
        before, x = x, step.forward("add", [normed, x, before])
    return step.graph(step.forward("head", [x], 4, 64))


def reading(pattern):
    """Layers that do the same, and differ in which of two values outside they read."""
    step = Step()
    sources = {"a": step.forward("one", ["x"]), "b": step.forward("other", ["x"])}
    x = step.forward("embed", ["x"], 8, 64)
    for which in pattern:
        x = step.layer(x, beside=[sources[which]])
    return step.graph(step.forward("head", [x], 4, 64))


def masked(layers):
    """All layers read what the first one makes on its way."""
    step = Step()
    x = step.forward("embed", ["x"], 8, 64)
    mask = ""
    for _ in range(layers):
        x = step.forward("norm", [x])
        own = step.forward("mask", [x], 2)
        mask = mask or own
        x = step.forward("add", [x, mask])
    return step.graph(step.forward("head", [x], 4, 64))


def probed(layers, at):
    """One layer has a further node, in the forward alone."""
    step = Step()
    x = step.forward("embed", ["x"], 8, 64)
    for layer in range(layers):
        x = step.layer(x)
        if layer == at:
            step.forward("probe", [x], 1)
    return step.graph(step.forward("head", [x], 4, 64))


def shuffled(graph, seed=0):
    """Another order of the same graph: of what is ready, any is next."""
    rng = Random(seed)
    return replace(graph, order=topological_order(graph, {name: rng.random() for name in graph.order}))


def test_a_plain_stack_is_found_whatever_its_nodes_cost():
    assert found(layered([""] * 12)) == [(12, 10, 11, 2)]
    assert found(layered([""] * 12, seed=1)) == [(12, 10, 11, 2)]
    assert found(transformer(8)) == [(8, 6, 27, 2)]


def test_other_first_and_last_layers_are_left_outside():
    assert found(layered(["first", *[""] * 12, "last"])) == [(12, 10, 11, 2)]


def test_casts_and_updates_are_further_sections_though_there_are_several_of_a_layer():
    assert found(layered([""] * 12, casts=True)) == [(12, 10, 13, 3)]
    assert found(layered([""] * 12, casts=True, updates=True)) == [(12, 10, 15, 4)]


def test_kinds_that_come_in_turn_make_one_layer():
    assert found(layered(["a", "b"] * 8, casts=True, updates=True)) == [(8, 6, 30, 4)]
    assert found(layered(["a", "a", "a", "b"] * 6)) == [(6, 4, 44, 2)]


def test_an_odd_layer_in_the_middle_parts_two_stacks():
    assert found(layered(["a"] * 6 + ["b"] + ["a"] * 7)) == [(7, 5, 11, 2), (6, 4, 11, 2)]
    both = layered(["a"] * 6 + ["b"] + ["a"] * 7, casts=True, updates=True)
    assert found(both) == [(7, 5, 15, 4), (6, 4, 15, 4)]


def test_a_layer_that_is_odd_in_the_forward_alone_parts_the_backward_as_well():
    assert found(probed(14, 6)) == [(7, 5, 11, 2), (6, 4, 11, 2)]


def test_encoder_and_decoder_are_two_stacks():
    assert found(encoder_decoder(8, 8)) == [(8, 6, 11, 2), (7, 5, 12, 2)]
    assert found(encoder_decoder(8, 8, casts=True, updates=True)) == [(8, 6, 15, 4), (7, 5, 16, 4)]


def test_stages_of_equal_blocks_are_stacks_of_their_own():
    assert found(staged([5, 6, 12])) == [(12, 10, 11, 2), (6, 4, 11, 2), (5, 3, 11, 2)]


def test_layers_without_names_are_told_apart_by_their_sizes_and_edges():
    assert found(encoder_decoder(12, 8, named=False))[0] == (12, 10, 11, 2)


def test_names_in_the_place_of_operations_do_not_count():
    graph = layered([""] * 12)
    named = replace(graph, nodes=tuple(replace(node, op=node.name) for node in graph.nodes))
    assert found(named) == [(12, 10, 11, 2)]


def test_layers_may_read_across_a_layer():
    (stack,) = find_repetition(skipping(16)).stacks
    check(find_repetition(skipping(16)))
    assert stack.reach == 2
    assert stack.equal >= 10


def test_a_layer_whose_values_all_layers_share_is_left_outside():
    ((layers, equal, size, sections),) = found(masked(16))
    assert (size, sections) == (6, 2)
    assert 15 >= layers >= equal >= 11


def test_layers_that_differ_in_what_they_read_alone_are_told_apart():
    assert found(reading("ab" * 8)) == [(7, 5, 24, 2)]
    assert found(reading("aab" * 6)) == [(5, 3, 36, 2)]
    assert found(reading("aaaaaaaabbbbbbbbb")) == [(8, 6, 12, 2), (7, 5, 12, 2)]


@pytest.mark.parametrize(
    "name", ["pyramid:8", "pyramid:20", "random-layered:100", "random-layered:400", "binary-tree:7", "unet:5"]
)
def test_graphs_that_do_not_repeat_have_no_stacks(name):
    assert found(instance(name)) == found(instance(name), reorder=True) == []
    assert str(find_repetition(instance(name))) == "none found"


def test_chains_are_stacks_of_nodes():
    assert found(instance("chain:30")) == [(29, 28, 1, 1)]
    assert found(instance("training-chain:20")) == [(18, 16, 2, 2)]


@pytest.mark.parametrize("seed", range(3))
def test_another_order_shows_layers_that_the_own_one_mixes(seed):
    graph = shuffled(layered(["a", "b"] * 8, casts=True, updates=True), seed)
    assert found(graph) == []
    assert found(graph, reorder=True) == [(7, 5, 30, 2)]
    other = find_repetition(graph, reorder=True).graph
    assert other.index.node_names == graph.index.node_names


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4),
    st.integers(1, 8),
    st.integers(0, 3),
    st.integers(0, 10**6),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_claims_hold_of_random_stacks(pattern, copies, odd, seed, casts, updates, mixed):
    rng = Random(seed)
    kinds = pattern * copies
    for _ in range(odd):
        kinds.insert(rng.randrange(len(kinds) + 1), rng.choice("abcd"))
    graph = layered(kinds, seed=seed, casts=casts, updates=updates)
    if mixed:
        graph = shuffled(graph, seed)
    check(find_repetition(graph))
    check(find_repetition(graph, reorder=True))
    if copies >= 5 and not odd and not mixed:
        assert find_repetition(graph).covered > 0.3


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 10**6))
def test_claims_hold_of_random_reads(seed):
    rng = Random(seed)
    step = Step(seed=seed, named=rng.random() < 0.5)
    values = [step.forward("embed", ["x"])]
    period = rng.randint(1, 3)
    for place in range(rng.randint(3, 16)):
        far = min(len(values), 1 + place % period)
        x = step.layer(values[-1], beside=[values[-far]] if rng.random() < 0.9 else [])
        values.append(x)
    graph = step.graph(step.forward("head", [values[-1]], 4))
    check(find_repetition(graph))
    check(find_repetition(shuffled(graph, seed), reorder=True))
