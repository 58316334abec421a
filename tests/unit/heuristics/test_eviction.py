"""Dynamic rematerialization: a worked example, the evicted neighbourhood, and budgets that are kept."""

import pytest
from hypothesis import given, settings

from hcp.graph.instances import instance
from hcp.graph.ir import Graph, Node, Value
from hcp.heuristics.eviction import Eviction, Runtime
from hcp.planning.problem import Problem
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from tests.effort import examples
from tests.strategies import problems

COSTS = {"a": 5, "b": 2, "c": 2, "d": 2, "e": 1, "f": 1}
READS = {"a": "", "b": "a", "c": "b", "d": "c", "e": "da", "f": "eb"}
GRAPH = Graph(tuple(Node(name, "op", tuple(READS[name]), (Value(name, 2),), cost) for name, cost in COSTS.items()))


def test_worked_example():
    """Six values of two bytes, room for three.

    The clock is 5, 7, 9 after a, b, c. For d one of a and b has to go: h(a) = 5 / (2 * (9 - 5)) = 0.625 and
    h(b) = 2 / (2 * (9 - 7)) = 0.5, so b goes. c goes after d, its last reader; a and d after e. f needs b again, for
    which a has to come back.
    """
    runtime = Runtime(GRAPH, GRAPH.order, budget=6)
    assert runtime.run()
    names = GRAPH.index.node_names
    assert "".join(names[v] for v in runtime.computes) == "abcdeabf"
    assert [GRAPH.index.value_names[x] for x in runtime.evicted_log] == ["b"]
    usage = replay(GRAPH, Eviction(shares=(100,))(Problem(GRAPH, 6)).schedule)
    assert (usage.cost, usage.peak) == (20, 6)


def test_the_evicted_neighbourhood_counts_both_ways():
    runtime = Runtime(GRAPH, GRAPH.order, budget=100)
    for node in range(3):
        runtime.execute(node)
    assert [runtime.value(x) for x in (0, 1)] == [5 / (2 * 4), 2 / (2 * 2)]
    runtime.evict(1)
    # b has to be computed again before c can be, and needs a.
    assert runtime.value(0) == (5 + 2) / (2 * 4)
    assert runtime.cost_around(2) == 2
    runtime.evict(2)
    # b and c both follow from a.
    assert runtime.cost_around(0) == 4
    runtime.execute(1)
    assert runtime.cost_around(0) == 0
    assert runtime.cost_around(1) == 2


@settings(max_examples=examples(200), deadline=None)
@given(problems())
def test_cached_neighbourhoods_are_right(drawn):
    graph, budget = drawn
    runtime = Runtime(graph, graph.order, budget)
    for node in runtime.program:
        if not runtime.execute(node):
            break
        for x, cost in runtime.neighbourhood.items():
            if x in runtime.live:
                assert cost == runtime.cost_around(x)
    assert runtime.held == sum(runtime.size[x] for x in runtime.live)


@pytest.mark.parametrize("name", ["training-chain:40", "residual-net:10", "unet:3", "random-layered:60"])
@pytest.mark.parametrize("percent", [95, 70])
def test_the_simulation_keeps_to_its_budget(name, percent):
    graph = instance(name)
    budget = replay(graph, keep_everything(graph)).peak * percent // 100
    runtime = Runtime(graph, graph.order, budget)
    if runtime.run():
        names = graph.index.node_names
        schedule = Schedule.from_computes(graph, (names[v] for v in runtime.computes))
        assert replay(graph, schedule).peak <= budget
