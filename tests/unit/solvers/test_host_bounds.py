"""Bounds that hold where values can be fetched, against an exhaustive search."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import instance, random_graph, training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.deadline import Deadline, WorkClock
from hcp.schedule.actions import keep_everything
from hcp.schedule.host import PER, HostLink
from hcp.schedule.replay import replay
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.certificates.file import read_certificate
from hcp.solvers.certificates.host import RELAXED, relax
from hcp.solvers.certificates.tree import TreeCertificate
from hcp.solvers.host_bounds import host_bounds
from tests.effort import examples
from tests.host_oracle import cheapest_with_host
from tests.strategies import problems

LINKS = st.builds(
    HostLink, st.sampled_from((PER // 4, PER, 3 * PER)), st.sampled_from((PER // 4, PER, 3 * PER)), st.integers(0, 2)
)


def check(graph, budget, host, cutoff=None):
    optimum = cheapest_with_host(graph, budget, host)
    bounds = host_bounds(graph, budget, host, Deadline(60), cutoff=cutoff(optimum) if cutoff else None)
    for bound in bounds:
        assert bound.scope == ORDER_FREE
        assert bound.certificate.proven(graph, budget) >= bound.value
        if bound.of == "peak":
            assert optimum is None
        else:
            assert optimum is None or graph.base_cost <= bound.value <= optimum
        written = bound.certificate.to_dict(graph)
        assert read_certificate(written, "it", graph) == bound.certificate
    return optimum, bounds


@settings(max_examples=examples(60), deadline=None)
@given(problems(max_nodes=5), LINKS)
def test_no_schedule_costs_less(problem, host):
    check(*problem, host)


@pytest.mark.parametrize("seed", range(30))
def test_no_schedule_of_a_dense_graph_costs_less(seed):
    graph = random_graph(6, seed, edge_probability=0.6)
    keep, floor = replay(graph, keep_everything(graph)).peak, int(graph.index.floor.max())
    check(graph, (keep + floor) // 2, HostLink(PER * (1 + seed % 3), PER, seed % 2))


def test_bounds_stay_below_the_optimum_where_a_schedule_is_known():
    for seed in range(20):
        graph = random_graph(6, seed, edge_probability=0.6)
        keep, floor = replay(graph, keep_everything(graph)).peak, int(graph.index.floor.max())
        host = HostLink(PER * (1 + seed % 3), PER, seed % 2)
        check(graph, (keep + floor) // 2, host, lambda optimum: None if optimum is None else optimum + 2)


@pytest.mark.parametrize("cutoff", [None, 2200])
def test_a_tree_over_the_relaxed_graph_raises_the_bound(cutoff):
    graph = instance("residual-net:4")
    budget = replay(graph, keep_everything(graph)).peak * 7 // 10
    rate = PER * sum(value.bytes for value in graph.values.values()) // graph.base_cost
    *others, last = host_bounds(graph, budget, HostLink(rate, rate), Deadline(9, clock=WorkClock()), cutoff=cutoff)
    assert isinstance(last.certificate.proof, TreeCertificate)
    assert last.value > max(bound.value for bound in others)
    assert last.certificate.proven(graph, budget) >= last.value
    written = last.certificate.to_dict(graph)
    assert read_certificate(written, "it", graph) == last.certificate


def test_bounds_say_something():
    graph = training_chain(4)
    host = HostLink(PER, PER)
    optimum, bounds = check(graph, 4, host)
    assert optimum == graph.base_cost + 1
    assert max(bound.value for bound in bounds) == optimum
    # A slow link is of no use: the bound is that of recomputation, or below.
    optimum, bounds = check(graph, 4, HostLink(PER // 100, PER // 100))
    assert optimum == 13
    assert max(bound.value for bound in bounds) > graph.base_cost


def test_what_cannot_run_again_is_charged_its_transfer():
    graph = Graph(
        (
            Node("a", outputs=(Value("x", 4),), cost=1, recomputable=False),
            Node("b", inputs=("x",), outputs=(Value("y", 1),), cost=1, recomputable=False),
            Node("big", inputs=("y",), outputs=(Value("z", 9), Value("done", 0)), cost=1),
            Node("c", inputs=("x", "done"), cost=1),
        )
    )
    optimum, bounds = check(graph, 12, HostLink(PER, PER))
    assert optimum == graph.base_cost + 8
    assert max(bound.value for bound in bounds) == optimum


@pytest.mark.parametrize("kind", RELAXED)
def test_names_of_relaxed_graphs_do_not_clash(kind):
    x, token = Value("x", 1), Value("provide after provide x", 1)
    graph = Graph(
        (
            Node("provide x", outputs=(x,), cost=1),
            Node("provide x'", inputs=("x",), outputs=(token,), cost=1),
            Node("last", inputs=("x", token.name), cost=1),
        )
    )
    assert len(relax(graph, HostLink(PER, PER), kind).graph.nodes) == (3 if kind == "again" else 5)


def test_a_link_that_hardly_moves_does_not_overflow():
    graph = training_chain(6)
    for kind in RELAXED:
        relax(graph, HostLink(1, 1, latency=2**60), kind)
