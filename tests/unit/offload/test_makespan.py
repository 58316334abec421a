"""Plans and bounds where copies overlap the computation, against a search through all sequences of actions."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp import HostLink, Status, replay
from hcp.graph.instances import random_graph, training_chain, transformer
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.deadline import Deadline
from hcp.schedule.host import PER
from hcp.solvers.certificates.file import read_certificate
from hcp.solvers.host_bounds import host_bounds
from tests.effort import examples, some
from tests.host_oracle import cheapest_with_host, quickest_with_host
from tests.strategies import graphs
from tests.transfers import random_transfers
from tests.unit.offload.test_planner import check_plan

RATES = (PER // 4, PER, 3 * PER)


def problem(seed):
    """A graph of a few nodes, a budget near its least peak, and a link that is worth something or not."""
    luck = random.Random(seed)
    graph = random_graph(3 + seed % 2, seed, edge_probability=luck.choice((0.3, 0.6)))
    keep, floor = replay(graph, hcp.keep_everything(graph)).peak, int(graph.index.floor.max())
    link = HostLink(luck.choice(RATES), luck.choice(RATES), luck.choice((0, 1)), overlap=True)
    return graph, floor + (keep - floor) * luck.choice((0, 1, 2)) // 4, link


@pytest.mark.parametrize("seeds", some(range(0, 500, 10), 12), ids=lambda first: f"{first}-{first + 9}")
def test_bounds_below_the_optimum_and_the_optimum_below_plans(seeds):
    for seed in range(seeds, seeds + 10):
        graph, budget, link = problem(seed)
        in_turn = cheapest_with_host(graph, budget, link)
        optimum = None if in_turn is None else quickest_with_host(graph, budget, link, in_turn + 1)
        assert (optimum is None) == (in_turn is None)
        for bound in host_bounds(graph, budget, link, Deadline(60)):
            assert bound.certificate.proven(graph, budget) >= bound.value
            assert read_certificate(bound.certificate.to_dict(graph), "it", graph) == bound.certificate
            assert (optimum is None) if bound.of == "peak" else optimum is None or bound.value <= optimum
        for solver in ("exhaustive", "eviction"):
            check_plan(graph, budget, link, solver, optimum)


@settings(max_examples=examples(400), deadline=None)
@given(graphs(), st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40), st.integers(0, 3))
def test_memory_is_the_same_as_without_overlap(graph, seed, out, back, latency):
    schedule = random_transfers(graph, seed)
    links = [HostLink(out * PER // 8, back * PER // 8, latency, overlap=overlap) for overlap in (False, True)]
    in_turn, overlapping = (replay(graph, schedule, link) for link in links)
    assert in_turn.makespan == in_turn.cost == overlapping.cost >= overlapping.makespan
    assert not any(in_turn.waited.values())
    for figure in ("profile", "peak", "host_peak", "transferred"):
        assert getattr(in_turn, figure) == getattr(overlapping, figure)


def test_what_the_link_can_hide_costs_nothing():
    graph = transformer(3)
    rate = PER * sum(value.bytes for value in graph.values.values()) // graph.base_cost
    fast = hcp.solve(graph, "60%", "eviction", host=HostLink(4 * rate, 4 * rate, overlap=True))
    in_turn = hcp.solve(graph, "60%", "eviction", host=HostLink(4 * rate, 4 * rate))
    plain = hcp.solve(graph, "60%", "eviction")
    assert graph.base_cost <= fast.cost < in_turn.cost < plain.cost
    assert fast.usage.cost > fast.cost
    slow = hcp.solve(graph, "60%", "eviction", host=HostLink(1, 1, overlap=True))
    assert slow.cost == plain.cost


def test_a_plan_that_hides_its_copies_is_proved_optimal():
    graph = transformer(3)
    rate = 40 * PER * sum(value.bytes for value in graph.values.values()) // graph.base_cost
    plan = hcp.solve(graph, "70%", "auto", time_limit=20, host=HostLink(rate, rate, overlap=True))
    assert (plan.status, plan.cost, plan.gap) == (Status.OPTIMAL, graph.base_cost, 0.0)
    assert plan.usage.transferred
    assert plan.to_dict()["work"] == plan.usage.cost > plan.cost


def test_a_link_too_slow_to_hide_copies_has_a_bound_above_the_base():
    # "x" has to leave while "big" runs, and nothing else can run meanwhile.
    graph = Graph(
        (
            Node("a", outputs=(Value("x", 4),), cost=1, recomputable=False),
            Node("b", inputs=("x",), outputs=(Value("y", 1),), cost=1, recomputable=False),
            Node("big", inputs=("y",), outputs=(Value("z", 9), Value("done", 0)), cost=1),
            Node("c", inputs=("x", "done"), cost=1),
        )
    )
    link = HostLink(PER, PER // 4, overlap=True)
    plan = hcp.solve(graph, 12, "auto", time_limit=60, host=link)
    assert plan.cost == quickest_with_host(graph, 12, link)
    # Fetching alone takes 16.
    assert graph.base_cost < 16 <= plan.best_bound().value <= plan.cost
    assert plan.verified(plan.best_bound())


@pytest.mark.parametrize(("weights", "said"), [([1, 2], "expected three"), ([0, 0, 0], "sum")])
def test_damaged_certificates_are_refused(weights, said):
    graph = training_chain(4)
    link = HostLink(PER, PER, overlap=True)
    written = host_bounds(graph, 4, link, Deadline(20))[0].certificate.to_dict(graph)
    with pytest.raises(hcp.HcpError, match=said):
        read_certificate(written | {"weights": weights}, "it", graph)
    with pytest.raises(hcp.HcpError, match="not about its link"):
        read_certificate(written | {"kind": "host/1"}, "it", graph)
