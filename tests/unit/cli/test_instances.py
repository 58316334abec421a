"""``hcp instances``, and ``instances:NAME`` wherever a graph is asked for."""

import json

import pytest
from typer.testing import CliRunner

import hcp
from hcp import instances
from hcp.cli import app

NAME = "unet-8d-s1"


def run(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def test_list_as_text_and_json():
    assert NAME in run("instances", "list", "--family", "unet").output
    rows = json.loads(run("instances", "list", "--json").output)["instances"]
    assert [row["name"] for row in rows] == list(instances.names())
    assert all(best["bound"] <= best["cost"] for row in rows for best in row["best"])
    error = run("instances", "list", "--family", "lama", code=1).exception
    assert "families are" in str(error)


def test_show_says_where_it_comes_from():
    text = run("instances", "show", NAME).output
    assert "hcp.graph.instances.unet(8, seed=1)" in text
    assert "optimal" in text
    assert json.loads(run("instances", "show", NAME, "--json").output)["provenance"]["licence"] == "Apache-2.0"


def test_get_writes_the_graph_and_the_plan(tmp_path):
    run("instances", "get", NAME, "--out", tmp_path / "graph.json")
    graph = hcp.load_graph(tmp_path / "graph.json")
    assert graph.fingerprint == instances.load(NAME).graph.fingerprint
    run("instances", "get", NAME, "-b", "50%", "--out", tmp_path / "plan.json")
    assert hcp.verify_plan(tmp_path / "plan.json").cost == instances.load(NAME).best_at("50%").plan.cost


def test_graphs_by_name():
    shown = json.loads(run("solve", f"instances:{NAME}", "-b", "90%", "-s", "sqrt_n", "--json").output)
    assert shown["graph"] == NAME
    assert "is no ONNX model" in str(run("analyze", f"instances:{NAME}", "--input-shape", "x:1", code=1).exception)


def test_submit_takes_what_is_better(tmp_path, monkeypatch):
    graph = instances.load(NAME)
    monkeypatch.setenv("HCP_INSTANCES", str(tmp_path))
    instances.save(instances.Instance(NAME, graph.graph, "unet", "generated", True, "a U-Net", {}))
    plan = tmp_path / "plan.json"
    hcp.save_plan(hcp.solve(graph.graph, "80%", "sqrt_n"), plan)
    assert "at 80%: cost" in run("instances", "submit", NAME, plan, "--by", "me", "-b", "80%").output
    run("instances", "submit", NAME, plan, "--by", "me", code=1)
    assert "PASS" in run("instances", "check", NAME).output
    assert "--by is empty" in str(run("instances", "submit", NAME, plan, "--by", " ", code=1).exception)


@pytest.mark.parametrize("command", ["show", "get"])
def test_unknown_names(command, tmp_path):
    more = ("--out", tmp_path / "x.json") if command == "get" else ()
    assert "no instance 'nothing'" in str(run("instances", command, "nothing", *more, code=1).exception)
