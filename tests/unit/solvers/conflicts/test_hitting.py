"""Cheapest hitting sets against all sets."""

from itertools import combinations
from math import inf

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.ir import Graph, Node, Value
from hcp.planning.deadline import Deadline
from hcp.solvers.certificates.conflicts import Conflict, tree_value
from hcp.solvers.certificates.multipliers import round_up
from hcp.solvers.conflicts.hitting import HittingSets
from tests.effort import examples

COSTS = st.lists(st.one_of(st.integers(0, 6), st.integers(0, 10**9)), min_size=2, max_size=8)


def cheapest(costs, conflicts):
    best = inf
    for size in range(len(costs) + 1):
        for chosen in combinations(range(len(costs)), size):
            if all(set(chosen) & set(each.nodes) for each in conflicts):
                best = min(best, sum(costs[v] for v in chosen))
    return best


@settings(max_examples=examples(150), deadline=None)
@given(COSTS, st.data())
def test_the_tree_proves_the_cost_of_a_cheapest_set(costs, data):
    graph = Graph(tuple(Node(f"n{v}", outputs=(Value(f"x{v}", 1),), cost=cost) for v, cost in enumerate(costs)))
    nodes = st.lists(st.integers(0, len(costs) - 1), min_size=1, unique=True)
    drawn = data.draw(st.lists(nodes, min_size=1, max_size=8))
    conflicts = [Conflict(tuple(sorted(each)), False) for each in drawn]
    sets = HittingSets(graph, conflicts, Deadline(20))
    optimum = graph.base_cost + cheapest(costs, conflicts)
    for most in (0, 1, 2, 1000):
        found = sets.search(most)
        assert all(found.chosen[list(each.nodes)].any() for each in conflicts)
        value = tree_value(graph.index.cost, conflicts, found.tree, sets.denominator)
        assert found.bound <= round_up(value + graph.base_cost, graph) <= optimum
    assert found.bound == optimum == graph.base_cost + graph.index.cost[np.flatnonzero(found.chosen)].sum()
