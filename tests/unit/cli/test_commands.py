"""The command line: what it prints and writes, and one line with exit code 2 for everything wrong."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hcp.graph.builders import save_graph
from hcp.graph.instances import training_chain, unet
from hcp.plans.file import load_plan


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
    assert files["csv"].read_text().startswith("graph,budget,budget [bytes],solver,status,cost,extra cost [%]")
    assert files["markdown"].read_text().startswith("| graph")
    assert r"\toprule" in files["latex"].read_text()


def test_compare_draws(hcp, tmp_path):
    pytest.importorskip("matplotlib")
    arguments = ["compare", "unet:2", "-b", "80%", "-b", "100%", "-s", "sqrt_n", "--plot", tmp_path / "t.png"]
    assert hcp(*arguments)[0] == 0
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["t.png"]


def test_compare_writes_a_paper_ready_table_and_a_page(hcp, tmp_path):
    pytest.importorskip("matplotlib")
    files = [tmp_path / "t.tex", tmp_path / "t.html"]
    code, _out, err = hcp(
        *("compare", "unet:2", "-b", "80%", "-b", "100%", "-s", "sqrt_n", "-s", "lower_sets"),
        *("--latex", files[0], "--caption", "Costs in 100% of cases", "--label", "tab:x", "--html", files[1]),
    )
    assert (code, err) == (0, "")
    table = files[0].read_text()
    assert r"\caption{Costs in 100\% of cases}" in table
    assert r"\label{tab:x}" in table
    assert table.count(r"\textbf{") >= 2
    assert "<svg" in files[1].read_text()


def test_a_store_resumes_and_the_front_is_traced(hcp, tmp_path):
    arguments = ("compare", "unet:2", "-s", "sqrt_n", "-s", "lower_sets", "--pareto", "--store", tmp_path / "s.db")
    code, out, err = hcp(*arguments, "--json", tmp_path / "f.json")
    assert (code, err) == (0, "")
    assert hcp(*arguments)[1] == out
    front = json.loads((tmp_path / "f.json").read_text())["front"]
    peaks, costs = [point["peak"] for point in front], [point["cost"] for point in front]
    assert peaks == sorted(set(peaks))
    assert costs == sorted(set(costs), reverse=True)
    assert all(point["bound"] <= point["cost"] for point in front)
    assert len(out.splitlines()) == len(front) + 2


def test_a_config_file_and_options_that_override_it(hcp, tmp_path):
    config = tmp_path / "sweep.toml"
    config.write_text(
        'graphs = ["unet:2", "chain:9"]\nbudgets = ["100%", 4000]\nsolvers = ["sqrt_n"]\n'
        f'time_limit = 5\njson = "{tmp_path / "t.json"}"\n'
    )
    assert hcp("compare", "--config", config)[0] == 0
    rows = json.loads((tmp_path / "t.json").read_text())["rows"]
    assert {(row["graph"], row["budget"]) for row in rows} == {
        (graph, budget) for graph in ("unet-2", "chain-9") for budget in ("100%", "4000")
    }
    assert hcp("compare", "unet:3", "--config", config, "-b", "90%")[0] == 0
    rows = json.loads((tmp_path / "t.json").read_text())["rows"]
    assert [(row["graph"], row["budget"], row["solver"]) for row in rows] == [("unet-3", "90%", "sqrt_n")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graphs = [", "is not TOML"),
        ("speed = 3", "unknown key 'speed'; choose from graphs, budgets"),
        ("budgets = 3", "expected a list of texts or numbers"),
        ("budgets = [[1]]", "expected a list of texts or numbers"),
        ("time_limit = true", "expected int"),
    ],
)
def test_bad_config_files(hcp, tmp_path, text, message):
    (tmp_path / "c.toml").write_text(text)
    code, _, err = hcp("compare", "unet:2", "-b", "80%", "-s", "sqrt_n", "--config", tmp_path / "c.toml")
    assert code == 2
    assert err.count("\n") == 1
    assert message in err


def test_minimize_prints_peak_and_bound(hcp, tmp_path):
    arguments = ("minimize", "training-chain:12", "--overhead", "30%", "-s", "lower_sets", "-t", 5)
    code, out, err = hcp(*arguments, "--out", tmp_path / "p.json", "--json")
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert data["bound"] <= data["peak"] == load_plan(tmp_path / "p.json").peak
    assert data["overhead"] <= 0.3
    assert f"peak bound ({data['bound_scope']})" in hcp(*arguments)[1]


def test_minimize_takes_parameters(hcp, tmp_path):
    file = tmp_path / "params.toml"
    file.write_text("most_stages = 0\n")
    code, _, err = hcp("minimize", "training-chain:12", "-s", "cpsat", "--params", file, "-t", 5)
    assert code == 2
    assert "most_stages" in err
    file.write_text("root_share = 0.5\n")
    assert hcp("minimize", "training-chain:6", "-s", "cpsat", "--params", file, "-t", 2)[0] == 0


def test_plans_are_drawn(hcp, tmp_path):
    pytest.importorskip("matplotlib")
    assert hcp("solve", "training-chain:12", "-b", "60%", "-s", "rotor", "--out", tmp_path / "p.json")[0] == 0
    plan, picture = tmp_path / "p.json", tmp_path / "p.png"
    assert hcp("show", plan, "--plot", picture)[0] == 0
    size = picture.stat().st_size
    assert hcp("show", plan, "--plot", picture, "--figure", "memory")[0] == 0
    assert 5000 < picture.stat().st_size < size
    code, _, err = hcp("show", "unet:2", "--plot", picture)
    assert code == 2
    assert "only plans can be plotted" in err


def test_plans_are_explored_and_traced(hcp, tmp_path):
    pytest.importorskip("plotly")
    assert hcp("solve", "training-chain:12", "-b", "60%", "-s", "rotor", "--out", tmp_path / "p.json")[0] == 0
    files = {"--html": "p.html", "--trace": "p.trace.json", "--snapshot": "p.pickle"}
    options = [text for option, name in files.items() for text in (option, tmp_path / name)]
    assert hcp("show", tmp_path / "p.json", *options)[0] == 0
    peak = load_plan(tmp_path / "p.json").peak
    assert f'"peak":{peak},' in (tmp_path / "p.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "p.trace.json").read_text())["otherData"]["peak_bytes"] == peak
    assert (tmp_path / "p.pickle").stat().st_size > 1000
    (tmp_path / "r.json").write_text('{"benchmark": "executed", "rows": []}')
    for option in files:
        for target in ("unet:2", tmp_path / "r.json"):
            code, _, err = hcp("show", target, option, tmp_path / "x")
            assert code == 2
            assert f"is no plan, and {option} writes plans" in err
        code, _, err = hcp("show", tmp_path / "p.json", option, tmp_path / "none" / "x")
        assert code == 2
        assert "existing folder" in err
    assert not (tmp_path / "x").exists()


def test_measured_runs_are_shown_and_drawn(hcp, tmp_path):
    pytest.importorskip("matplotlib")
    rows = [("eager", 900, 10.0), ("hcp at 50%", 450, 12.0), ("hcp at 80%", 720, 10.5), ("blocks", 800, 13.0)]
    names = ("model", "method", "peak_bytes", "step_ms")
    data = {"benchmark": "executed", "rows": [dict(zip(names, ("gpt", *row), strict=True)) for row in rows]}
    (tmp_path / "r.json").write_text(json.dumps(data))
    code, out, err = hcp("show", tmp_path / "r.json", "--plot", tmp_path / "r.svg")
    assert (code, err) == (0, "")
    assert [line.split()[1] for line in out.splitlines() if line.endswith("*")] == ["hcp", "hcp", "eager"]
    assert "blocks" in (tmp_path / "r.svg").read_text()
    for change, message in (({"rows": []}, "no rows"), ({"rows": [{"step_ms": "x"}]}, "step_ms 'x'")):
        (tmp_path / "r.json").write_text(json.dumps(data | change))
        code, _, err = hcp("show", tmp_path / "r.json")
        assert code == 2
        assert message in err


def test_verbose_tells_the_search_and_quiet_nothing(hcp):
    arguments = ("solve", "unet:2", "-b", "80%", "-s", "anneal", "-t", 1)
    code, _out, err = hcp(*arguments, "--verbose")
    assert code == 0
    assert "anneal" in err
    assert " s | " in err
    assert hcp(*arguments, "--verbose", "--quiet")[2] == hcp(*arguments)[2] == ""


def test_no_colours_where_there_is_no_terminal(hcp):
    for arguments in (("planners",), ("show", "unet:2"), ("--help",), ("compare", "--help")):
        assert "\x1b" not in hcp(*arguments)[1]


@pytest.mark.parametrize(
    "command", ["", "solve", "minimize", "compare", "show", "verify", "analyze", "planners", "demo"]
)
def test_help_fits_a_screen_and_shows_an_example(hcp, command):
    code, out, err = hcp(*command.split(), "--help")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 110
    assert any(line.strip().startswith(f"hcp {command}".strip()) for line in lines)


@pytest.mark.parametrize("command", ["solve", "minimize", "compare", "show", "analyze", "planners"])
def test_the_examples_of_the_help_run(hcp, command, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    pytest.importorskip("plotly")
    monkeypatch.chdir(tmp_path)
    from hcp.graph.builders import save_graph as save

    save(unet(2), "graph.json")
    assert hcp("solve", "unet:2", "-b", "80%", "-s", "sqrt_n", "--out", "plan.json")[0] == 0
    (tmp_path / "sweep.toml").write_text('graphs = ["unet:2"]\nbudgets = ["80%"]\nsolvers = ["sqrt_n"]\n')
    (tmp_path / "auto.toml").write_text(hcp("planners", "auto")[1])
    lines = [line.strip() for line in hcp(command, "--help")[1].splitlines()]
    examples = [line.partition("  ")[0] for line in lines if line.startswith(f"hcp {command}")]
    assert examples
    for example in examples:
        words = example.split()[1:]
        # Quick ones of the same form; the cluster has its own tests.
        words = [{"ray": "local", "auto": "eviction", "unet:6": "unet:3"}.get(word, word) for word in words]
        limit = [] if command in ("show", "planners") else ["-t", "1"]
        code, _, err = hcp(*words, *limit)
        assert code == 0, (example, err)


def test_completion_knows_the_planners():
    script = Path(sys.executable).with_name("hcp")
    if not script.exists():
        pytest.skip("hcp is not installed as a script here")
    asked = {"_HCP_COMPLETE": "complete_bash", "COMP_WORDS": "hcp solve --solver lower", "COMP_CWORD": "3"}
    done = subprocess.run([script], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["lower_sets"]


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
        (["show", "unet:2", "--plot", "x.txt"], ["x.txt", ".pdf, .svg, .png"]),
        (["compare", "unet:2", "-b", "80%", "-s", "sqrt_n", "--plot", "x.txt"], ["x.txt", ".pdf, .svg, .png"]),
        (["compare", "unet:2", "-s", "sqrt_n"], ["no budget to compare"]),
        (["compare", "unet:2", "-b", "grid:1", "-s", "sqrt_n"], ["grid of 1", "grid:8"]),
        (["compare", "unet:2", "-b", "80%", "-s", "sqrt_n", "--engine", "spark"], ["'spark'", "local, ray"]),
        (["compare", "unet:2", "-b", "80%", "-s", "sqrt_n", "--address", "a:1"], ["takes no address"]),
        (["compare", "unet:2", "-b", "80%", "-s", "sqrt_n", "--config", "none.toml"], ["none.toml", "TOML file"]),
        (["compare", "unet:2", "-b", "80%", "-s", "sqrt_n", "--store", "."], ["'.'", "existing folder"]),
        (["minimize", "unet:2", "-o", "ten"], ["'ten'", "10%"]),
        (["minimize", "unet:2", "-o", "-5%"], ["-0.05", "zero or more"]),
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


def test_grade_prints_the_distance_to_the_bound(hcp, tmp_path):
    file, out = tmp_path / "plan.json", tmp_path / "ours.json"
    assert hcp("solve", "unet:4", "-b", "70%", "-s", "sqrt_n", "--out", file)[0] == 0
    code, text, err = hcp("grade", "unet:4", file, "-t", "10", "--out", out)
    assert (code, err) == (0, "")
    for said in ("over the bound", "of the extra cost", "over hcp's plan", "verified"):
        assert said in text
    found = json.loads(hcp("grade", "unet:4", file, "-t", "10", "--json")[1])
    assert found["over_bound"] > 0
    assert found["bound_verified"]
    assert hcp("verify", out)[0] == 0
    file.write_text('["v1"')
    code, text, err = hcp("grade", "unet:4", file)
    assert (code, text) == (2, "")
    assert "is not JSON" in err


def test_compare_puts_schedules_of_others_beside_planners(hcp, tmp_path):
    theirs = tmp_path / "theirs.json"
    assert hcp("solve", "unet:3", "-b", "80%", "-s", "sqrt_n", "--out", theirs, "-q")[0] == 0
    peak = load_plan(theirs).peak
    given = ("compare", "unet:3", "-s", "lower_sets", "--schedule")
    code, out, _ = hcp(*given, f"segments={theirs}", "--json", tmp_path / "rows.json", "-q")
    assert code == 0
    assert "segments" in out
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [(row["solver"], row["budget_bytes"], row["given"]) for row in rows] == [
        ("lower_sets", peak, False),
        ("segments", peak, True),
    ]
    assert rows[0]["best_bound"] == rows[1]["best_bound"]
    config = tmp_path / "sweep.toml"
    config.write_text(f'graphs = ["unet:3"]\nsolvers = ["lower_sets"]\nschedules = ["segments={theirs}"]\n')
    again = hcp("compare", "--config", config, "-q")[1]
    # But for the times.
    assert re.sub(r"\d+\.\d\d s", "", again) == re.sub(r"\d+\.\d\d s", "", out)
    for text in (str(theirs), "=x.json", "segments="):
        code, _, err = hcp(*given, text)
        assert code == 2
        assert f"--schedule got {text!r}; give each a name of its own and a file" in err
    code, _, err = hcp(*given, f"a={theirs}", "--schedule", f"a={theirs}")
    assert code == 2
    assert "a second time" in err
    code, _, err = hcp(*given, f"a={tmp_path / 'nowhere.json'}")
    assert code == 2
    assert "nowhere.json" in err
