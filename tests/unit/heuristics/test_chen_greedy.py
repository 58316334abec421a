"""Greedy segments by bytes."""

from hcp.graph.instances import training_chain
from hcp.heuristics.chen_greedy import ChenGreedy, _cut
from hcp.planning.problem import Problem
from hcp.schedule.replay import replay


def test_chen_greedy_cuts_by_bytes():
    assert list(_cut([5, 5, 5, 1, 1, 9, 1], 9)) == [0, 0, 1, 1, 1, 1, 2]
    # One node a segment: everything crosses, nothing is dropped.
    graph = training_chain(30, uniform=False, seed=3)
    tight = ChenGreedy(segment_bytes=1)(Problem(graph, 10**6))
    assert replay(graph, tight.schedule).cost == graph.base_cost
    loose = ChenGreedy(segment_bytes=200)(Problem(graph, 10**6))
    assert replay(graph, loose.schedule).cost > graph.base_cost
