"""Folding leaves the graph that one would write with fewer layers."""

import pytest

from hcp.analysis.repetition import find_repetition
from hcp.graph.instances import instance
from hcp.schedule.replay import keep_everything_usage
from hcp.solvers.repetition.fold import fold

# Two layers of each, the first and the last, are like no other.
FAMILIES = ("transformer", "training-chain")


def shape(graph):
    """A graph up to names, in its order."""
    index = graph.index
    place = {node: rank for rank, node in enumerate(index.order.tolist())}
    return [
        (
            int(index.cost[node]),
            int(index.workspace[node]),
            bool(index.recomputable[node]),
            index.size[index.outputs[node]].tolist(),
            sorted(place.get(int(index.producer[value]), -1) for value in index.inputs[node]),
        )
        for node in index.order.tolist()
    ]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("layers", [2, 4, 7])
def test_it_is_the_graph_of_fewer_layers(name, layers):
    graph = instance(f"{name}:20")
    repetition = find_repetition(graph)
    folded = fold(repetition, layers)
    missing = repetition.stacks[0].equal - layers
    assert shape(folded.small) == shape(instance(f"{name}:{20 - missing}"))
    assert [graph.index.node_names[node] for node in folded.full_of] == list(folded.small.index.node_names)


def test_nothing_is_folded_where_no_layer_is_left_out():
    repetition = find_repetition(instance("transformer:8"))
    assert fold(repetition, 6) is None
    assert fold(find_repetition(instance("random-layered:10")), 4) is None


def test_budgets_leave_each_layer_as_much():
    graph = instance("transformer:40")
    folded = fold(find_repetition(graph), 4)
    full, small = keep_everything_usage(graph).peak, keep_everything_usage(folded.small).peak
    assert folded.budget(full) == pytest.approx(small, abs=1)
    # Half of what the layers keep goes, of few layers and of all.
    fixed = folded.fixed(small, full)
    assert folded.budget(int(fixed + (full - fixed) / 2)) == pytest.approx(fixed + (small - fixed) / 2, abs=2)
    assert folded.budget(int(fixed + (full - fixed) / 2), allowance=1.1) > folded.budget(
        int(fixed + (full - fixed) / 2)
    )
    assert folded.budget(0) == folded.small.index.least_bytes
