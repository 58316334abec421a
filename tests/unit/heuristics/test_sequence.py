"""Graphs as sequences of blocks, and schedules from the steps of chain algorithms."""

import pytest

from hcp.graph.instances import instance
from hcp.heuristics.revolve import Revolve
from hcp.heuristics.rotor import Rotor
from hcp.planning.problem import NotApplicable, Problem
from tests.chains import sequence_of


def test_blocks_of_a_residual_network():
    graph = instance("residual-net:3")
    sequence = sequence_of(graph)
    names = graph.index.value_names
    assert [sorted(names[x] for x in values) for values in sequence.exits] == [["v0"], ["v3"], ["v6"], []]
    assert [len(rise) for rise in sequence.rises] == [1, 3, 3, 3]


@pytest.mark.parametrize("planner", [Revolve(), Rotor()], ids=repr)
def test_other_graphs_are_refused_with_what_is_needed(planner):
    for name in ("unet:3", "random-layered:30", "pyramid:4"):
        graph = instance(name)
        with pytest.raises(NotApplicable, match="needs a sequence of blocks"):
            planner(Problem(graph, 10**9))
