"""The executed comparison on a tiny model: every way runs, hcp's promises hold, and every peer gets a verdict."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from benchmarks import executed_torch, gpu_torch  # noqa: E402
from benchmarks.torch_peers import Work, unet  # noqa: E402
from benchmarks.torch_report import Verdict  # noqa: E402
from hcp.schedule.host import HostLink  # noqa: E402


def test_every_way_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(executed_torch, "BUDGETS", ("80%",))
    monkeypatch.setattr(executed_torch, "ACTIVATION_BUDGETS", (0.5,))
    work = unet("cpu", channels=8, levels=2, size=16, batch=4)
    assert isinstance(work, Work)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    options = {"floor": False, "host": True}
    # So fast a link that each plan moves something.
    monkeypatch.setattr(executed_torch, "host_link", lambda *_: HostLink(10**13, 10**13))
    try:
        verdicts = executed_torch.run({"unet": work}, tmp_path, title="executed", time_limit=0.5, rounds=2, **options)
    finally:
        torch.set_num_threads(threads)
    rows = json.loads((tmp_path / "executed.json").read_text())["rows"]
    ours = [row for row in rows if row["method"].startswith("hcp")]
    assert [row["peak_bytes"] for row in ours] == [row["planned_peak_bytes"] for row in ours]
    assert all(row["equal"] for row in ours)
    assert ours
    peers = [row["method"] for row in rows if row not in ours]
    assert [verdict.peer for verdict in verdicts] == peers
    assert "activation_memory_budget 0.5" in peers
    assert next(row["peak_bytes"] for row in rows if "each block" in row["method"]) < rows[0]["peak_bytes"]
    assert (tmp_path / "executed-unet.png").stat().st_size > 10_000
    assert "hcp at 80% with host" in [row["method"] for row in ours]
    assert "hcp at 80%" in capsys.readouterr().out


def test_a_verdict_says_why():
    assert Verdict("m", "p", "hcp", 0.9, 1.2).holds
    assert "no plan" in Verdict("m", "p", None, None, 1.2).cause
    assert "capture itself" in Verdict("m", "p", "hcp", 1.1, 1.2).cause
    assert "recomputation" in Verdict("m", "p", "hcp", 1.3, 1.1).cause


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["gpu_torch"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_torch.main() == 1
    assert "no GPU" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["executed_torch", "gpu_torch"])
def test_the_command_line_lists_its_models(monkeypatch, capsys, module):
    monkeypatch.setattr("sys.argv", [module, "--model", "alexnet"])
    with pytest.raises(SystemExit) as caught:
        {"executed_torch": executed_torch, "gpu_torch": gpu_torch}[module].main()
    assert caught.value.code == 2
    assert "choose from" in capsys.readouterr().err
