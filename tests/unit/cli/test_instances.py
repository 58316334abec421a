"""``hcp instances``, and ``instances:NAME`` wherever a graph is asked for."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

import hcp
from hcp import instances
from hcp.cli import app

NAME = "unet-8d-s1"
FOUND = instances.load(NAME)


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


def test_check_compares_the_index_with_the_files(tmp_path, monkeypatch):
    monkeypatch.setenv("HCP_INSTANCES", str(tmp_path))
    instances.save(dataclasses.replace(FOUND, best=()))
    assert f"{NAME}: no plans yet" in run("instances", "check").output
    instances.save(FOUND)
    index = tmp_path / "index.json"
    index.write_text(index.read_text().replace('"nodes": 98', '"nodes": 7'))
    instances.library._summaries.cache_clear()
    assert "the index says something else" in run("instances", "check", code=1).output
    index.write_text('{"schema": "hcp-instances/1", "instances": []}')
    instances.library._summaries.cache_clear()
    output = run("instances", "check", code=1).output
    assert f"does not name {NAME}.json.xz" in output
    assert "names no instance" in output


def test_names_that_are_too_long_for_files():
    for text in (f"instances:{'a' * 300}", f"unet:{'4' * 5000}", "a" * 5000):
        assert run("analyze", text, code=1).exception.args


def test_what_is_read_is_not_written_over(tmp_path):
    plan = tmp_path / "plan.json"
    run("instances", "get", NAME, "-b", "50%", "--out", plan)
    before = plan.read_bytes()
    for words in (
        ("show", plan, "--html", plan),
        ("show", plan, "--trace", tmp_path / "a", "--snapshot", tmp_path / "a"),
        ("grade", f"instances:{NAME}", plan, "--out", plan),
    ):
        assert "give each a file of its own" in str(run(*words, code=1).exception)
    assert plan.read_bytes() == before
