"""Minimal memory for a cost, against exhaustive search over schedules and budgets."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp.graph.errors import HcpError
from hcp.graph.instances import training_chain, unet
from hcp.least_peak import minimize_peak
from hcp.planning.plan import Plan
from hcp.planning.problem import InfeasibleBudget
from tests.strategies import graphs, seeded_graphs


def least_peak_for(graph, limit):
    """The smallest budget whose optimum costs no more, budget by budget."""
    budget = int(graph.index.floor.max()) or 1
    while True:
        try:
            plan = hcp.solve(graph, budget, "exhaustive")
        except InfeasibleBudget:
            budget += 1
            continue
        if plan.cost <= limit:
            return plan.peak
        budget += 1


@settings(max_examples=15, deadline=None)
@given(st.one_of(graphs(), seeded_graphs()), st.sampled_from([0.0, 0.2, 1.0]))
def test_the_exact_planner_finds_the_least_peak(graph, overhead):
    found = minimize_peak(graph, overhead, "exhaustive", time_limit=120)
    limit = int(graph.base_cost * (1 + overhead))
    assert found.cost_limit == limit
    assert found.plan.cost <= limit
    least = least_peak_for(graph, limit)
    assert found.peak == least
    assert found.bound <= least
    assert found.gap >= 0


@settings(max_examples=15, deadline=None)
@given(seeded_graphs(), st.sampled_from([0.0, 0.3]))
def test_heuristics_stay_above_the_bound(graph, overhead):
    found = minimize_peak(graph, overhead, "eviction", time_limit=60)
    assert found.bound <= least_peak_for(graph, found.cost_limit) <= found.peak


def test_more_cost_takes_less_memory():
    graph = unet(3)
    peaks = [minimize_peak(graph, overhead, "lower_sets", time_limit=3).peak for overhead in (0, 0.3)]
    assert peaks[0] > peaks[1]
    assert peaks[0] <= hcp.replay(graph, hcp.keep_everything(graph)).peak


def test_a_chain_that_must_not_recompute_is_solved_and_proved():
    graph = training_chain(30)
    found = minimize_peak(graph, 0, "lp", time_limit=20)
    # lp finds no schedules: keep-everything is what there is, and the bound shows that it is the best.
    assert (found.peak, found.bound, found.gap) == (31, 31, 0.0)
    assert found.verified
    data = json.loads(json.dumps(found.to_dict()))
    assert (data["peak"], data["bound_scope"], data["graph"]) == (31, "order-free", "training-chain-30")


def test_a_request_to_stop_ends_the_search(monkeypatch):
    import hcp.least_peak as module

    solve = module.solve
    asked = []

    def counted(*arguments, **options) -> Plan:
        asked.append(arguments[2])
        return solve(*arguments, **options)

    monkeypatch.setattr(module, "solve", counted)
    assert minimize_peak(unet(2), 0.3, "sqrt_n", time_limit=30, stop=lambda: len(asked) == 2).peak > 0
    assert asked == ["keep_all", "sqrt_n"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-0.1,), "overhead -0.1 is no extra cost"),
        ((float("nan"),), "overhead nan is no extra cost"),
        ((float("inf"),), "overhead inf is no extra cost"),
        ((0.1, "gurobi"), "unknown solver 'gurobi'"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(HcpError, match=message):
        minimize_peak(training_chain(3), *arguments)
    with pytest.raises(HcpError, match="time limit 0 is not positive"):
        minimize_peak(training_chain(3), time_limit=0)
