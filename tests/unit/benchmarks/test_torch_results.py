"""The result files of the executed PyTorch comparison grow by a model at a time."""

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from benchmarks.torch_checks import Check
from benchmarks.torch_report import Failed, Measured, Start, verdicts_of
from benchmarks.torch_results import Results

SETTINGS = {"rounds": 3, "time_limit": None}


def rows(model):
    plain = Measured(model, "activation_memory_budget at 1", 100, 10.0, 1.0, (0.9, 1.1), 0.0, True)
    return [plain, Failed(model, "hcp inductor at 30%", "no schedule fits")]


def added(folder, model, settings=SETTINGS):
    results = Results("executed", folder, settings)
    results.take_up([model])
    found = rows(model)
    starts, checks = [Start(model, "plain", 1.0, 1.0)], [Check(model, "promise", None, True, "")]
    results.add(found, verdicts_of(found), starts, checks)
    return results


def models(folder, part=""):
    return [row["model"] for row in json.loads((folder / f"executed{part}.json").read_text())["rows"]]


def test_a_later_run_adds_its_model_and_replaces_what_was_there_of_it(tmp_path, capsys):
    added(tmp_path, "a")
    added(tmp_path, "b")
    again = added(tmp_path, "a")
    assert models(tmp_path) == ["b", "b", "a", "a"]
    assert models(tmp_path, "_pareto") == models(tmp_path, "_start") == models(tmp_path, "_checks") == ["b", "a"]
    assert models(tmp_path, "_summary") == ["b", "a"]
    assert "0.0 MB, 1.00 x |" in (tmp_path / "executed_summary.md").read_text()
    assert again.parts[""][1] == rows("b")[1]
    assert (tmp_path / "executed.png").stat().st_size > 10_000
    assert "no schedule fits" in capsys.readouterr().out


def test_what_other_settings_found_is_not_kept(tmp_path):
    added(tmp_path, "a")
    added(tmp_path, "b", SETTINGS | {"rounds": 4})
    assert models(tmp_path) == ["b", "b"]


def test_without_a_folder_it_only_prints(capsys):
    added(None, "a")
    assert "activation_memory_budget at 1" in capsys.readouterr().out
