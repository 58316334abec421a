"""The executed comparison on tiny models: every way runs on its own, hcp's promises hold, and every peer is judged."""

import json
import subprocess
import sys
from functools import partial

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from benchmarks import executed_torch, gpu_torch  # noqa: E402
from benchmarks.torch_measure import Promise, Task, difference, measure  # noqa: E402
from benchmarks.torch_peers import PLAIN, activation_name, by_block, eager, inductor, peers, planned, way_of  # noqa: E402
from benchmarks.torch_works import MODELS, STANDIN, gpt, works  # noqa: E402
from hcp.integrations.torch import plan_of  # noqa: E402
from hcp.integrations.torch.inductor.records import identity_of_plan  # noqa: E402
from tests.effort import slow  # noqa: E402

LOW = activation_name(0.1)

SIZES = {"layers": 2, "width": 32, "heads": 2, "context": 16, "batch": 2}
# PyTorch alone, as its users set the budget.
ALONE = """
import sys
import torch
from benchmarks.torch_works import gpt
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


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@slow
def test_two_budgets_of_one_peer_compile_apart_in_one_process():
    work = gpt("cpu", **SIZES)
    peaks = {}
    for budget in ("0.5", "0"):
        wrap = partial(inductor, budget=float(budget), backend="aot_eager_decomp_partition")
        way = way_of(work, wrap)
        way.step()
        peaks[budget] = way.peak()
    script = ALONE.replace("{sizes}", repr(SIZES))
    assert peaks == {budget: int(subprocess.check_output([sys.executable, "-c", script, budget])) for budget in peaks}
    assert peaks["0.5"] != peaks["0"]


def test_checkpointed_blocks_compile_to_less_with_the_same_gradients():
    work = gpt("cpu", **SIZES)

    def compiled(work, model):
        return inductor(work, by_block(work, model), backend="aot_eager_decomp_partition")

    ways = [way_of(work, wrap) for wrap in (partial(inductor, backend="aot_eager_decomp_partition"), compiled, eager)]
    for way in ways:
        way.step()
    plain, blocks, _ = (way.peak() for way in ways)
    assert blocks < plain
    gradients = [way.outcome()[0] for way in ways]
    assert difference(gradients[1], gradients[0]) < 1e-5
    assert difference(gradients[2], gradients[0]) < 1e-5


def test_a_difference_is_relative_to_the_largest_entry():
    a, b = torch.tensor([1.0, 4.0]), torch.tensor([2.0, 4.0])
    assert difference([a, a], [a, b]) == 0.25


def test_the_profiles_have_the_same_models():
    for profile in executed_torch.PROFILES:
        assert tuple(works(profile)) == (*MODELS, STANDIN)


@pytest.mark.parametrize("model", [*MODELS, STANDIN])
def test_every_model_has_blocks_and_a_loss(model):
    work = works("tiny")[model]()
    way = way_of(work, by_block)
    way.step()
    assert len(list(work.blocks(way.model))) > 1
    assert len(way.outcome()[0]) == len(list(way.model.parameters()))


def test_a_plan_that_is_known_is_not_measured_again(tmp_path):
    task = Task(partial(gpt, "cpu", **SIZES), 1, 1, tmp_path, 1.0)
    wrap = partial(planned, budget=10**9, cache=tmp_path, compiler="aot_eager", time_limit=1.0)
    way = way_of(task.build(), wrap)
    way.step()
    (plan,) = plan_of(way.model)
    known = identity_of_plan(plan.plan)
    assert measure(task, wrap, True, frozenset({known})) == (Promise(plan.peak_bytes, 0.0, 0.0, known), None)


@pytest.fixture
def few(monkeypatch):
    """Fewer ways, since each compiles: those of hcp that do so once, and two that fail."""
    monkeypatch.setattr(executed_torch, "SHARES", (100,))
    monkeypatch.setattr(executed_torch, "AT_PEAKS", ())
    monkeypatch.setattr(executed_torch, "smallest", int)
    monkeypatch.setattr(executed_torch, "EAGER_SHARES", (100,))
    monkeypatch.setattr(executed_torch, "STARTS", (PLAIN, "hcp inductor at 100%"))
    monkeypatch.setattr(executed_torch, "START_ROUNDS", 1)

    def some():
        return {PLAIN: inductor, LOW: peers()[LOW], "eager": eager, "broken": int}

    monkeypatch.setattr(executed_torch, "peers", some)


@slow
@pytest.mark.usefixtures("few")
def test_every_way_is_measured(tmp_path, monkeypatch, capsys):
    options = ["--profile", "tiny", "--model", "gpt", "--time-limit", "1", "--rounds", "1", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["executed_torch", *options])
    executed_torch.main()

    def found(part=""):
        return json.loads((tmp_path / f"executed_torch{part}.json").read_text())["rows"]

    rows = {row["method"]: row for row in found()}
    assert "TypeError" in rows.pop("broken")["error"]
    assert "TypeError" in rows.pop("hcp inductor at its smallest")["error"]
    ours = {method for method, row in rows.items() if row.get("budget_bytes") is not None}
    assert ours == {"hcp inductor at 100%", "hcp aot_eager at 100%"}
    assert all(rows[method]["kept"] for method in ours)
    assert all(rows[method]["peak_bytes"] <= rows[method]["budget_bytes"] for method in ours)
    assert all(row["difference"] < 1e-5 and row["same_random_state"] for row in rows.values())
    # The caches that the processes share hold the programs of both apart.
    assert rows[LOW]["peak_bytes"] < rows[PLAIN]["peak_bytes"]
    assert [verdict["peer"] for verdict in found("_pareto")] == [PLAIN, LOW, "eager"]
    assert [start["method"] for start in found("_start")] == list(executed_torch.STARTS)
    assert {check["promise"]: check["holds"] for check in found("_checks")}["every program keeps its budget"]
    assert (tmp_path / "executed_torch-gpt.png").stat().st_size > 10_000
    assert "hcp inductor at 100%" in capsys.readouterr().out


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
