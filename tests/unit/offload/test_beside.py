"""Plans and bounds where nodes run beside the computation, against a search through all sequences of actions."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp import Compute, Free, HcpError, Schedule, Status, on_engines, replay
from hcp.graph.instances import random_graph, training_chain, transformer
from hcp.graph.ir import Graph, Node, Value
from hcp.offload.earlier import earlier
from hcp.planning.problem import Problem
from hcp.schedule.host import PER, HostLink
from hcp.solvers.certificates.engines import EngineWeights, queue_bound, queue_bounds, weighted
from hcp.solvers.certificates.file import read_certificate
from hcp.solvers.proof import Proof
from tests.effort import examples, some
from tests.host_oracle import quickest_with_host
from tests.strategies import graphs


def with_engines(graph, luck, names=("network", "other")):
    """The same graph with some of its nodes beside the computation."""
    nodes = (replace(node, workspace=0, engine=luck.choice(("", "", *names))) for node in graph.nodes)
    return replace(graph, nodes=tuple(nodes))


def problem(seed):
    """A graph of a few nodes, some of them on engines, and a budget near its least peak."""
    luck = random.Random(seed)
    graph = with_engines(random_graph(3 + seed % 3, seed, edge_probability=luck.choice((0.3, 0.6))), luck)
    keep, floor = replay(graph, hcp.keep_everything(graph)).peak, int(graph.index.floor.max())
    return graph, floor + (keep - floor) * luck.choice((0, 1, 2)) // 4


@pytest.mark.parametrize("seeds", some(range(0, 500, 10), 6), ids=lambda first: f"{first}-{first + 9}")
def test_bounds_below_the_optimum_and_the_optimum_below_plans(seeds):
    for seed in range(seeds, seeds + 10):
        graph, budget = problem(seed)
        try:
            in_turn = hcp.solve(graph.serial, budget, "exhaustive").cost
            optimum = quickest_with_host(graph, budget, None, in_turn + 1)
        except hcp.InfeasibleBudget:
            optimum = None
        for solver in ("exhaustive", "proof"):
            try:
                plan = hcp.solve(graph, budget, solver, time_limit=30)
            except hcp.InfeasibleBudget:
                assert optimum is None
                continue
            assert plan.schedule is None or (optimum <= plan.cost and plan.peak <= budget)
            assert optimum is not None or solver != "exhaustive"
            for bound in plan.bounds:
                assert bound.of == "peak" or optimum is None or bound.value <= optimum
                assert plan.verified(bound) == (bound.certificate is not None)
                if bound.certificate is not None and bound.source != "every node runs once":
                    written = bound.certificate.to_dict(graph)
                    assert read_certificate(written, "it", graph) == bound.certificate


@settings(max_examples=examples(400), deadline=None)
@given(graphs(), st.integers(0, 10**6))
def test_memory_is_the_same_as_in_turn(graph, seed):
    beside = with_engines(graph, random.Random(seed))
    schedule = hcp.keep_everything(graph)
    serial, usage = replay(beside.serial, schedule), replay(beside, schedule)
    assert (usage.profile, usage.peak, usage.cost) == (serial.profile, serial.peak, serial.cost)
    assert beside.base_cost <= usage.makespan <= serial.makespan
    for engine in ("", *beside.engines):
        assert queue_bound(beside, engine) <= usage.makespan


@settings(max_examples=examples(200), deadline=None)
@given(graphs(), st.integers(0, 10**6))
def test_earlier_starts_keep_within_the_budget(graph, seed):
    beside = with_engines(graph, random.Random(seed))
    schedule = hcp.keep_everything(beside)
    before = replay(beside, schedule)
    for budget in (before.peak, 2 * before.peak):
        after = replay(beside, earlier(beside, schedule, budget))
        assert after.makespan <= before.makespan
        assert after.peak <= budget


def gathers(layers, gather=4, compute=10):
    """Weights that are gathered over the network for one matrix product each."""
    nodes, value = [], Value("x0", 1)
    nodes.append(Node("start", outputs=(value,), cost=1))
    for i in range(layers):
        whole, made = Value(f"whole{i}", 10), Value(f"x{i + 1}", 1)
        nodes += [
            Node(f"cast{i}", "cast", outputs=(Value(f"part{i}", 1),), cost=0),
            Node(f"gather{i}", "all_gather", inputs=(f"part{i}",), outputs=(whole,), cost=gather),
            Node(f"mm{i}", "mm", inputs=(value.name, whole.name), outputs=(made,), cost=compute),
        ]
        value = made
    return on_engines(Graph(tuple(nodes)), {"all_*": "network"})


def test_gathers_start_while_the_layer_before_is_computed():
    graph = gathers(8)
    schedule = hcp.keep_everything(graph)
    in_order = replay(graph, schedule)
    # Every product waits for its weights.
    assert in_order.makespan == 1 + 8 * 14
    assert in_order.waited["network"] == 8 * 4
    plan = hcp.solve(graph, in_order.peak + 12, "keep_all")
    assert plan.cost == 4 + 8 * 10
    assert (plan.status, plan.optimality) == (Status.OPTIMAL, "certified")
    assert plan.to_dict()["work"] == 1 + 8 * 14


def test_a_value_stays_until_the_network_has_read_it():
    graph = Graph(
        (
            Node("a", outputs=(Value("gradient", 5),), cost=1),
            Node("reduce", inputs=("gradient",), outputs=(Value("shard", 1, resident=True),), cost=6, engine="network"),
            Node("b", outputs=(Value("y", 5),), cost=3),
        )
    )
    freed = Schedule((Compute("a"), Compute("reduce"), Free("gradient"), Compute("b")))
    usage = replay(graph, freed)
    assert (usage.makespan, usage.waited["network"]) == (10, 6)
    assert replay(graph, earlier(graph, freed, 10)).makespan == 10
    assert replay(graph, earlier(graph, freed, 11)).makespan == 7


def test_copies_and_engines_together():
    graph = on_engines(transformer(2), {"*down*": "other"})
    rate = 8 * PER * sum(value.bytes for value in graph.values.values()) // graph.base_cost
    link = HostLink(rate, rate, overlap=True)
    plan = hcp.solve(graph, "70%", "eviction", host=link, time_limit=20)
    alone = hcp.solve(graph, "70%", "eviction", time_limit=20)
    assert plan.usage.makespan == replay(graph, plan.schedule, link).makespan
    assert plan.best_bound().value <= plan.cost <= alone.cost
    assert plan.verified(plan.best_bound())


def test_planners_by_themselves_refuse_engines():
    graph = gathers(2)
    with pytest.raises(HcpError, match=r"nodes on engine 'network'.*hcp\.solve"):
        Proof()(Problem(graph, 100))
    with pytest.raises(HcpError, match="the least peak is of graphs without"):
        hcp.minimize_peak(graph)
    # What bounds the work does not bound the time.
    plan = hcp.solve(graph.serial, 100, "proof")
    bound = next(bound for bound in plan.bounds if bound.source == "every node runs once")
    with_engines = hcp.solve(graph, 100, "keep_all")
    assert bound.value == graph.serial.base_cost > with_engines.cost


def test_patterns_name_what_runs_beside_the_computation():
    graph = training_chain(3)
    with pytest.raises(hcp.GraphError, match=r"no operation or node .* matches 'gather\*'; it has"):
        on_engines(graph, {"gather*": "network"})
    named = on_engines(graph, {graph.order[0]: "network"})
    assert [node.name for node in named.nodes if node.engine] == [graph.order[0]]
    assert named.fingerprint != graph.fingerprint == named.serial.fingerprint
    assert hcp.graph_from_dict(hcp.graph_to_dict(named)) == named
    with pytest.raises(hcp.GraphError, match=r"node 'a' on engine 'network' has a workspace of 3 bytes.*an output"):
        Node("a", engine="network", workspace=3)
    with pytest.raises(hcp.GraphError, match="has engine 3; expected a string"):
        Node("a", engine=3)


@pytest.mark.parametrize("counts", [{"": 1}, {"": 1, "network": -1}, {"": 0, "network": 0}, {"": 1, "net": 1}])
def test_weights_are_of_all_engines(counts):
    with pytest.raises(HcpError, match="weights"):
        EngineWeights.of(gathers(2), counts)


def test_weighted_costs_have_to_fit():
    graph = on_engines(Graph((Node("a", cost=2**58), Node("b", cost=1))), {"b": "network"})
    with pytest.raises(hcp.GraphError, match="too large to be counted 16 times"):
        weighted(graph, EngineWeights.of(graph, {"": 16, "network": 1}))


def test_a_graph_too_large_for_the_check_has_no_bound_of_queues(monkeypatch):
    graph = gathers(4)
    assert list(queue_bounds(graph))
    monkeypatch.setattr("hcp.planning.checks.MOST_CELLS", 8)
    assert not list(queue_bounds(graph))
    plan = hcp.solve(graph, "100%", "keep_all")
    assert plan.cost >= plan.best_bound().value == graph.base_cost
