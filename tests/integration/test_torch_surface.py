"""The public names: plans made ahead, backends, wrapped modules, the largest batch, caches and copies."""

import copy
import multiprocessing
import pickle
import warnings

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hcp.graph.errors import HcpError  # noqa: E402
from hcp.graph.instances import instance  # noqa: E402
from hcp.heuristics.eviction import Eviction  # noqa: E402
from hcp.integrations.torch import (  # noqa: E402
    CacheWarning,
    CaptureError,
    HCConfig,
    HCModule,
    TorchError,
    backend,
    capture_graph,
    checkpoint,
    max_batch,
    measure_peak,
    plan_for,
    plan_of,
)
from hcp.integrations.torch.demo.models import MLP  # noqa: E402
from hcp.planners import solve  # noqa: E402
from hcp.planning.problem import Limits  # noqa: E402
from hcp.plans.cache import _CACHES, PlanCache, key_of  # noqa: E402
from hcp.runtime import FallbackWarning  # noqa: E402
from hcp.schedule.actions import keep_everything  # noqa: E402
from hcp.schedule.replay import replay  # noqa: E402
from tests.integration.training_steps import clear, random_schedule  # noqa: E402

X = torch.randn(64, 16, generator=torch.Generator().manual_seed(2))


def mlp():
    torch.manual_seed(0)
    return MLP(16, 6, 4)


def drop(graph):
    return random_schedule(graph, 0.3, seed=2)


def gradients(model, x=X):
    clear(model)
    model(x).square().sum().backward()
    return [p.grad.clone() for p in model.parameters()]


def same(a, b):
    return all(map(torch.equal, a, b))


def test_a_plan_made_ahead_is_the_one_that_runs():
    model = mlp()
    made = plan_for(model, (X,), budget="70%", solver="eviction", quiet=True)
    assert "forward" not in vars(model)
    assert made.peak_bytes <= made.budget_bytes < made.keep_everything_bytes
    checkpoint(model, plan=made)
    assert same(gradients(model), gradients(mlp()))
    (found,) = plan_of(model)
    assert (found.schedule, found.source) == (made.schedule, "given")


def test_a_backend_plans_what_torch_compile_hands_it():
    planned = backend("70%", solver="eviction", quiet=True)
    model = mlp()
    compiled = torch.compile(model, backend=planned, fullgraph=True, dynamic=False)
    compiled(X).square().sum().backward()
    assert same([p.grad for p in model.parameters()], gradients(mlp()))
    (made,) = planned.plans
    assert made.peak_bytes <= made.budget_bytes < made.keep_everything_bytes


def test_inductor_refuses_symbolic_shapes():
    planned = backend("100%", solver="keep_all", compiler="inductor")
    compiled = torch.compile(mlp(), backend=planned, fullgraph=True, dynamic=True)
    with pytest.raises(torch._dynamo.exc.BackendCompilerFailed, match=r"symbolic shape.*dynamic=False"):
        compiled(X)


@pytest.mark.parametrize(
    "config",
    [
        HCConfig(budget="70%", planner="eviction", quiet=True),
        HCConfig(budget="70%", planner=Eviction(), quiet=True),
        HCConfig(block_size=4),
        HCConfig(block_size="sqrt"),
        HCConfig(custom_planner=drop),
    ],
    ids=["name", "planner", "blocks", "root", "function"],
)
def test_a_wrapped_module_says_what_it_runs(config):
    model = HCModule(mlp(), config)
    with pytest.raises(TorchError, match="MLP has no plan yet"):
        model.report()
    loss = model(X).square().sum()
    model.backward(loss)
    assert same([p.grad for p in model.parameters()], gradients(mlp()))
    assert model.executor.plans == [model.plan]
    assert f"{model.plan.peak_bytes:,} bytes" in model.report()
    assert "recomputes" in model.report()
    for _ in range(2):
        clear(model)
        peak = measure_peak(lambda: model(X).backward(torch.ones(64, 4)))
    # One that was planned here has seen a loss before, which takes more.
    assert peak == model.plan.peak_bytes if model.plan.source == "given" else peak <= model.plan.peak_bytes


def test_a_wrapped_module_needs_one_way_to_plan():
    with pytest.raises(TorchError, match="no budget"):
        HCConfig()
    with pytest.raises(TorchError, match="planner and block_size, which exclude each other"):
        HCConfig(budget="50%", planner="auto", block_size=4)
    model = HCModule(mlp(), HCConfig(budget="100%", planner="keep_all", quiet=True))
    with torch.no_grad():
        loss = model(X).sum()
    with pytest.raises(TorchError, match="the loss needs no gradient"):
        model.backward(loss)


def test_the_largest_batch_grows_with_a_plan():
    model = MLP(16, 8, 4)
    one, two = (replay(g, keep_everything(g)).peak for g in (capture_graph(model, (X[:n],)) for n in (8, 24)))
    found = max_batch(model, lambda n: (torch.zeros(n, 16),), one, solver="eviction", most=200)
    assert found.keep_everything == 8
    assert 8 < found.planned < 200
    assert one < two
    assert found.plan.peak_bytes <= found.budget_bytes == one
    assert str(found.planned) in str(found)
    # The batch above it was refused, or its plan would be here.
    above = capture_graph(model, (torch.zeros(found.planned + 1, 16),))
    assert above.index.least_bytes > one or replay(above, keep_everything(above)).peak > one
    with pytest.raises(TorchError, match="share of a step's own peak"):
        max_batch(model, lambda n: (torch.zeros(n, 16),), "50%")


