"""Budgets below what every schedule holds at some time are refused with proof; no budget that is met ever is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp.graph.ir import Graph, Node, Value
from hcp.schedule.host import PER, HostLink
from hcp.schedule.replay import replay
from hcp.solvers.exhaustive import least_peak
from tests.effort import examples
from tests.host_oracle import cheapest_with_host
from tests.strategies import graphs, seeded_graphs
from tests.transfers import random_transfers

LINK = HostLink(PER, PER)


@settings(max_examples=examples(200), deadline=None)
@given(st.one_of(graphs(), seeded_graphs()))
def test_no_schedule_holds_less(graph):
    assert graph.index.floor.max() <= graph.index.least_bytes <= least_peak(graph)


@settings(max_examples=examples(60), deadline=None)
@given(graphs(max_nodes=4))
def test_no_schedule_holds_less_with_a_host(graph):
    assert cheapest_with_host(graph, graph.index.least_bytes - 1, LINK) is None


@settings(max_examples=examples(100), deadline=None)
@given(graphs(), st.integers(0, 10**6))
def test_what_moves_to_the_host_and_back_is_above_it(graph, seed):
    assert replay(graph, random_transfers(graph, seed), LINK).peak >= graph.index.least_bytes


def step(gradients):
    """Gradients of which none is made from another, so that no node alone holds them all."""
    made = [Node(f"back{i}", inputs=("x",), outputs=(Value(f"g{i}", 10, "gradient", True),)) for i in range(gradients)]
    return Graph((Node("forward", outputs=(Value("x", 2),), workspace=15, cost=1), *made))


@pytest.mark.parametrize("host", [None, LINK])
def test_what_stays_to_the_end_is_a_proof(host):
    with pytest.raises(hcp.InfeasibleBudget) as error:
        hcp.solve(step(4), 41, "keep_all", host=host)
    assert str(error.value) == (
        "no schedule fits 41 bytes: 4 gradients ('g0', 'g1', 'g2', ...) stay to the end and hold 40 bytes, 42 with the "
        "graph's inputs and what the last node to run needs at least; the smallest budget known to work is 42 bytes"
    )
    assert hcp.solve(step(4), 42, "keep_all", host=host).peak == 42


def test_both_proofs_are_given_where_both_hold():
    with pytest.raises(hcp.InfeasibleBudget, match=r"'forward' alone holds 17 bytes.*; 2 gradients \('g0', 'g1'\)"):
        hcp.solve(step(2), 16, "keep_all")


def test_one_node_alone_is_a_proof():
    with pytest.raises(hcp.InfeasibleBudget) as error:
        hcp.solve(step(1), 16, "keep_all")
    assert "'forward' alone holds 17 bytes" in str(error.value)
    assert "stay to the end" not in str(error.value)
