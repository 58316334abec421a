"""Schedules of PyTorch's own ways: what really ran, operation by operation, and what its partitioner decides."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint as torch_checkpoint  # noqa: E402
from torch.utils.checkpoint import set_checkpoint_early_stop  # noqa: E402

from hcp import ScheduleError  # noqa: E402
from hcp.integrations.torch import (  # noqa: E402
    ActivationBudget,
    BlockCheckpoint,
    TorchError,
    checkpoint,
    grade,
    measure_peak,
    peer_schedules,
    plan_of,
)
from hcp.integrations.torch.demo.models import GPT, MLP, Block  # noqa: E402
from hcp.integrations.torch.lower import BOUNDARY  # noqa: E402
from hcp.report.tables import grades_table  # noqa: E402
from hcp.schedule.replay import keep_everything_usage, replay  # noqa: E402

aten = torch.ops.aten


def mlp():
    torch.manual_seed(0)
    return MLP(16, 6, 4)


def x(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


class Twice(nn.Module):
    """Does the same to the same twice, and returns two results."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(16, 16)

    def forward(self, x):
        return self.inside(x.exp()) + self.inside(x.exp()).tanh(), x.sum()


class Positions(nn.Module):
    """Makes tensors of nothing, writes in place, and flips."""

    def __init__(self):
        super().__init__()
        self.tokens, self.places, self.head = nn.Embedding(50, 16), nn.Embedding(64, 16), nn.Linear(16, 50)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        x = torch.cat([x[..., :8], x[..., 8:].flip(-1)], -1).add_(1)
        return nn.functional.cross_entropy(self.head(x).flatten(0, 1), tokens.flatten())


class Encoder(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=dropout, batch_first=True)

    def forward(self, x):
        return self.layer(x).square().mean()


def norms():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 3))


TOKENS = torch.arange(16).view(2, 8) % 50
STEPS = {
    "mlp": (mlp, (x(8, 16),)),
    "twice": (Twice, (x(4, 16).requires_grad_(),)),
    "positions": (Positions, (TOKENS,)),
    "dropout": (
        lambda: nn.Sequential(nn.Linear(16, 2000), nn.Dropout(0.3), nn.ReLU(), nn.Linear(2000, 4)),
        (x(4, 16),),
    ),
    "small dropout": (lambda: nn.Sequential(nn.Linear(16, 16), nn.Dropout(0.3), nn.Linear(16, 4)), (x(4, 16),)),
    "encoder": (lambda: Encoder(0.0), (x(2, 8, 16),)),
    "batch norm": (norms, (x(2, 3, 12, 12),)),
}