def test_copies_and_pickles_are_planned():
    model = checkpoint(mlp(), plan=drop)
    expected = gradients(model)
    copied, pickled = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    for twin in (copied, pickled, copy.deepcopy(nn.Sequential(model))[0]):
        with pytest.raises(TorchError, match="no plan yet"):
            plan_of(twin)
        assert same(gradients(twin), expected)
        assert plan_of(twin)[0].schedule == plan_of(model)[0].schedule
        assert not any(p is q for p, q in zip(twin.parameters(), model.parameters(), strict=True))
    assert len(plan_of(model)) == 1
    with torch.no_grad():
        copied.head.weight.zero_()
    assert not same(gradients(copied), expected)
    assert same(gradients(model), expected)


def test_a_module_in_a_planned_one_cannot_be_planned_itself():
    inner = checkpoint(mlp(), "100%", solver="keep_all")
    with pytest.raises(CaptureError, match="MLP '0' in it is compiled or planned already"):
        checkpoint(nn.Sequential(inner), "50%")


def test_a_new_shape_says_so(capfd):
    model = checkpoint(mlp(), "80%", solver="eviction", cache=False, dynamic=False)
    gradients(model)
    gradients(model, X[:32])
    gradients(model, X[:32])
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("hcp: planning")]
    assert len(lines) == 2
    assert "float32[32, 16] again, as this is variant 2" in lines[1]
    carried = checkpoint(mlp(), "80%", solver="eviction", cache=False)
    for rows in (64, 32, 31):
        gradients(carried, X[:rows])
    more = [line for line in capfd.readouterr().err.splitlines() if "over to" in line]
    assert more == ["hcp: took the plan for MLP over to float32[32, 16], and does so for others without a word"]
    quiet = checkpoint(mlp(), "80%", solver="eviction", quiet=True)
    gradients(quiet)
    assert "hcp:" not in capfd.readouterr().err


class Breaks(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x):
        x = self.linear(x)
        torch._dynamo.graph_break()
        return x.relu()


def test_falling_back_warns_where_it_is_asked_for():
    model = checkpoint(Breaks(), "50%", fallback="warn")
    with pytest.warns(FallbackWarning, match=r"Breaks runs unplanned on float32\[64, 16\].*graph break"):
        out = model(X)
    assert torch.equal(out, model.linear(X).relu())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(X)
    tight = checkpoint(mlp(), 100, plan=keep_everything, fallback="warn")
    with pytest.warns(FallbackWarning, match="no schedule fits 100 bytes"):
        assert same(gradients(tight), gradients(mlp()))
    with pytest.raises(TorchError, match="'error' or 'warn'"):
        checkpoint(mlp(), "50%", fallback="silently")


def test_plans_are_found_again_in_memory_and_on_disk(tmp_path):
    def plan(**options):
        return plan_for(mlp(), (X,), budget="70%", solver=Eviction(), cache=tmp_path / "plans", quiet=True, **options)

    first = plan()
    (file,) = (tmp_path / "plans").iterdir()
    assert (first.source, plan().source) == ("planned", "memory")
    _CACHES.clear()
    again = plan()
    assert (again.source, again.schedule, again.graph.name) == (file.name, first.schedule, "MLP")
    assert plan(seed=1).source == "planned"

    for damage in ("", "{}", file.read_text()[:-100], file.read_text().replace('"budget_bytes":', '"budget_bytes":1')):
        _CACHES.clear()
        file.write_text(damage)
        with pytest.warns(CacheWarning, match="ignored, and replaced by a new plan"):
            assert plan().source == "planned"
        assert file.read_text() != damage
    other = plan_for(mlp(), (X[:48],), budget="70%", solver=Eviction(), cache=tmp_path / "other", quiet=True)
    _CACHES.clear()
    (foreign,) = (tmp_path / "other").iterdir()
    foreign.replace(file)
    with pytest.warns(CacheWarning, match="plan of another problem"):
        assert plan().peak_bytes == first.peak_bytes != other.peak_bytes


def test_a_cache_that_cannot_be_written_warns(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.warns(CacheWarning, match="not cached"):
        plan_for(mlp(), (X,), budget="70%", solver="eviction", cache=blocked, quiet=True)
    with pytest.raises(HcpError, match="cache 3 is not understood"):
        checkpoint(mlp(), "50%", cache=3)


def _write_many(folder):
    plan = solve(instance("unet:3"), "80%", "eviction")
    key = key_of(plan.problem, Limits(), "test")
    for _ in range(30):
        PlanCache(folder).keep(key, plan)
        assert PlanCache(folder).find(key, plan.problem) is not None


def test_two_processes_share_a_cache(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_many, args=(tmp_path,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 1
