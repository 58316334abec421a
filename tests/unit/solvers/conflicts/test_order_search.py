"""The order search against all orders, and against what optimal schedules repeat."""

import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.planning.problem import Problem
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import replay
from hcp.solvers.conflicts.order_search import OrderSearch, OrderVerdict
from hcp.solvers.exhaustive import Exhaustive
from tests.strategies import problems


def orders(graph):
    dag = nx.DiGraph()
    dag.add_nodes_from(range(graph.index.n))
    dag.add_edges_from((p, v) for v in range(graph.index.n) for p in graph.index.predecessors[v])
    return nx.all_topological_sorts(dag)


@settings(max_examples=150, deadline=None)
@given(problems(max_nodes=6), st.booleans())
def test_without_repeats_the_search_tells_whether_some_order_fits(drawn, shrink):
    graph, budget = drawn
    budget = max(1, budget - 2) if shrink else budget
    names = graph.index.node_names
    peaks = (replay(graph, Schedule.from_computes(graph, [names[v] for v in order])).peak for order in orders(graph))
    fits = any(peak <= budget for peak in peaks)
    verdict = OrderSearch(graph.index, budget)(np.zeros(graph.index.n, np.bool_))
    assert verdict is (OrderVerdict.POSSIBLE if fits else OrderVerdict.IMPOSSIBLE)


@settings(max_examples=400, deadline=None)
@given(problems(), st.booleans(), st.data())
def test_a_set_that_the_search_rules_out_is_not_what_an_optimum_repeats(drawn, shrink, data):
    graph, budget = drawn
    budget = max(1, budget - 2) if shrink else budget
    solution = Exhaustive()(Problem(graph, budget))
    if solution.schedule is None:
        return
    computes = solution.schedule.computes
    free = np.array([computes.count(name) > 1 for name in graph.index.node_names])
    more = np.array(data.draw(st.lists(st.booleans(), min_size=graph.index.n, max_size=graph.index.n)))
    assert OrderSearch(graph.index, budget)(free) is OrderVerdict.POSSIBLE
    assert OrderSearch(graph.index, budget)(free | more) is OrderVerdict.POSSIBLE
