"""The command line: what it prints and writes, and one line with exit code 2 for everything wrong."""

import json
import sys

import pytest

from hcp import cli
from hcp.graph.builders import save_graph
from hcp.graph.instances import training_chain, unet
from hcp.planfile import load_plan


@pytest.fixture
def hcp(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hcp", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return run


def test_solve_prints_one_json_object(hcp, tmp_path):
    save_graph(unet(2), tmp_path / "g.json")
    code, out, err = hcp("solve", tmp_path / "g.json", "--budget", "70%", "--solver", "sqrt_n", "--json")
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert data["graph"] == "unet-2"
    assert data["peak"] <= data["budget_bytes"]
    assert data["overhead"] == pytest.approx(data["cost"] / data["base_cost"] - 1)
    assert set(data["computes"]) == set(unet(2).order)
    assert {"nodes", "edges", "base_peak", "solver", "status", "bounds", "gap", "gap_fixed_order", "seconds"} <= set(
        data
    )


def test_solve_writes_a_plan_that_show_judges_again(hcp, tmp_path):
    code, out, err = hcp("solve", "training-chain:5", "-b", "5", "-s", "exhaustive", "--out", tmp_path / "p.json")
    assert (code, err) == (0, "")
    assert "gap (order-free)" in out
    plan = load_plan(tmp_path / "p.json")
    assert (plan.cost, plan.peak, plan.planner) == (16, 5, "exhaustive")
    code, out, _ = hcp("show", tmp_path / "p.json", "--dot", tmp_path / "p.dot")
    assert code == 0
    assert "16 units" in out
    assert "runs 2 times" in (tmp_path / "p.dot").read_text()


def test_a_plan_without_schedule_is_not_written(hcp, tmp_path):
    code, out, err = hcp("solve", "unet:3", "-b", "60%", "-s", "keep_all", "--out", tmp_path / "p.json")
    assert code == 2
    assert "no solution" in out
    assert "no plan to save" in err
    assert list(tmp_path.iterdir()) == []


def test_compare_writes_every_format(hcp, tmp_path):
    files = {name: tmp_path / f"t.{name}" for name in ("json", "csv", "markdown", "latex")}
    options = [text for name, path in files.items() for text in (f"--{name}", path)]
    code, out, err = hcp(
        "compare", "unet:2", "unet:3", "-b", "80%", "-b", "100%", "-s", "keep_all", "-s", "sqrt_n", *options
    )
    assert (code, err) == (0, "")
    assert out.count("sqrt_n") == 4
    assert len(json.loads(files["json"].read_text())["rows"]) == 8
    assert files["csv"].read_text().startswith("graph,budget,solver")
    assert files["markdown"].read_text().startswith("| graph")
    assert r"\toprule" in files["latex"].read_text()


def test_compare_draws(hcp, tmp_path):
    pytest.importorskip("matplotlib")
    arguments = ["compare", "unet:2", "-b", "80%", "-b", "100%", "-s", "sqrt_n", "--plot", tmp_path / "t.png"]
    assert hcp(*arguments)[0] == 0
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["t.png"]


def test_show_and_planners(hcp):
    code, out, _ = hcp("show", "transformer:2")
    assert code == 0
    assert "keep-everything peak" in out
    code, out, _ = hcp("planners")
    assert code == 0
    assert "chen_greedy" in out
    assert hcp("--version")[1].startswith("hcp 0.")


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["solve", "none.json", "-b", "80%"], ["none.json", "does not exist", "check the path"]),
        (["solve", ".", "-b", "80%"], ["is a directory"]),
        (["solve", "unet:x", "-b", "80%"], ["'x'", "whole number"]),
        (["solve", "unet:2", "-b", "80%", "-s", "gurobi"], ["'gurobi'", "choose one of", "cpsat"]),
        (["solve", "unet:2", "-b", "0"], ["'0'", "more than zero"]),
        (["solve", "unet:2", "-b", "12 Gib"], ["'Gib'", "GiB"]),
        (["solve", "unet:2", "-b", "130%"], ["130%", "100%"]),
        (["solve", "unet:2", "-b", "5"], ["no schedule fits 5 bytes", "smallest budget known to work"]),
        (["solve", "chain:20", "-b", "50%", "-s", "exhaustive"], ["no schedule fits"]),
        (["solve", "chain:20", "-b", "100%", "-s", "exhaustive"], ["at most 12 nodes", "use"]),
        (["solve", "unet:2", "-b", "80%", "-s", "keep_all", "--time-limit", "-1"], ["time limit -1"]),
        (["solve", "unet:2", "-b", "80%", "--out", "/nowhere/p.json"], ["/nowhere/p.json", "existing folder"]),
        (["compare", "unet:2", "-b", "80%", "-s", "gurobi"], ["'gurobi'"]),
        (["compare", "unet:2", "unet:2", "-b", "80%", "-s", "sqrt_n"], ["'unet-2' is given twice"]),
        (["compare", "unet:2", "-b", "80%", "-s", "sqrt_n", "--json", "/nowhere/x"], ["/nowhere/x"]),
        (["show", "none.json"], ["does not exist"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(hcp, arguments, texts):
    code, out, err = hcp(*arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("hcp: error: ")
    for text in texts:
        assert text in err


def test_one_byte_under_what_the_largest_node_needs(hcp):
    need = int(training_chain(4).index.floor.max())
    assert hcp("solve", "training-chain:4", "-b", need - 1, "-s", "exhaustive")[0] == 2


def test_a_truncated_file(hcp, tmp_path):
    save_graph(unet(2), tmp_path / "g.json")
    text = (tmp_path / "g.json").read_text()
    (tmp_path / "g.json").write_text(text[: len(text) // 2])
    code, _, err = hcp("solve", tmp_path / "g.json", "-b", "80%")
    assert code == 2
    assert "truncated" in err
