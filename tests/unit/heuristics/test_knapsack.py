"""The knapsack on saved bytes: worked examples, and the knapsack itself against all subsets."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from hcp.graph.ir import Graph, Node, Value
from hcp.heuristics.knapsack import Knapsack, most_valuable
from hcp.planning.problem import Problem
from hcp.schedule.replay import replay

WEIGHTS, WORTHS = [3, 4, 5], [4, 5, 6]


def test_worked_example():
    """3 + 4 fit 7 and are worth 9; of 5 the last alone is best; 3 + 5 fit 8 and are worth 10."""
    chosen = most_valuable(WEIGHTS, WORTHS, [8, 7, 5, 2], levels=100)
    assert [sorted(items) for items in chosen] == [[0, 2], [0, 1], [2], []]


def test_worked_example_on_a_graph():
    """Three nodes whose outputs the backward reads one after the other; what is not saved runs once more."""
    forward = [Node(f"f{i}", "op", (), (Value(f"v{i}", WEIGHTS[i]),), WORTHS[i]) for i in range(3)]
    loss = Node("loss", "op", ("v0", "v1", "v2"), (Value("l", 1),), 1, workspace=10, recomputable=False)
    backward = [
        Node(f"b{i}", "op", (f"b{i + 1}" if i < 2 else "l", f"v{i}"), (Value(f"b{i}", 1),), 1) for i in (2, 1, 0)
    ]
    graph = Graph((*forward, loss, *backward))
    for capacity, again in ((12, set()), (8, {"f1"}), (7, {"f2"}), (5, {"f0", "f1"}), (2, {"f0", "f1", "f2"})):
        usage = replay(graph, Knapsack(capacity=capacity)(Problem(graph, 100)).schedule)
        assert set(usage.recomputed) == again
        assert usage.cost == graph.base_cost + sum(graph.node[name].cost for name in again)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=6), st.integers(0, 30))
def test_the_most_valuable_items_are_chosen(items, capacity):
    weights, worths = [w for w, _ in items], [v for _, v in items]
    (chosen,) = most_valuable(weights, worths, [capacity], levels=100)
    assert sum(weights[i] for i in chosen) <= capacity
    subsets = (subset for k in range(len(items) + 1) for subset in combinations(range(len(items)), k))
    best = max(sum(worths[i] for i in s) for s in subsets if sum(weights[i] for i in s) <= capacity)
    assert sum(worths[i] for i in chosen) == best


@given(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 9)), max_size=6), st.integers(0, 3000))
def test_rounding_never_exceeds_the_capacity(items, capacity):
    weights, worths = [w for w, _ in items], [v for _, v in items]
    (chosen,) = most_valuable(weights, worths, [capacity], levels=50)
    assert sum(weights[i] for i in chosen) <= capacity
