"""The demo at a small size: it keeps its promise and writes what it says."""

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from hcp.integrations.torch.demo import SOLVERS, Settings, run

SMALL = Settings(
    layers=2, width=32, heads=2, length=16, batch=4, vocabulary=64, planning_seconds=1, curve_seconds=0.2, rounds=1
)


def test_the_demo_keeps_its_promise(tmp_path, capsys):
    result = run(tmp_path / "results", quiet=True, settings=SMALL)

    found = json.loads((tmp_path / "results" / "demo.json").read_text())
    assert found == json.loads(json.dumps(result.to_dict()))
    assert found["measured_peak_bytes"] == found["planned_peak_bytes"] <= found["budget_bytes"]
    assert found["tight"]["measured_peak_bytes"] == found["tight"]["planned_peak_bytes"]
    assert found["tight"]["measured_peak_bytes"] <= found["checkpoint_a_block"]["peak_bytes"]
    assert found["gradients_equal"]
    assert found["everything_equal"]
    assert found["gap_scope"] == "order-free"
    assert found["eager_peak_bytes"] > found["budget_bytes"]
    assert found["overhead_planned"] >= 0
    assert found["step_ratio_to_eager"] > 0
    assert [row["solver"] for row in found["rows"]] == list(SOLVERS)
    text = capsys.readouterr().out
    assert "equal to the byte" in text
    assert "equal to the byte" in (tmp_path / "results" / "demo.md").read_text()
    assert (tmp_path / "results" / "demo.png").stat().st_size > 10_000
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["demo.json", "demo.md", "demo.png"]
