"""Minimal memory for a cost, against exhaustive search over schedules and budgets."""

import json
import random
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp.graph.errors import HcpError
from hcp.graph.instances import instance, random_graph, training_chain, unet
from hcp.least_peak import minimize_peak
from hcp.planning.plan import Plan
from hcp.planning.problem import InfeasibleBudget
from tests.effort import examples, slow
from tests.strategies import graphs, seeded_graphs
from theory_checks.checkers import standalone

tool = standalone()


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


@settings(max_examples=examples(15, 6), deadline=None)
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


@settings(max_examples=examples(15, 6), deadline=None)
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
    assert (data["peak"], data["bound_scope"], data["graph"]) == (31, "order-free, cost <= 90", "training-chain-30")
    assert (data["status"], data["optimality"]) == ("OPTIMAL", "certified")


def both_checkers(found, folder):
    """What they say of the bound on the peak in the plan's file."""
    file = folder / "plan.json"
    hcp.save_plan(found.plan, file)
    theirs, mine = hcp.check_plan(file).checks, tool.check_file(file)
    start = f"peak at least {found.bound} ({found.proof.scope}"
    return [{check.verdict.value for check in theirs if check.claim.startswith(start)}, {
        check.verdict for check in mine if check.claim.startswith(start)
    }]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "overhead", "peak"),
    [("training-chain:10", 0.2, 6), pytest.param("transformer:1", 0.02, 1_163_776, marks=slow)],
)
def test_the_least_peak_is_certified(text, overhead, peak, tmp_path):
    found = minimize_peak(instance(text), overhead, time_limit=60)
    assert (found.peak, found.bound, found.optimality) == (peak, peak, "certified")
    assert both_checkers(found, tmp_path) == [{"PASS"}, {"PASS"}]


def test_bounds_hold_and_are_certified_on_random_graphs(tmp_path):
    tight = 0
    for seed in range(examples(10, 5)):
        graph = random_graph(4 + seed % 5, seed, edge_probability=0.5)
        if seed % 2:
            luck = random.Random(seed)
            graph = replace(graph, nodes=tuple(replace(n, recomputable=luck.random() < 0.5) for n in graph.nodes))
        found = minimize_peak(graph, (0.0, 0.2, 1.0)[seed % 3], "eviction", time_limit=2)
        least = least_peak_for(graph, found.cost_limit)
        assert found.bound <= least <= found.peak
        assert found.verified
        assert both_checkers(found, tmp_path) == [{"PASS"}, {"PASS"}]
        tight += found.bound == least
    assert tight > 0.7 * examples(10, 5)


def test_a_larger_claim_is_refused_by_both_checkers(tmp_path):
    found = minimize_peak(training_chain(12), 0.2, "lower_sets", time_limit=4)
    file = tmp_path / "plan.json"
    hcp.save_plan(found.plan, file)
    whole = json.loads(file.read_text())
    bound = next(bound for bound in whole["bounds"] if bound["of"] == "peak")
    assert bound["certificate"]["kind"] == "cost-limit/1"

    def verdicts(**changes):
        data = deepcopy(whole)
        entry = next(bound for bound in data["bounds"] if bound["of"] == "peak")
        entry |= {key: change for key, change in changes.items() if key in entry}
        entry["certificate"] |= {key: change for key, change in changes.items() if key in entry["certificate"]}
        file.write_text(json.dumps(data))
        mine = [check.verdict for check in tool.check_file(file)]
        return hcp.check_plan(file).passed, "FAIL" not in mine

    dearer = bound["certificate"]["cost_limit"] * 2
    assert verdicts() == (True, True)
    # More memory than the proof is about, and more cost than it excludes.
    assert verdicts(budget_bytes=bound["value"], value=bound["value"] + 1) == (False, False)
    assert verdicts(cost_limit=dearer, scope=f"order-free, cost <= {dearer}") == (False, False)
    assert verdicts(scope="order-free") == (False, False)
    assert verdicts(proof=bound["certificate"]) == (False, False)
    assert verdicts(proof={"kind": "floor/1"}) == (False, False)
    # The schedule itself is cheap enough and has a smaller peak, whoever says it.
    assert verdicts(value=found.peak + 1, certificate=bound["certificate"]) == (False, False)


def test_an_infeasible_budget_has_its_proof():
    graph = training_chain(6)
    graph = replace(graph, nodes=tuple(replace(node, recomputable=False) for node in graph.nodes))
    for budget, kind in ((3, "floor/1"), (6, "conflicts/2")):
        with pytest.raises(InfeasibleBudget, match="no schedule fits") as caught:
            hcp.solve(graph, budget, "proof")
        assert caught.value.bound.certificate.to_dict(graph)["kind"] == kind
        assert caught.value.bound.certificate.proven(graph, budget) == caught.value.bound.value > budget


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
