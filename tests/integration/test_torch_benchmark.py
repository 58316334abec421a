"""The executed comparison on tiny models: every way runs on its own, hcp's promises hold, and every peer is judged."""

import json
import subprocess
import sys
from functools import partial

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from benchmarks import executed_torch, gpu_torch  # noqa: E402
from benchmarks.torch_peers import gpt, peers, unet  # noqa: E402
from benchmarks.torch_report import Failed, Measured, Verdict, points, rows_table, verdicts_of  # noqa: E402
from hcp.schedule.host import HostLink  # noqa: E402

SIZES = {"layers": 1, "width": 32, "heads": 2, "length": 16, "batch": 2}
# PyTorch alone, as its users set the budget.
ALONE = """
import sys
import torch
from benchmarks.torch_peers import gpt
from hcp.integrations.torch import measure_peak
torch.set_num_threads(1)
torch._functorch.config.activation_memory_budget = float(sys.argv[1])
work = gpt("cpu", **{sizes})
model = work.make()
call = torch.compile(model, backend="aot_eager_decomp_partition", fullgraph=True, dynamic=False)
def step():
    model.zero_grad(set_to_none=True)
    call(*work.batch).backward()
step()
model.zero_grad(set_to_none=True)
print(measure_peak(step))
"""


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def only(monkeypatch, *starts):
    """Leaves out the peers whose names start otherwise."""

    def some(*args, **options):
        return {name: wrap for name, wrap in peers(*args, **options).items() if name.startswith(starts)}

    monkeypatch.setattr(executed_torch, "peers", some)


@pytest.mark.usefixtures("one_thread")
def test_every_way_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(executed_torch, "BUDGETS", ("80%", "1%"))
    only(monkeypatch, "eager", "torch.utils.checkpoint, each", "aot_eager")
    # So fast a link that each plan moves something.
    options = {"floor": False, "host": HostLink(10**13, 10**13)}
    work = partial(unet, "cpu", channels=8, levels=2, size=16, batch=4)
    verdicts = executed_torch.run({"unet": work}, tmp_path, title="executed", time_limit=0.5, rounds=2, **options)
    rows = {row["method"]: row for row in json.loads((tmp_path / "executed.json").read_text())["rows"]}
    assert "no schedule fits" in rows.pop("hcp at 1%")["error"]
    assert "error" in rows.pop("hcp at 1% with host")
    assert [verdict.peer for verdict in verdicts] == ["eager", "torch.utils.checkpoint, each block", "aot_eager"]
    ours = [rows["hcp at 80%"], rows["hcp at 80% with host"]]
    assert len(rows) == len(verdicts) + len(ours)
    assert [row["peak_bytes"] for row in ours] == [row["planned_peak_bytes"] for row in ours]
    assert all(row["equal"] for row in rows.values())
    assert rows["torch.utils.checkpoint, each block"]["peak_bytes"] < rows["eager"]["peak_bytes"]
    assert (tmp_path / "executed-unet.png").stat().st_size > 10_000
    assert "hcp at 80%" in capsys.readouterr().out


@pytest.mark.usefixtures("one_thread")
def test_what_one_budget_compiles_does_not_serve_another(monkeypatch):
    monkeypatch.setattr(executed_torch, "ACTIVATION_BUDGETS", (0.5, 0.0))
    monkeypatch.setattr(executed_torch, "BUDGETS", ())
    only(monkeypatch, "activation_memory_budget")
    rows = executed_torch.measure("gpt", partial(gpt, "cpu", **SIZES), time_limit=1, rounds=1, floor=False)
    script = ALONE.replace("{sizes}", repr(SIZES))
    alone = {
        f"activation_memory_budget {budget}": int(subprocess.check_output([sys.executable, "-c", script, budget]))
        for budget in ("0.5", "0")
    }
    assert {row.method: row.peak_bytes for row in rows} == alone
    assert len(set(alone.values())) == 2


def measured(method, peak, x_eager, planned=None):
    return Measured("m", method, peak, 10 * x_eager, x_eager, planned, None, True)


def test_what_failed_is_a_row_and_no_verdict():
    failed = Failed("m", "inductor, budget 0", "its process ended with exit code -9 and no answer; run it by itself")
    rows = [measured("eager", 100, 1.0), failed, measured("hcp at 90%", 90, 1.5, 90)]
    assert verdicts_of(rows) == [Verdict("m", "eager", "hcp at 90%", 1.5, None)]
    assert "exit code -9" in rows_table(rows).to_markdown()
    assert len(points(rows)) == 2


def test_a_verdict_compares_ratios_to_eager():
    rows = [
        measured("aot_eager", 100, 1.5),
        measured("peer", 80, 2.0),
        measured("hcp at 90%", 90, 1.2, 90),
        measured("hcp at 80%", 80, 1.6, 80),
        measured("hcp at 70%", 70, 1.7, 70),
    ]
    assert verdicts_of(rows)[1] == Verdict("m", "peer", "hcp at 80%", 0.8, 0.75)


def test_a_verdict_says_why():
    assert Verdict("m", "p", "hcp", 0.9, 1.2).holds
    assert "no plan" in Verdict("m", "p", None, None, 1.2).cause
    assert "capture itself" in Verdict("m", "p", "hcp", 1.1, 1.2).cause
    assert "recomputation" in Verdict("m", "p", "hcp", 1.3, 1.1).cause
    assert "recomputation" in Verdict("m", "p", "hcp", 1.3, None).cause


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
