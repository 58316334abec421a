"""Separator recursion: worked examples, separators that separate, and memory on long chains."""

from itertools import pairwise

import pytest

from hcp.graph.instances import training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.heuristics.separators import Separators, separator_tree
from hcp.heuristics.treewidth import Treewidth, separator_schedule
from hcp.planning.problem import NotApplicable, Problem
from hcp.schedule.replay import replay

LADDER = {"a": "", "b": "a", "c": "b", "d": "c", "e": "db", "f": "ea"}


def leaf(*nodes):
    return Separators(frozenset(nodes), (), frozenset(nodes))


def test_worked_example():
    """a -> b -> c -> d -> e -> f, with b read by e and a by f.

    The bag {b, e} separates {c, d} from {a, f}. b: its part gives a, run b, drop a. e: its part gives d by c and d,
    run e, drop d. Then f, which is in the second part, needs a again.
    """
    graph = Graph(tuple(Node(name, "op", tuple(reads), (Value(name, 1),), 1) for name, reads in LADDER.items()))
    tree = Separators(frozenset({1, 4}), (leaf(2, 3), leaf(0, 5)), frozenset(range(6)))
    schedule = separator_schedule(graph, tree, leaf=1)
    assert "".join(schedule.computes) == "abcdeaf"
    # b and e beside the path that is being computed: never all six.
    assert replay(graph, schedule).peak == 3
    # With large leaves everything is run in order, once.
    assert "".join(separator_schedule(graph, tree, leaf=6).computes) == "abcdef"


def test_memory_on_chains_grows_slowly():
    peaks = []
    for n in (32, 64, 128, 256):
        graph = training_chain(n)
        tree = separator_tree(graph.index.predecessors, "degree")
        peaks.append(replay(graph, separator_schedule(graph, tree, leaf=1)).peak)
    # Doubling the chain adds one more level of separators, not another half.
    assert max(b - a for a, b in pairwise(peaks)) <= 4
    assert peaks[-1] <= 32


def test_a_fixed_order_is_refused():
    graph = training_chain(4)
    with pytest.raises(NotApplicable, match="first executions"):
        Treewidth()(Problem(graph, 100, order=graph.order))