@pytest.mark.parametrize("name", STEPS)
def test_the_module_by_itself_keeps_everything_and_checkpointed_whole_runs_its_forward_again(name):
    make, args = STEPS[name]
    module = make()

    def whole(*given):
        return torch_checkpoint(module, *given, use_reentrant=False)

    buffers = [buffer.clone() for buffer in module.buffers()]
    state = torch.get_rng_state()
    found = peer_schedules(module, args, ways={"eager": module, "whole": whole})
    keep, again = (replay(found.graph, found.schedules[way]) for way in ("eager", "whole"))
    assert (keep.cost, keep.peak) == (found.graph.base_cost, keep_everything_usage(found.graph).peak)
    assert keep.recomputed == {}
    assert again.cost > keep.cost
    # The forward is run again in its own order, up to the last tensor that the backward needs.
    steps = [step for step in found.schedules["whole"].computes if found.graph.node[step].cost]
    (boundary,) = (i for i, step in enumerate(found.schedules["whole"].computes) if step == BOUNDARY)
    forward = [step for step in found.schedules["whole"].computes[:boundary] if step in again.recomputed]
    repeated = [step for step in found.schedules["whole"].computes[boundary:] if step in again.recomputed]
    assert repeated == [step for step in forward if step in set(repeated)]
    assert set(steps) == {node.name for node in found.graph.nodes if node.cost}
    assert all(map(torch.equal, buffers, module.buffers()))
    assert torch.equal(state, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_block_is_run_again_up_to_the_last_tensor_that_is_needed_and_no_further():
    torch.manual_seed(0)
    module = GPT(vocabulary=32, width=16, layers=2, heads=2, context=8, dropout=0.0)
    args = (torch.arange(16).view(2, 8),)
    ways = {
        "blocks": BlockCheckpoint(Block),
        "by path": BlockCheckpoint(["blocks.0", "blocks.1"]),
        "by question": BlockCheckpoint(lambda each: isinstance(each, Block)),
        "late": BlockCheckpoint(Block, early_stop=False),
        "products": BlockCheckpoint(Block, [aten.addmm.default]),
    }
    found = peer_schedules(module, args, ways=ways)
    again = {name: replay(found.graph, schedule).recomputed for name, schedule in found.schedules.items()}
    assert again["blocks"] == again["by path"] == again["by question"]
    assert set(again["blocks"]) < set(again["late"])
    assert {found.graph.node[name].op for name in again["blocks"]} >= {"aten.addmm.default", "aten.gelu.default"}
    assert "aten.addmm.default" not in {found.graph.node[name].op for name in again["products"]}
    assert not any("forward" in vars(each) for each in module.modules())


class Loss(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = mlp()

    def forward(self, x):
        return self.model(x).square().mean()


def peak(call, module, args):
    """Of a step, its gradients included."""

    def step():
        call(*args).backward()

    step()
    module.zero_grad(set_to_none=True)
    return measure_peak(step)


def test_what_runs_is_what_was_graded_to_the_byte():
    args, module = (x(64, 16),), Loss()
    ways = {"budget": ActivationBudget(0.3), "eager": module, "one": BlockCheckpoint(["model.hidden.0"])}
    found = peer_schedules(module, args, ways=ways)
    peaks = {name: replay(found.graph, schedule).peak for name, schedule in found.schedules.items()}
    for name, schedule in found.schedules.items():
        planned = checkpoint(Loss(), plan=schedule, quiet=True, cache=False)
        assert peak(planned, planned, args) == peaks[name]
        assert plan_of(planned)[0].schedule == schedule
    # Nothing promises that eager autograd holds no more.
    assert peak(module, module, args) >= peaks["eager"]

    def whole(given):
        return module(given)

    # What torch.compile makes with the same setting.
    compiled = torch.compile(whole, backend="aot_eager", fullgraph=True, dynamic=False)
    with torch._functorch.config.patch(activation_memory_budget=0.3):
        assert peak(compiled, module, args) == peaks["budget"] < peaks["eager"]


def test_grades_stand_in_one_table_with_a_bound_at_each_peak():
    module = mlp()
    ways = {"half": ActivationBudget(0.5), "none": ActivationBudget(0), "keep": module}
    grades = grade(module, (x(64, 16),), ways=ways, time_limit=1)
    assert [found.name for found in grades] == list(ways)
    for found in grades:
        assert found.usage == replay(found.graph, found.schedule)
        assert found.bound.value <= found.plan.cost <= found.cost
        assert found.plan.peak <= found.usage.peak
        assert found.plan.problem.budget == found.usage.peak
    assert grades[-1].overhead == 0
    lines = grades_table(grades).to_text().splitlines()
    assert len(lines) == 2 + len(ways)
    assert lines[0].split("  ")[0] == "schedule"


def test_schedules_and_lists_of_nodes_are_ways_as_well():
    module = mlp()
    kept = peer_schedules(module, (x(8, 16),), ways={"keep": module})
    names = list(kept.schedules["keep"].computes)
    again = peer_schedules(module, (x(8, 16),), ways={"it": kept.schedules["keep"], "names": names})
    assert again.schedules["it"] == again.schedules["names"] == kept.schedules["keep"]


def test_functions_that_call_modules_are_graded_with_their_loss():
    module = mlp()

    def loss(given):
        return module(given).square().mean()

    ways = {"first": BlockCheckpoint(["hidden.0"]), "keep": loss}
    found = peer_schedules(loss, (x(8, 16),), ways=ways)
    assert replay(found.graph, found.schedules["keep"]).recomputed == {}
    assert set(replay(found.graph, found.schedules["first"]).recomputed) < {n.name for n in found.graph.nodes}


def test_modules_without_memory_are_graded_by_what_need_not_run():
    with torch.device("meta"):
        module, given = MLP(16, 6, 4), torch.empty(64, 16)
    real = peer_schedules(mlp(), (x(64, 16),), ways={"half": ActivationBudget(0.5)})
    found = peer_schedules(module, (given,), ways={"half": ActivationBudget(0.5)})
    assert found.schedules["half"].computes == real.schedules["half"].computes
    with pytest.raises(
        TorchError, match=r"way 'keep' makes no schedule of MLP: .*hold no memory; make them on a device"
    ):
        peer_schedules(module, (given,), ways={"keep": module})


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (mlp(), "operation t?addmm of the captured step was not seen to run"),
        (lambda given: given.sum(), r"tensors of shapes \[\] that ask for gradients, and the module of \[\(8, 4\)\]"),
        (BlockCheckpoint(["nowhere"]), "MLP has no module 'nowhere'; give paths as in named_modules"),
        (BlockCheckpoint(nn.Conv2d), "MLP has no such blocks; give a class"),
        (["nobody"], "nobody"),
        (3, "it is 3; give ActivationBudget"),
        ("names", "it is 'names'; give ActivationBudget"),
    ],
)
def test_a_way_that_makes_no_schedule_is_named(way, said):
    with pytest.raises(TorchError, match=rf"(?s)way 'mine' makes no schedule of MLP: .*{said}"):
        peer_schedules(mlp(), (x(8, 16),), ways={"mine": way})


