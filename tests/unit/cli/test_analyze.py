"""``hcp analyze`` and the pictures of ``hcp show``."""

import json

from hcp.graph.instances import training_chain
from hcp.planners import solve
from hcp.plans.file import save_plan


def test_analyze_prints_a_table(hcp):
    code, out, err = hcp("analyze", "training-chain:30")
    assert (code, err) == (0, "")
    for text in ("height-compressible", "order: greedy live-set", "not a bound", "bound on peak: working set"):
        assert text in out


def test_analyze_prints_json_with_solved_bounds(hcp):
    code, out, err = hcp("analyze", "training-chain:6", "--budget", "70%", "--time-limit", 10, "--json")
    assert (code, err) == (0, "")
    bounds = {bound["name"]: bound for bound in json.loads(out)["bounds"]}
    assert not bounds["frontier width"]["holds"]
    assert bounds["order-free LP"]["value"] >= bounds["every node once"]["value"]
    assert bounds["fixed order"]["scope"] == "fixed-order"


def test_an_impossible_budget_is_one_line(hcp):
    code, out, err = hcp("analyze", "training-chain:6", "--budget", 2)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "no schedule fits" in err


def test_show_draws_graphs_and_plans(hcp, tmp_path):
    save_plan(solve(training_chain(12), "60%", "rotor"), tmp_path / "plan.json")
    for target in ("training-chain:12", tmp_path / "plan.json"):
        code, _, err = hcp("show", target, "--svg", tmp_path / "g.svg", "--dot", tmp_path / "g.dot")
        assert (code, err) == (0, "")
    svg = (tmp_path / "g.svg").read_text()
    assert svg.startswith("<svg")
    assert 'fill="orange"' in svg
    assert 'stroke="blue"' in svg
    assert "fillcolor=orange" in (tmp_path / "g.dot").read_text()


def test_a_graph_too_large_for_the_time_limit_is_refused_in_a_sentence(hcp):
    code, out, err = hcp("analyze", "chain:300000", "-t", "0.2")
    assert (code, out) == (2, "")
    assert "analysing chain:300000 takes longer than the time limit of 0.2 s; raise it" in err
    code, out, err = hcp("solve", "chain:300000", "-b", "50%", "-s", "keep_all", "-t", "0.2")
    assert (code, out) == (2, "")
    assert "reading chain:300000 takes longer" in err
