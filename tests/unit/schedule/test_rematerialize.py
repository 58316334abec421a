"""Recomputing on demand."""

from hypothesis import given
from hypothesis import strategies as st

from hcp.graph.instances import training_chain
from hcp.schedule.rematerialize import Retention, lasting, rematerialize
from hcp.schedule.replay import replay
from tests.strategies import graphs, seeded_graphs


def test_one_epoch_recomputes_nothing():
    graph = training_chain(4)
    assert rematerialize(graph, graph.order, Retention([0] * 8, [set()])).computes == graph.order


def test_dropped_values_come_back_by_their_closure():
    graph = training_chain(3)
    # Everything is dropped before the first backward node (of node 2), which reads the outputs of 1 and 2.
    schedule = rematerialize(graph, graph.order, Retention([0, 0, 0, 1, 1, 1], [set(), set()]))
    assert schedule.computes == ("v0", "v1", "v2", "v0", "v1", "v2", "v3", "v4", "v5")


def test_carried_values_stop_the_closure():
    graph = training_chain(3)
    kept = {graph.index.value_names.index("v1")}
    schedule = rematerialize(graph, graph.order, Retention([0, 0, 0, 1, 1, 1], [set(), kept]))
    assert schedule.computes == ("v0", "v1", "v2", "v2", "v3", "v0", "v4", "v5")


@given(st.one_of(graphs(), seeded_graphs()), st.data())
def test_any_retention_gives_a_legal_schedule_in_the_order(graph, data):
    n, m = len(graph.nodes), len(graph.values)
    count = data.draw(st.integers(1, 4))
    epochs = data.draw(st.lists(st.integers(0, count - 1), min_size=n, max_size=n))
    carried = [data.draw(st.sets(st.integers(0, m - 1))) if m else set() for _ in range(count)]
    schedule = rematerialize(graph, graph.order, Retention(epochs, carried))
    usage = replay(graph, schedule)
    assert schedule.follows(graph.order)
    assert all(graph.node[name].recomputable for name in usage.recomputed)


@given(graphs())
def test_lasting_values(graph):
    names = graph.index.value_names
    for x in range(graph.index.m):
        value = graph.values[names[x]]
        maker = graph.producer.get(value.name)
        stays = value.resident or (maker is not None and not graph.node[maker].recomputable)
        assert (x in lasting(graph.index)) == stays
