"""The annealing's network against the graph that it stands for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hcp.annealing.network import build_network, cost_unit, memory_unit
from hcp.graph.instances import training_chain
from hcp.graph.ir import Graph, Node, Value
from tests.strategies import graphs, seeded_graphs

any_graphs = st.one_of(graphs(), seeded_graphs())


def lists(rows):
    return [rows.items[rows.start[i] : rows.start[i + 1]].tolist() for i in range(len(rows.start) - 1)]


@given(any_graphs, st.integers(1, 3))
def test_every_byte_of_an_output_is_in_one_place(graph, unit):
    index = graph.index
    net = build_network(index, None, unit)
    makes = lists(net.makes)
    for v in range(index.n):
        held = scratch = 0
        bundled = {}
        for x in index.outputs[v].tolist():
            units = -(-int(index.size[x]) // unit)
            readers = tuple(index.readers[x].tolist())
            if index.resident[x]:
                held += units
            elif not readers:
                scratch += units
            elif units:
                bundled[readers] = bundled.get(readers, 0) + units
        assert net.held[v] == held
        assert net.scratch[v] == scratch - (-int(index.workspace[v]) // unit)
        readers_of = lists(net.readers)
        assert {tuple(readers_of[b]): int(net.size[b]) for b in makes[v]} == bundled
        assert net.repeatable[v] == (index.recomputable[v] and bool(bundled))


@given(any_graphs)
def test_bundles_are_read_and_made_both_ways(graph):
    net = build_network(graph.index, None, 1)
    made = {(b, v) for v, row in enumerate(lists(net.makes)) for b in row}
    assert made == {(b, int(v)) for b, v in enumerate(net.maker)}
    read = {(b, v) for v, row in enumerate(lists(net.reads)) for b in row}
    assert read == {(b, v) for b, row in enumerate(lists(net.readers)) for v in row}


@given(any_graphs, st.booleans())
def test_first_executions_follow_the_graph_or_the_order(graph, ordered):
    index = graph.index
    order = index.order.tolist()
    net = build_network(index, order if ordered else None, 1)
    before = lists(net.before)
    if ordered:
        assert before == [[order[order.index(v) - 1]] if order.index(v) else [] for v in range(index.n)]
    else:
        assert before == index.predecessors
    assert {(u, v) for v, row in enumerate(before) for u in row} == {
        (u, v) for u, row in enumerate(lists(net.after)) for v in row
    }


def test_units_keep_sums_over_a_timeline_within_64_bits():
    small = training_chain(10).index
    assert (cost_unit(small), memory_unit(small)) == (1, 1)
    large = Graph((Node("a", outputs=(Value("x", 2**59),), cost=2**60), Node("b", inputs=("x",), cost=2**60))).index
    slots = 16 * 64
    assert 2 * 2**59 // memory_unit(large) * slots <= 2**63
    assert int(large.cost.sum()) // cost_unit(large) * 64 <= 2**63
    net = build_network(large, None, memory_unit(large))
    # Sizes are rounded up, so that a budget in units is never broken in bytes.
    assert np.all(net.size * memory_unit(large) >= 2**59)
