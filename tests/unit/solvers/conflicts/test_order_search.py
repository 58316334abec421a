"""The order search against all orders, and against what optimal schedules repeat."""

from time import sleep

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.cancellation import Cancelled
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.deadline import Deadline
from hcp.planning.native import left_alone
from hcp.planning.problem import Problem
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import replay
from hcp.solvers.conflicts.order_search import OrderSearch, OrderVerdict
from hcp.solvers.exhaustive import Exhaustive
from tests.effort import examples
from tests.strategies import problems


def orders(graph):
    dag = nx.DiGraph()
    dag.add_nodes_from(range(graph.index.n))
    dag.add_edges_from((p, v) for v in range(graph.index.n) for p in graph.index.predecessors[v])
    return nx.all_topological_sorts(dag)


@settings(max_examples=examples(150), deadline=None)
@given(problems(max_nodes=6), st.booleans())
def test_without_repeats_the_search_tells_whether_some_order_fits(drawn, shrink):
    graph, budget = drawn
    budget = max(1, budget - 2) if shrink else budget
    names = graph.index.node_names
    peaks = (replay(graph, Schedule.from_computes(graph, [names[v] for v in order])).peak for order in orders(graph))
    fits = any(peak <= budget for peak in peaks)
    verdict = OrderSearch(graph.index, budget)(np.zeros(graph.index.n, np.bool_))
    assert verdict is (OrderVerdict.POSSIBLE if fits else OrderVerdict.IMPOSSIBLE)


@settings(max_examples=examples(400), deadline=None)
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
    for traced in (False, True):
        assert OrderSearch(graph.index, budget)(free, traced=traced) is OrderVerdict.POSSIBLE
        assert OrderSearch(graph.index, budget)(free | more, traced=traced) is OrderVerdict.POSSIBLE


def least_held(graph, done, node, free):
    """What is held while a node runs first, as docs/formulations.md says it, by the flow of another library."""
    index = graph.index
    own = set(index.inputs[node].tolist())
    made = [x for x in np.flatnonzero(index.droppable).tolist() if index.producer[x] in done]
    network = nx.DiGraph([("in", "none"), ("none", "out")])
    for x in made:
        network.add_edge(("need", x), ("make", x), capacity=0 if x in own else int(index.size[x]))
        if not done.issuperset(index.readers[x].tolist()):
            network.add_edge("in", ("need", x))
        if not free[index.producer[x]]:
            network.add_edge(("make", x), "out")
            continue
        for y in index.inputs[index.producer[x]].tolist():
            if index.droppable[y]:
                network.add_edge(("make", x), ("need", y))
    network["in"]["none"]["capacity"] = 0
    stay = [x for x in range(index.m) if index.resident[x] and (index.producer[x] < 0 or index.producer[x] in done)]
    alone = {x for x in own if index.droppable[x]} | set(stay) | set(index.outputs[node].tolist())
    held = sum(int(index.size[x]) for x in alone) + int(index.workspace[node])
    return held + nx.maximum_flow_value(network, "in", "out")


def possible(graph, budget, free):
    """Whether a path through sets of nodes leads to all, trying every step."""
    index = graph.index
    waiting, seen = [frozenset()], {frozenset()}
    while waiting:
        done = waiting.pop()
        if len(done) == index.n:
            return True
        for v in range(index.n):
            after = done | {v}
            if v in done or after in seen or not done.issuperset(index.predecessors[v]):
                continue
            if least_held(graph, done, v, free) <= budget:
                seen.add(after)
                waiting.append(after)
    return False


@settings(max_examples=examples(200), deadline=None)
@given(problems(), st.booleans(), st.data())
def test_with_little_work_a_search_says_nothing_false(drawn, traced, data):
    graph, budget = drawn
    free = np.array(data.draw(st.lists(st.booleans(), min_size=graph.index.n, max_size=graph.index.n)))
    search = OrderSearch(graph.index, budget)
    for sets in range(8):
        few = search(free, traced=traced, work=sets * graph.index.n)
        assert few in (OrderVerdict.UNKNOWN, search(free, traced=traced))


@settings(max_examples=examples(300), deadline=None)
@given(problems(max_nodes=7), st.booleans(), st.data())
def test_with_inputs_the_search_is_one_through_all_sets(drawn, shrink, data):
    graph, budget = drawn
    budget = max(1, budget - 2) if shrink else budget
    free = np.array(data.draw(st.lists(st.booleans(), min_size=graph.index.n, max_size=graph.index.n)))
    free &= graph.index.recomputable
    verdict = OrderSearch(graph.index, budget)(free, traced=True)
    assert verdict is (OrderVerdict.POSSIBLE if possible(graph, budget, free) else OrderVerdict.IMPOSSIBLE)
    if OrderSearch(graph.index, budget)(free) is OrderVerdict.IMPOSSIBLE:
        assert verdict is OrderVerdict.IMPOSSIBLE


def test_a_search_that_is_given_up_ends():
    # Very many sets can run before the node in the middle, and after it, and nothing fits with it.
    before, after = ([Value(f"{name}{i}", 1 + i % 7) for i in range(40)] for name in "xy")
    first = [Node(f"n{value.name}", outputs=(value,), recomputable=False) for value in before]
    middle = Node("middle", inputs=tuple(value.name for value in before), outputs=tuple(after), recomputable=False)
    last = [Node(f"n{value.name}", inputs=(value.name,)) for value in after]
    graph = Graph((*first, middle, *last))
    search, nothing = OrderSearch(graph.index, sum(value.bytes for value in before)), np.zeros(graph.index.n, np.bool_)
    # The search itself goes on for seconds where the wait for it is given up, unless it is told to end.
    with pytest.raises(Cancelled), Deadline(0.2).enforced():
        search(nothing, traced=True)
    while left_alone():
        sleep(0.01)
    assert search(nothing, work=10_000) is OrderVerdict.UNKNOWN
