"""Plans inside programs that Inductor compiles: the same numbers as without them, within the budget as measured."""

import copy
import json
import os
import pickle
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

import torch.distributed as dist  # noqa: E402
from torch import multiprocessing, nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

import hcp  # noqa: E402
from hcp.graph.errors import HcpError  # noqa: E402
from hcp.integrations.torch import (  # noqa: E402
    HCConfig,
    HCModule,
    TorchError,
    checkpoint,
    measure_peak,
    plan_for,
    plan_of,
)
from tests.effort import slow, some  # noqa: E402

# Compiling takes seconds, so that models have a kernel or two, and what is compiled is shared.
ROWS, WIDTH = 128, 16
OPTIONS = {"compiler": "inductor", "solver": "eviction", "time_limit": 10.0, "quiet": True}
# Six sevenths of what a step of `Layers` takes.
BUDGET = 77_000


class Layers(nn.Module):
    """The same layer several times, so that few kernels are compiled."""

    def __init__(self, layers=8):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(layers))

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x


class Everything(nn.Module):
    """Dropout, batch norm, a buffer that is written, and the loss inside."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.norm = nn.BatchNorm1d(WIDTH)
        self.register_buffer("mean", torch.zeros(WIDTH))

    def forward(self, x):
        x = x - self.mean
        for layer in self.layers:
            x = x + functional.dropout(torch.tanh(layer(x)), 0.2, self.training)
        with torch.no_grad():
            self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return self.norm(x).square().mean()


def make(model=Layers):
    torch.manual_seed(0)
    return model()


def inputs(rows=ROWS, dtype=torch.float32):
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(7)).to(dtype)


def train(module, call, x, steps=3):
    """Losses and gradients of some steps, the buffers after them, and the random state."""
    torch.manual_seed(1)
    found = []
    for _ in range(steps):
        module.zero_grad(set_to_none=True)
        loss = call(x)
        loss = loss if loss.dim() == 0 else (loss * loss).mean()
        loss.backward()
        found += [loss.detach(), *(p.grad for p in module.parameters())]
        with torch.no_grad():
            for p in module.parameters():
                p.sub_(p.grad, alpha=0.05)
    return [*found, *(buffer.clone() for buffer in module.buffers())], torch.get_rng_state()


def peak_of(module, x):
    """What a step takes, with its results held to its end."""

    def run():
        out = module(x)
        starts = torch.ones_like(out)
        return out, torch.autograd.grad(out, list(module.parameters()), starts)

    run()
    return measure_peak(run)


@pytest.fixture(scope="module", autouse=True)
def _short():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        # How near it comes to a budget is tested elsewhere.
        patch.setattr("hcp.integrations.torch.inductor.fitting.ATTEMPTS", 3)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def planned():
    """A planned module that was called once."""
    module = checkpoint(make(), BUDGET, **OPTIONS)
    module(inputs()).sum().backward()
    return module


def gradients(module, x=None):
    module.zero_grad(set_to_none=True)
    module(inputs() if x is None else x).square().sum().backward()
    return [p.grad for p in module.parameters()]


def assert_close(found, expected, tolerance=1e-5):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * float(other.abs().max()))


@pytest.mark.parametrize(("dtype", "tolerance"), some([(torch.float32, 1e-5), (torch.float64, 1e-12)], 1))
def test_training_is_that_of_inductor(dtype, tolerance):
    """Dropout, batch norm's statistics and buffers over several steps, with something recomputed."""
    x = inputs(dtype=dtype)
    plain, module = make(Everything).to(dtype), make(Everything).to(dtype)
    expected, state = train(plain, torch.compile(plain, fullgraph=True, dynamic=False), x)
    whole = peak_of(torch.compile(plain, fullgraph=True, dynamic=False), x)
    found, same = train(checkpoint(module, "85%", **OPTIONS), module, x)
    assert torch.equal(state, same)
    assert_close(found, expected, tolerance)
    (plan,) = plan_of(module)
    assert plan.plan.cost > plan.graph.base_cost
    # Percentages are of what Inductor's own program takes.
    assert plan.budget_bytes == whole * 85 // 100
    assert plan.measured_bytes <= plan.budget_bytes
    assert peak_of(module, x) == plan.measured_bytes


def test_the_loss_may_be_outside(planned):
    assert_close(gradients(planned), gradients(make()))
    (plan,) = plan_of(planned)
    assert plan.inputs == f"float32[{ROWS}, {WIDTH}]"
    assert (plan.source, plan.budget_bytes) == ("planned", BUDGET)
    assert plan.measured_bytes == peak_of(planned, inputs()) <= BUDGET
    assert f"peak measured {plan.measured_bytes:,} bytes" in plan.report()


def test_calls_without_gradients_are_not_planned(planned):
    count = len(plan_of(planned))
    planned.eval()
    with torch.no_grad():
        torch.testing.assert_close(planned(inputs()), make()(inputs()))
    planned.train()
    assert len(plan_of(planned)) == count


def test_copies_take_the_plan(planned):
    for copied in (copy.deepcopy(planned), pickle.loads(pickle.dumps(planned))):
        assert_close(gradients(copied), gradients(make()))
        (plan,) = plan_of(copied)
        assert plan.source.startswith("compiled-")
        assert plan.measured_bytes == plan_of(planned)[0].measured_bytes
        assert plan.plan.schedule == plan_of(planned)[0].plan.schedule


def test_a_plan_of_an_earlier_call_can_be_given(planned):
    (plan,) = plan_of(planned)
    module = checkpoint(make(), plan=plan, **OPTIONS)
    assert_close(gradients(module), gradients(make()))
    assert [(p.source, p.measured_bytes) for p in plan_of(module)] == [("given", plan.measured_bytes)]
    ahead = plan_for(make(), (inputs(),), budget=BUDGET, **OPTIONS)
    assert (ahead.plan.schedule, ahead.measured_bytes) == (plan.plan.schedule, plan.measured_bytes)


