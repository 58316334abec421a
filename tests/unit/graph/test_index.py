"""A graph's arrays against the graph, and what they say of memory against the oracle."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.index import Incidence
from hcp.schedule.actions import Compute
from hcp.schedule.host import HostLink
from hcp.schedule.replay import replay
from hcp.solvers.exhaustive import least_peak
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs
from tests.transfers import random_transfers


@given(st.lists(st.lists(st.integers(0, 99), max_size=4), max_size=6))
def test_packed_rows_come_back(rows):
    packed = Incidence.pack(rows)
    assert packed.tolists() == rows
    assert len(packed) == len(rows)
    assert packed.items.tolist() == [item for row in rows for item in row]


@given(graphs())
def test_names_have_their_numbers_and_values_their_kind(graph):
    index = graph.index
    assert [index.node_names[index.node_of[name]] for name in graph.node] == list(graph.node)
    assert [index.value_names[index.value_of[name]] for name in graph.values] == list(graph.values)
    for name, x in index.value_of.items():
        assert index.droppable[x] == (name in graph.producer and not graph.values[name].resident)
    for node in graph.nodes:
        v = index.node_of[node.name]
        assert index.kept[v] == sum(value.bytes for value in node.outputs if value.resident)


@settings(max_examples=examples(200), deadline=None)
@given(st.one_of(graphs(max_nodes=7), seeded_graphs(max_nodes=7)), st.integers(0, 10**6))
def test_every_schedule_holds_what_the_floors_say(graph, seed):
    index = graph.index
    assert index.least_bytes <= least_peak(graph)
    schedule = random_transfers(graph, seed)
    usage = replay(graph, schedule, HostLink(10**9, 10**9))
    seen = set()
    for step, held in zip(schedule.steps, usage.profile, strict=True):
        if isinstance(step, Compute):
            v = index.node_of[step.node]
            assert held >= index.floor[v]
            if step.node not in seen and len(seen) == index.n - 1:
                assert held >= index.last_floor[v] >= index.last_floor[index.last]
            seen.add(step.node)


@given(graphs())
def test_index_says_the_same_as_the_graph(graph):
    index = graph.index
    names = index.value_names
    for v, name in enumerate(index.node_names):
        assert tuple(names[x] for x in index.inputs[v]) == graph.node[name].inputs
        assert tuple(names[x] for x in index.outputs[v]) == tuple(value.name for value in graph.node[name].outputs)
        ancestors = {index.node_names[u] for u in range(index.n) if index.ancestors[v] >> u & 1}
        direct = {graph.producer[x] for x in graph.node[name].inputs if x in graph.producer}
        assert direct <= ancestors
        assert name not in ancestors
    for x, name in enumerate(names):
        assert tuple(index.node_names[v] for v in index.readers[x]) == graph.readers[name]
    assert [index.node_names[v] for v in index.order] == list(graph.order)
