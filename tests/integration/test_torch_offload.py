"""Plans that move values to the host and back; that they keep the promise is in ``test_torch_promise.py``."""

import pytest

torch = pytest.importorskip("torch")

from hcp import HostLink  # noqa: E402
from hcp.graph.errors import HcpError  # noqa: E402
from hcp.integrations.torch import (  # noqa: E402
    ExecutionError,
    HCConfig,
    HCModule,
    backend,
    capture_graph,
    checkpoint,
    max_batch,
    measure_peak,
    plan_for,
)
from hcp.integrations.torch.calibration import host_link  # noqa: E402
from hcp.integrations.torch.host import to_device, to_host  # noqa: E402
from hcp.schedule.actions import keep_everything  # noqa: E402
from tests.integration.training_steps import STEPS, clear  # noqa: E402
from tests.transfers import random_transfers  # noqa: E402

LINK = HostLink(10**10, 10**10)


def test_solved_plans_choose_what_to_move():
    step = STEPS["mlp"]
    options = {"budget": "60%", "solver": "eviction", "quiet": True, "cache": False}
    fast = plan_for(step.model(), step.inputs, host=HostLink(10**13, 10**13), **options)
    assert fast.plan.usage.transferred > 0
    assert "moves" in fast.report()
    alone = plan_for(step.model(), step.inputs, **options)
    assert fast.overhead < alone.overhead
    # A slow link is left alone.
    slow = plan_for(step.model(), step.inputs, host="1kB/s", **options)
    assert slow.plan.usage.transferred == 0

    model = checkpoint(step.model(), plan=fast)
    found = step.trace(model)
    reference = step.trace(checkpoint(step.model(), plan=keep_everything))
    assert all(torch.equal(a, b) for a, b in zip(found, reference, strict=True))
    clear(model)
    assert measure_peak(lambda: step.run(model)) == fast.peak_bytes <= fast.budget_bytes


def test_a_retained_graph_runs_backward_twice():
    step = STEPS["mlp"]
    models = [step.model(), step.model()]
    checkpoint(models[0], plan=lambda graph: random_transfers(graph, 4, drop=0.4), host=LINK)
    for model in models:
        loss = model(*step.inputs).square().mean()
        loss.backward(retain_graph=True)
        loss.backward()
    pairs = zip(*(model.parameters() for model in models), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)


def test_plans_with_a_host_are_cached(tmp_path):
    step = STEPS["mlp"]
    options = {"budget": "80%", "solver": "eviction", "quiet": True, "cache": tmp_path, "host": LINK}
    first = plan_for(step.model(), step.inputs, **options)
    again = plan_for(step.model(), step.inputs, **options)
    assert again.schedule == first.schedule
    assert again.source == "memory"


def test_a_link_is_measured_once(tmp_path):
    found = host_link("cpu", tmp_path)
    assert found.offload_rate > 10**6
    assert found.fetch_rate > 10**6
    assert host_link("cpu", tmp_path) == found
    step = STEPS["mlp"]
    options = {"budget": "100%", "solver": "keep_all", "cache": tmp_path, "quiet": True}
    made = [plan_for(step.model(), step.inputs, host=host, **options) for host in ("measured", found)]
    assert made[0].plan.problem.host == made[1].plan.problem.host


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(3, 4).t(),
        torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.randn(7).bfloat16()[2:],
        torch.randn(4, dtype=torch.complex64),
        torch.zeros(3, dtype=torch.bool),
        torch.randn(0, 3),
        torch.tensor(5),
        torch.randn(4).expand(3, 4),
    ],
)
def test_a_tensor_comes_back_as_it_was(tensor):
    back = to_device(to_host(tensor), tensor.device)
    assert torch.equal(back, tensor)
    same = (tensor.dtype, tensor.stride(), tensor.storage_offset(), tensor.untyped_storage().nbytes())
    assert (back.dtype, back.stride(), back.storage_offset(), back.untyped_storage().nbytes()) == same
    assert back.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr() or not tensor.numel()


def test_copies_on_the_host_are_outside_of_the_measured_peak():
    tensor = torch.randn(1000)
    assert measure_peak(lambda: to_host(tensor)) == 0
    copy = to_host(tensor)
    assert measure_peak(lambda: to_device(copy, tensor.device)) == 4000


def test_what_cannot_be_moved_is_said():
    with pytest.raises(ExecutionError, match="lazily conjugated"):
        to_host(torch.randn(3, dtype=torch.complex64).conj())


@pytest.mark.parametrize("host", [3, "fast", "12GiB"])
def test_bad_links_are_refused(host):
    step = STEPS["mlp"]
    with pytest.raises(HcpError, match="not understood"):
        plan_for(step.model(), step.inputs, budget="80%", solver="keep_all", host=host, quiet=True, cache=False)


def test_a_schedule_with_transfers_needs_a_link():
    step = STEPS["mlp"]
    schedule = random_transfers(capture_graph(step.model(), step.inputs), 4)
    with pytest.raises(HcpError, match="there is no host link"):
        checkpoint(step.model(), plan=schedule)(*step.inputs)


def test_every_entry_takes_a_host():
    step = STEPS["mlp"]
    link = HostLink(10**13, 10**13)
    module = HCModule(step.model(), HCConfig(budget="60%", planner="eviction", host=link, quiet=True, cache=False))
    module.backward(module(*step.inputs).square().mean())
    assert module.plan.plan.usage.transferred > 0

    planned = backend("60%", solver="eviction", host=link, quiet=True, cache=False)
    torch.compile(step.model(), backend=planned, fullgraph=True, dynamic=False)(*step.inputs).square().mean().backward()
    assert planned.plans[0].schedule == module.plan.schedule


def test_the_largest_batch_may_use_the_host():
    def inputs(batch):
        return (torch.randn(8 * batch, 32),)

    options = {"budget": "60kB", "solver": "eviction", "most": 8}
    alone = max_batch(STEPS["mlp"].model(), inputs, **options)
    moving = max_batch(STEPS["mlp"].model(), inputs, host="10TB/s", **options)
    assert moving.planned >= alone.planned > alone.keep_everything == moving.keep_everything
    assert moving.plan.plan.usage.transferred > 0
    assert moving.plan.peak_bytes <= 60_000
    assert moving.plan.overhead < alone.plan.overhead