def test_a_module_with_its_configuration(planned):
    module = HCModule(
        make(), HCConfig(budget=BUDGET, planner="eviction", compiler="inductor", time_limit=2, quiet=True)
    )
    assert_close(gradients(module), gradients(make()))
    assert module.plan.measured_bytes == plan_of(planned)[0].measured_bytes


def test_as_a_backend_with_a_mode_or_options(planned):
    for options in ({"mode": "max-autotune-no-cudagraphs"}, {"options": {"epilogue_fusion": False}}):
        backend = hcp.integrations.torch.backend(BUDGET, **OPTIONS)
        module = make()
        compiled = torch.compile(module, backend=backend, fullgraph=True, dynamic=False, **options)
        assert_close(gradients(compiled), gradients(make()))
        (plan,) = backend.plans
        assert plan.measured_bytes <= BUDGET


def test_budgets_of_one_class_compile_apart(planned):
    loose = checkpoint(make(), 10 * BUDGET, **OPTIONS)
    assert_close(gradients(loose), gradients(make()))
    (kept,), (plan,) = plan_of(loose), plan_of(planned)
    assert kept.plan.cost == kept.graph.base_cost < plan.plan.cost
    assert peak_of(loose, inputs()) == kept.measured_bytes > plan.measured_bytes == peak_of(planned, inputs())


def test_another_shape_is_planned_again(planned):
    module = copy.deepcopy(planned)
    x = inputs(ROWS // 2)
    assert_close(gradients(module), gradients(make()))
    assert_close(gradients(module, x), gradients(make(), x))
    first, second = plan_of(module)
    assert second.inputs == f"float32[{ROWS // 2}, {WIDTH}]"
    assert second.measured_bytes < first.measured_bytes


@pytest.mark.parametrize("fallback", ["error", "warn"])
def test_a_budget_that_is_too_small(planned, fallback):
    module = checkpoint(make(), 20_000, fallback=fallback, **OPTIONS)
    message = r"20,?000 bytes.*(smallest budget known to work is|smallest took) [\d,]+ bytes"
    if fallback == "error":
        with pytest.raises(HcpError, match=message):
            module(inputs())
        return
    with pytest.warns(hcp.runtime.FallbackWarning, match=message):
        assert_close(gradients(module), gradients(make()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compiler": "inductor", "mode": "slow"}, "does not take mode 'slow'"),
        ({"compiler": "inductor", "options": {"wrong": 1}}, "Unexpected optimization option wrong"),
        ({"compiler": "inductor", "host": "1GiB/s"}, "move no values to the host"),
        ({"mode": "max-autotune"}, "mode and options are Inductor's"),
        ({"compiler": "gcc"}, "give 'aot_eager' or 'inductor'"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(TorchError, match=message):
        checkpoint(make(), BUDGET, quiet=True, **options)(inputs())


def test_a_mode_is_for_inductor_alone():
    compiled = torch.compile(make(), backend=hcp.integrations.torch.backend(BUDGET), mode="max-autotune")
    with pytest.raises(Exception, match="was given mode, which"):
        compiled(inputs())


START = """
import json, sys
import torch
from hcp.integrations.torch import checkpoint, plan_of
from hcp.integrations.torch.inductor import step
from tests.integration.test_torch_inductor import OPTIONS, BUDGET, Layers, gradients, inputs, make

torch.set_num_threads(1)
asked = []
for name in ("emit", "lower_fused", "step_peak"):
    real = getattr(step, name)
    setattr(step, name, lambda *args, name=name, real=real: (asked.append(name), real(*args))[1])
module = checkpoint(make(lambda: Layers(2)), 10 * BUDGET, **OPTIONS)
found = [float(gradient.double().sum()) for gradient in gradients(module)]
(plan,) = plan_of(module)
print(json.dumps([asked, plan.source, plan.measured_bytes, found]))
"""


@slow
def test_a_second_start_takes_plan_and_program_from_the_caches(tmp_path):
    folders = {"HCP_CACHE": str(tmp_path / "plans"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "kernels")}

    def start():
        run = subprocess.run(
            [sys.executable, "-c", START], env={**os.environ, **folders}, capture_output=True, text=True, check=True
        )
        return json.loads(run.stdout.splitlines()[-1])

    asked, source, measured, found = start()
    assert (source, set(asked)) == ("planned", {"emit", "lower_fused", "step_peak"})
    again, source, same, equal = start()
    assert again == []
    assert source.startswith("compiled-")
    assert (same, equal) == (measured, found)


def work(rank, folder):
    from hcp.integrations.torch.inductor import step

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    x = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(rank))
    module, plain = make(), make()
    asked, run = [], step.Fitting.run
    step.Fitting.run = lambda self: asked.append(rank) or run(self)
    checkpoint(module, 10 * BUDGET, cache=False, **OPTIONS)
    found = gradients(DistributedDataParallel(module), x)
    expected = gradients(DistributedDataParallel(plain), x)
    assert_close(found, expected)
    plans = [None, None]
    (plan,) = plan_of(module)
    dist.all_gather_object(plans, (plan.plan.schedule.computes, plan.measured_bytes))
    assert plans[0] == plans[1]
    dist.all_gather_object(plans, len(asked))
    assert sorted(plans) == [0, 1], "whoever asks first plans for all"
    dist.destroy_process_group()


@slow
@pytest.mark.skipif(not dist.is_gloo_available(), reason="needs gloo")
def test_one_process_plans_for_all(tmp_path):
    multiprocessing.spawn(work, args=(str(tmp_path),), nprocs=2)
