"""The soft regression report: what grew is named with its ratio, what did not is not, and bad input is one line."""

import json
import subprocess
from pathlib import Path

import pytest

import hcp
from benchmarks import harness
from benchmarks.regression import compare_rows, main, pairs, time_ratio
from hcp.graph.instances import instance
from hcp.report.tables import Table

ROW = {
    "graph": "unet-4",
    "budget": "50%",
    "solver": "auto",
    "status": "OPTIMAL",
    "cost": 1000,
    "peak": 4096,
    "gap": 0.0,
    "seconds": 2.0,
}


def changed(**fields):
    return [(c.kind, c.field) for c in compare_rows("b", [({**ROW, **fields}, ROW), *[(ROW, ROW)] * 4])]


def publish(folder, rows, time_limit=5, name="captured"):
    harness.publish(name, Table(("a",), (("1",),), (False,)), rows, folder, time_limit=time_limit)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, []),
        ({"cost": 1001}, []),
        ({"cost": 1002}, [("worse", "cost")]),
        ({"cost": 500, "peak": 2000, "seconds": 0.1}, []),
        ({"gap": 0.02}, [("worse", "gap")]),
        ({"gap": None}, []),
        ({"peak": 4200}, [("larger", "peak")]),
        ({"seconds": 2.9}, []),
        ({"seconds": 3.1}, [("slower", "seconds")]),
        ({"status": "FEASIBLE"}, [("worse", "status FEASIBLE")]),
        ({"status": "NO_SOLUTION"}, [("worse", "status NO_SOLUTION")]),
    ],
)
def test_what_grew_is_named(fields, found):
    assert changed(**fields) == found


def test_short_times_and_slow_machines_say_nothing():
    short = {**ROW, "seconds": 0.01}
    assert not list(compare_rows("b", [({**short, "seconds": 0.4}, short)]))
    slow = [({**ROW, "solver": str(i), "seconds": 8.0}, {**ROW, "solver": str(i)}) for i in range(5)]
    assert time_ratio(slow) == 4
    assert not list(compare_rows("b", slow))
    (change,) = compare_rows("b", [*slow, ({**ROW, "seconds": 16.0}, ROW)])
    assert (change.kind, change.ratio) == ("slower", 2.0)


def test_rows_are_matched_by_what_they_measure():
    others = [{**ROW, "solver": "lp"}, {**ROW, "budget": "30%"}]
    assert list(pairs([ROW, *others], [others[1], {**ROW, "graph": "unet-5"}])) == [(others[1], others[1])]
    ways = [{"model": "mlp", "way": way, "bytes": size} for way, size in (("plain", 2), ("scan", 1))]
    assert list(pairs(ways, ways)) == [(way, way) for way in ways]


def test_percent_columns_are_excesses():
    before = {"nodes": 10, "cost %": 5.0, "gap %": 0.0}
    assert not list(compare_rows("scaling", [({**before, "cost %": 5.05}, before)]))
    (change,) = compare_rows("scaling", [({**before, "gap %": 1.0}, before)])
    assert change.ratio == pytest.approx(1.01)


def test_the_report(tmp_path, capsys):
    publish(tmp_path / "old", [ROW])
    publish(tmp_path / "new", [ROW])
    publish(tmp_path / "new", [ROW], name="fresh")
    folders = [str(tmp_path / "new"), str(tmp_path / "old")]
    assert main([*folders, "--strict"]) == 0
    out = capsys.readouterr().out
    assert "fresh: no committed results to compare with" in out
    assert "captured: 1 of 1 rows have a committed one" in out
    assert "nothing became slower, larger or worse" in out
    publish(tmp_path / "new", [{**ROW, "cost": 1100}], time_limit=6)
    assert main(folders) == 0
    out = capsys.readouterr().out
    assert "measured with other settings" in out
    assert "1.100" in out
    assert main([*folders, "--strict"]) == 1
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), folders[1]]) == 2
    (tmp_path / "new" / "captured.json").write_text("[]")
    assert main(folders) == 2
    assert capsys.readouterr().err.count("error:") == 2


def test_results_describe_the_machine(tmp_path):
    publish(tmp_path, [ROW])
    data = json.loads((tmp_path / "captured.json").read_text())
    assert {"processor", "cores", "memory_gib", "system", "python", "packages"} <= data["machine"].keys()
    assert data["machine"]["packages"]["numpy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--profile", "huge"], "choose small, medium or large"), (["--fast"], "unknown argument '--fast'")],
)
def test_the_script_refuses_what_it_does_not_know(arguments, message):
    script = Path(harness.__file__).parent / "run_all.sh"
    done = subprocess.run([script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr


def test_committed_results_are_not_ignored_by_git():
    root = Path(harness.__file__).parents[1]
    done = subprocess.run(
        ["git", "check-ignore", "benchmarks/results/small/captured.json"], cwd=root, capture_output=True, check=False
    )
    if done.returncode == 128:
        pytest.skip("no git checkout")
    assert done.returncode == 1


def test_a_graph_that_the_folder_lacks_is_named(tmp_path):
    hcp.save_graph(instance("chain:3"), tmp_path / "small.json")
    assert [graph.name for graph in harness.graphs_in(tmp_path, ["small"])] == [instance("chain:3").name]
    with pytest.raises(hcp.HcpError, match=r"no graph 'small.json' in .*; choose from small"):
        harness.graphs_in(tmp_path, ["small.json"])
