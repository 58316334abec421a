"""Plan files are judged again when they are read."""

import json

import pytest

import hcp
from hcp.graph.errors import HcpError
from hcp.graph.instances import training_chain
from hcp.plans.file import PlanFileError, load_plan, save_plan
from theory_checks.checkers import standalone


@pytest.fixture
def file(tmp_path):
    save_plan(hcp.solve(training_chain(5), 5, "exhaustive"), tmp_path / "p.json")
    return tmp_path / "p.json"


def test_round_trip(file):
    plan = load_plan(file)
    again = file.with_name("again.json")
    save_plan(plan, again)
    assert json.loads(again.read_text()) == json.loads(file.read_text())
    assert (plan.cost, plan.peak, plan.gap, plan.status.name) == (16, 5, 0.0, "OPTIMAL")
    assert plan.graph == training_chain(5)


def test_where_nodes_come_from_changes_no_claim(file):
    data = json.loads(file.read_text())
    for place, node in enumerate(data["graph"]["nodes"]):
        node["source"] = f"layers.{place}: model.py:7"
    told = file.with_name("told.json")
    told.write_text(json.dumps(data))
    assert load_plan(told).graph.nodes[2].source == "layers.2: model.py:7"
    assert load_plan(told).graph.fingerprint == load_plan(file).graph.fingerprint
    assert standalone().main([str(told)]) == standalone().main([str(file)]) == 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.update(schema="x"), "schema 'x'"),
        (lambda d: d.update(cost=15), "claims cost 15, but replay gives 16"),
        (lambda d: d.update(peak=4), "claims peak 4"),
        (lambda d: d.update(budget_bytes=4), "breaks its budget of 4"),
        (lambda d: d["graph"]["nodes"][0].update(cost=9), "does not match its graph_hash"),
        (lambda d: d["graph"].pop("nodes"), "no attribute 'nodes'"),
        (lambda d: d["actions"].pop(0), "is not live"),
        (lambda d: d["actions"].append(["drop", "x"]), "expected \\['compute', node\\]"),
        (lambda d: d["actions"].append(["fetch", "v0"]), "there is no host link"),
        (lambda d: d["actions"].append(3), "has content 3"),
        (lambda d: d.update(actions=None), "expected a list"),
        (lambda d: d["bounds"][0].update(of="time"), "'time'"),
        (lambda d: d["bounds"][0].update(value="many"), "'many'"),
        (lambda d: d.update(status="BEST"), "'BEST'"),
        (lambda d: d.update(solver=3), "solver 3"),
        (lambda d: d["graph"].pop("order"), "no attribute 'order'"),
    ],
)
def test_changed_files_are_refused(file, change, text):
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
    with pytest.raises(PlanFileError, match=text) as caught:
        load_plan(file)
    assert "p.json" in str(caught.value)


def test_a_plan_without_schedule_cannot_be_saved(tmp_path):
    plan = hcp.solve(training_chain(5), 5, "keep_all")
    with pytest.raises(HcpError, match="no plan to save"):
        save_plan(plan, tmp_path / "p.json")
    assert list(tmp_path.iterdir()) == []
