"""Frontiers against replay, orders against brute force, predictions against plans, bounds against the oracle."""

import json
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp.analysis.frontier_width import compute_frontier_width, frontier_profile, summarize_frontier
from hcp.analysis.hcp_criteria import evaluate_hcp, log2_ceiling, rise_profile
from hcp.analysis.liu import tree_order
from hcp.analysis.lower_bounds import NO_BOUND, lower_bound_report
from hcp.analysis.orders import order_peak
from hcp.analysis.repetition import find_repetition
from hcp.analysis.width_heuristics import ORDERS, best_heuristic_order, evaluate_orders
from hcp.graph.instances import INSTANCES, instance, training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.heuristics.interval_tree import IntervalTree
from hcp.planning.problem import Problem
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.exhaustive import least_peak
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs

any_graph = st.one_of(graphs(), seeded_graphs())


def topological_orders(graph):
    for order in permutations(range(graph.index.n)):
        place = {v: i for i, v in enumerate(order)}
        if all(place[u] < place[v] for v in order for u in graph.index.predecessors[v]):
            yield order


@settings(max_examples=examples(200), deadline=None)
@given(any_graph)
def test_the_frontier_is_what_replay_measures(graph):
    snapshots = frontier_profile(graph)
    usage = replay(graph, keep_everything(graph))
    assert tuple(snapshot.running for snapshot in snapshots) == usage.profile
    summary = summarize_frontier(snapshots)
    assert (summary.peak, summary.tail) == (usage.peak, usage.final)
    assert summary.peak_node == graph.order[usage.peak_step]
    assert compute_frontier_width(graph) == summary.width >= summary.average
    for snapshot in snapshots:
        assert snapshot.live_bytes == sum(graph.values[name].bytes for name in snapshot.live)


@settings(max_examples=examples(100), deadline=None)
@given(any_graph, st.integers(0, 3))
def test_orders_are_topological_and_judged_right(graph, seed):
    found = evaluate_orders(graph, seed)
    assert [stats.rule for stats in found][:6] == list(ORDERS)[:6]
    for stats in found:
        usage = replay(graph, keep_everything(graph, stats.order))
        assert usage.peak == stats.peak
    best = replay(graph, keep_everything(graph, best_heuristic_order(graph, seed))).peak
    assert best == min(stats.peak for stats in found)


@st.composite
def forests(draw):
    """Every node feeds one later node, or none."""
    n = draw(st.integers(1, 6))
    amounts = st.integers(0, 6)
    reads = [[] for _ in range(n)]
    for v in range(n - 1):
        parent = draw(st.integers(v + 1, n))
        if parent < n:
            reads[parent].append(f"v{v}")
    values = [Value("p", 3, "parameter")]
    nodes = [
        Node(f"n{v}", "op", (*reads[v], "p"), (Value(f"v{v}", draw(amounts)),), 1, draw(st.sampled_from((0, 0, 4))))
        for v in range(n)
    ]
    return Graph(tuple(nodes), tuple(values))


@settings(max_examples=examples(300), deadline=None)
@given(forests())
def test_tree_orders_are_optimal(graph):
    order = tree_order(graph, 0)
    assert order_peak(graph.index, order) == min(order_peak(graph.index, other) for other in topological_orders(graph))
    # A tree needs no recomputation: no schedule has a smaller peak either, where the oracle says so.
    assert least_peak(graph) <= order_peak(graph.index, order)


def test_other_graphs_are_no_trees():
    assert tree_order(training_chain(3), 0) is None
    assert [stats.rule for stats in evaluate_orders(instance("binary-tree:3")) if stats.optimal] == ["tree"]


@pytest.mark.parametrize("name", ["training-chain:20", "training-chain:250", "residual-net:40", "transformer:6"])
def test_predictions_hold_for_plans(name):
    graph = instance(name)
    rise = rise_profile(graph, graph.order)
    for blocks in (1, 2, 3, 5, 8, 16, rise.length):
        if blocks <= rise.length:
            usage = replay(graph, IntervalTree(blocks=blocks)(Problem(graph, 10**12)).schedule)
            assert usage.peak <= rise.predicted_peak(blocks)
            assert 1 + max(usage.recomputed.values(), default=0) <= 2 + log2_ceiling(blocks)


def test_chains_are_compressible_and_pyramids_are_not():
    chain = evaluate_hcp(training_chain(400))
    assert chain.compressible
    assert (chain.depth, chain.fan_out, chain.skip_length) == (800, 3, 2)
    assert chain.predicted_peak < 25 < chain.base_peak
    for name in ("pyramid:12", "random-layered:100", "binary-tree:6"):
        assert not evaluate_hcp(instance(name)).compressible


@settings(max_examples=examples(150), deadline=None)
@given(any_graph)
def test_bounds_on_the_peak_hold_against_the_oracle(graph):
    least = least_peak(graph)
    values = {bound.name: bound for bound in lower_bound_report(graph)}
    for bound in values.values():
        if bound.of == "peak" and bound.holds:
            assert bound.value <= least
    assert values["largest node"].value <= values["working set"].value <= values["run-once values"].value
    assert values["frontier width"].scope == NO_BOUND


def test_the_frontier_width_is_no_bound():
    graph = training_chain(6)
    width = next(bound for bound in lower_bound_report(graph) if bound.name == "frontier width")
    assert not width.holds
    assert least_peak(graph) < width.value


def test_what_runs_once_and_is_read_later_counts_where_it_crosses():
    once = Node("once", outputs=(Value("o", 5),), recomputable=False)
    middle = Node("middle", inputs=("o",), outputs=(Value("m", 1),))
    wide = Node("wide", inputs=("m",), outputs=(Value("w", 7),))
    last = Node("last", inputs=("w", "o"), outputs=(Value("l", 0),))
    graph = Graph((once, middle, wide, last))
    once_values = next(bound for bound in lower_bound_report(graph) if bound.name == "run-once values")
    # While wide runs: m, w, and o, which cannot come back.
    assert once_values.value == 1 + 7 + 5 == least_peak(graph)


@pytest.mark.parametrize("name", sorted(INSTANCES))
def test_reports_print_and_are_json(name):
    report = hcp.analyze_graph(instance(f"{name}:3"))
    data = json.loads(json.dumps(report.to_dict()))
    assert data["frontier"]["peak"] == report.frontier.peak
    assert "height-compressible" in str(report)
    assert dict(report.rows())["repetition"] == str(find_repetition(instance(f"{name}:3")))
    assert all(row[0] in str(report) for row in report.rows())


def test_reports_say_what_repeats():
    report = hcp.analyze_graph(instance("transformer:8"))
    assert "6 equal layers of 8 with 27 nodes in 2 sections: 73% of the nodes" in str(report)
    (stack,) = json.loads(json.dumps(report.to_dict()))["stacks"]
    assert (stack["layers"], stack["core"], stack["reach"]) == (8, [1, 7], 1)
    assert [(section["length"], section["step"]) for section in stack["sections"]] == [(12, -1), (15, 1)]