def test_what_runs_again_has_to_be_what_ran():
    module, runs = mlp(), []

    def other(given):
        runs.append(given)
        return module(given[: 8 // len(runs)])

    with pytest.raises(
        TorchError, match=r"way 'other' makes no schedule of MLP: PyTorch refuses its backward: .*Recomp"
    ):
        peer_schedules(
            module, (x(8, 16),), ways={"other": lambda given: torch_checkpoint(other, given, use_reentrant=False)}
        )
    with pytest.raises(TorchError, match="operation mm of the captured step was not seen to run"):
        peer_schedules(
            module,
            (x(8, 16),),
            ways={"old": lambda given: torch_checkpoint(module, given.requires_grad_(), use_reentrant=True)},
        )


@pytest.mark.parametrize(
    ("module", "args", "kernel"),
    [
        (nn.LSTM(8, 8), (x(5, 2, 8),), "aten.mkldnn_rnn_layer"),
        # Dropout inside of attention, which no Python code calls.
        (Encoder(0.2), (x(2, 8, 16),), "aten.empty_like"),
    ],
)
def test_kernels_that_capture_has_others_for_are_named(module, args, kernel):
    with pytest.raises(TorchError, match=f"was not seen to run; the first to run that was not captured is {kernel}"):
        peer_schedules(module, args, ways={"eager": module})


@pytest.mark.parametrize("share", [-0.1, 1.5, "half", True, None])
def test_shares_that_are_none_are_refused(share):
    with pytest.raises(TorchError, match=r"give a number from 0 to 1, such as 0\.5"):
        ActivationBudget(share)


def test_no_way_and_illegal_schedules_are_refused():
    module = mlp()
    with pytest.raises(TorchError, match="there is no way to grade; give at least one"):
        peer_schedules(module, (x(8, 16),), ways={})
    found = peer_schedules(module, (x(8, 16),), ways={"keep": module})
    short = found.schedules["keep"].computes[1:]
    with pytest.raises(TorchError, match="way 'short' makes no schedule of MLP") as caught:
        peer_schedules(module, (x(8, 16),), ways={"short": short})
    assert isinstance(caught.value.__cause__, ScheduleError)


def test_the_users_own_setting_of_early_stop_is_put_back():
    module = mlp()
    with set_checkpoint_early_stop(False):
        found = peer_schedules(
            module,
            (x(8, 16),),
            ways={
                "early": BlockCheckpoint(nn.Linear),
                "own": lambda g: torch_checkpoint(module, g, use_reentrant=False),
            },
        )
    assert replay(found.graph, found.schedules["own"]).recomputed
