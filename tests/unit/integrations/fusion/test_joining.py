"""Groups that a compiler is expected to fuse: what joins whom, and in which order groups run."""

import random

import pytest

from hcp.integrations.fusion import Flow, joined, ordered


def program(*operations, size=lambda _: 1):
    """Operations such as ``"a = b c"``, heavy with a star before (``"*a = b"``), alone with an exclamation mark.

    The last result is returned.
    """
    flow = Flow(size, frozenset([operations[-1].partition("=")[0].strip("*! ")]))
    for text in operations:
        made, _, reads = text.partition("=")
        flow.append(made.strip("*! ").split(), reads.split(), heavy="*" in made, alone="!" in made)
    return flow


def groups(flow, stored=(), *, epilogues=False):
    found = joined(flow, stored, epilogues=epilogues)
    return [sorted(cluster.members) for cluster in ordered(found)]


def test_a_chain_is_one_group():
    assert groups(program("a = x", "b = a", "c = b")) == [[0, 1, 2]]


def test_what_is_stored_in_any_case_ends_a_group():
    assert groups(program("a = x", "b = a", "c = b"), stored=["b"]) == [[0, 1], [2]]


def test_operations_that_stand_alone_join_nobody():
    assert groups(program("a = x", "!b = a", "c = b")) == [[0], [1], [2]]


def test_readers_in_one_segment_become_one_group_with_what_they_read():
    assert groups(program("a = x", "b = a", "c = a", "d = b c")) == [[0, 1, 2, 3]]


def test_readers_in_two_segments_have_it_stored():
    assert groups(program("a = x", "b = a", "*p = b", "c = a p")) == [[0], [1], [2], [3]]


def test_groups_that_wait_for_one_another_stay_apart():
    # As one group, a, b and c would wait for the operation that stands alone, which waits for b.
    assert groups(program("a = x", "b = a", "!e = b", "c = a e")) == [[0], [1], [2], [3]]
    assert groups(program("a = x", "b = a", "e = b", "c = a e")) == [[0, 1, 2, 3]]


def test_a_heavy_operation_takes_what_follows_only_where_that_is_so():
    products = program("*p = x", "a = p", "b = a", "*q = b", "c = q")
    assert groups(products) == [[0], [1, 2], [3], [4]]
    assert groups(products, epilogues=True) == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize(("bytes_of_mask", "found"), [(1, [[0], [1], [2], [3]]), (8, [[0], [2], [1, 3]])])
def test_over_a_heavy_operation_the_smaller_side_is_kept(bytes_of_mask, found):
    # The mask m is read behind the product q: it is kept, or the value y that it is made from.
    sizes = {"y": 4, "m": bytes_of_mask, "q": 1, "r": 1}
    flow = program("*y = x", "m = y", "*q = y", "r = m q", size=sizes.__getitem__)
    assert groups(flow) == found


@pytest.mark.parametrize("epilogues", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_every_operation_is_in_one_group_and_groups_can_run_in_their_order(seed, epilogues):
    draw = random.Random(seed)
    flow = Flow(lambda name: 1 + int(name[1:]) % 3)
    for i in range(40):
        reads = {f"v{draw.randrange(max(0, i - 8), i)}" for _ in range(draw.randint(1, 3))} if i else ()
        flow.append([f"v{i}"], reads, heavy=draw.random() < 0.25, alone=draw.random() < 0.1)
    stored = {f"v{i}" for i in range(40) if draw.random() < 0.1}
    clusters = joined(flow, stored, epilogues=epilogues)
    done = set()
    for cluster in ordered(clusters):
        outside = {flow.producer[name] for m in cluster.members for name in flow.reads[m]} - set(cluster.members)
        assert outside <= done
        done.update(cluster.members)
        assert sum(flow.is_heavy(m) for m in cluster.members) <= 1
        assert len(cluster.members) == 1 or flow.alone.isdisjoint(cluster.members)
        for m in cluster.members:
            leaves = any(reader not in cluster.members for reader in flow.readers_of(m))
            assert (f"v{m}" in cluster.outputs) == leaves
    assert sorted(done) == list(range(40))
