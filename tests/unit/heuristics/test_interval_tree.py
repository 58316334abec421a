"""Interval trees on uniform chains."""

from hcp.graph.instances import training_chain
from hcp.heuristics.interval_tree import IntervalTree
from hcp.planning.problem import Problem
from hcp.schedule.replay import replay


def test_interval_trees_hold_a_logarithm():
    graph = training_chain(256)
    solution = IntervalTree(blocks=256)(Problem(graph, 16))
    usage = replay(graph, solution.schedule)
    # log2(256) frontiers, the value served, two gradients and what is being made.
    assert usage.peak <= 8 + 6
    assert max(usage.recomputed.values()) <= 9
