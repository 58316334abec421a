"""What daily life with planned modules meets: other batches, text generation, wrappers, mistakes said at once."""

import copy
from types import MethodType

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import hcp  # noqa: E402
from hcp.graph.instances import unet  # noqa: E402
from hcp.integrations.torch import (  # noqa: E402
    CaptureError,
    TorchError,
    checkpoint,
    max_batch,
    measure_peak,
    plan_of,
    record,
    sample_inputs,
    total,
)
from hcp.integrations.torch.demo.models import GPT, MLP  # noqa: E402
from hcp.integrations.torch.errors import BudgetWarning  # noqa: E402
from hcp.schedule.budget import BudgetError  # noqa: E402
from tests.effort import slow, some  # noqa: E402


def train(model, *args):
    """Gradients of one step."""
    for parameter in model.parameters():
        parameter.grad = None
    out = model(*args)
    (out[0] if isinstance(out, tuple) else out).square().mean().backward()
    return [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("compiler", ["aot_eager", pytest.param("inductor", marks=slow)])
def test_a_smaller_last_batch_may_take_what_the_first_ones_took(compiler):
    model = checkpoint(MLP(32, 6, 32), "60%", quiet=True, compiler=compiler, time_limit=2)
    for batch in (64, 64, 2):
        train(model, torch.ones(batch, 32))
    first, last = plan_of(model)
    assert last.budget_bytes == first.budget_bytes > 0.6 * last.keep_everything_bytes
    train(model, torch.ones(256, 32))
    assert plan_of(model)[-1].budget_bytes > first.budget_bytes


def test_calls_without_gradients_run_the_modules_own_forward(monkeypatch):
    model = MLP(8, 3, 4)
    called = []
    own = MLP.forward
    monkeypatch.setattr(MLP, "forward", lambda self, x: called.append(len(x)) or own(self, x))
    checkpoint(model, "100%", quiet=True)
    with torch.no_grad():
        outputs = [model(torch.ones(length, 8)) for length in range(1, 21)]
    assert called == list(range(1, 21))
    assert [len(out) for out in outputs] == called
    with torch.inference_mode():
        model(torch.ones(3, 8))
    with pytest.raises(TorchError, match="no plan yet"):
        plan_of(model)


def test_generating_text_after_training():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.LlamaConfig(vocab_size=32, num_key_value_heads=1, **sizes)
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    ids = torch.ones(2, 4, dtype=torch.long)
    wanted = model.generate(ids, max_new_tokens=12, do_sample=False)
    checkpoint(model.train(), "100%", quiet=True)
    model(input_ids=ids, labels=ids).loss.backward()
    assert len(plan_of(model)) == 1
    assert torch.equal(model.eval().generate(ids, max_new_tokens=12, do_sample=False), wanted)
    assert len(plan_of(model)) == 1


def test_plans_are_found_through_wrapped_forwards():
    model = checkpoint(MLP(8, 3, 4), "100%", quiet=True)
    inner = model.forward
    model.forward = MethodType(lambda _, x: inner(x).float(), model)
    train(model, torch.ones(4, 8))
    (plan,) = plan_of(model)
    holder = nn.ModuleDict({"model": model})
    assert plan_of(holder) == [plan]
    holder["other"] = checkpoint(MLP(8, 3, 4), "100%", quiet=True)
    with pytest.raises(TorchError, match="holds 2 planned modules"):
        plan_of(holder)


class Classifier(nn.Module):
    """Tokens to scores, with the loss outside."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(64, 32)
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32)) for _ in range(4))
        self.head = nn.Linear(32, 64)

    def forward(self, ids):
        x = self.embedding(ids)
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x)


def with_outputs_held(model, ids):
    outputs = model(ids)
    nn.functional.cross_entropy(outputs.flatten(0, 1), ids.flatten()).backward()


def with_outputs_dropped(model, ids):
    nn.functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten()).backward()


def with_a_gradient_given(model, ids):
    gradient = torch.ones(*ids.shape, 64)
    model(ids).backward(gradient)


STEPS = [with_outputs_held, with_outputs_dropped, with_a_gradient_given]


def cleared(model):
    for parameter in model.parameters():
        parameter.grad = None
    return model


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("budget", some(["100%", "80%", "65%"], 2))
def test_the_loss_outside_is_planned_with_to_the_byte(step, budget):
    torch.manual_seed(0)
    ids = torch.randint(0, 64, (64, 16))
    model, reference = Classifier(), Classifier()
    reference.load_state_dict(model.state_dict())
    checkpoint(model, budget, quiet=True, time_limit=2)
    for _ in range(2):
        step(cleared(model), ids)
    (plan,) = plan_of(model)
    cleared(model)
    assert record(lambda: step(model, ids)).peak == plan.peak_bytes <= plan.budget_bytes
    step(reference, ids)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(model.parameters(), reference.parameters(), strict=True))
    assert plan_of(model) == [plan]
    # A gradient that was there before adds nothing.
    assert (plan.between is None) == (step is with_a_gradient_given)
    assert ("between    forward and backward" in plan.report()) == (plan.between is not None)
    assert budget != "100%" or plan.overhead == 0


def test_outputs_that_are_held_after_all_are_planned_with():
    ids = torch.randint(0, 64, (64, 16))
    model = checkpoint(Classifier(), "80%", quiet=True, time_limit=2)
    for step in (with_outputs_dropped, with_outputs_dropped, with_outputs_held):
        step(cleared(model), ids)
    assert plan_of(model)[0].between.dropped
    with_outputs_held(cleared(model), ids)
    (plan,) = plan_of(model)
    assert not plan.between.dropped
    cleared(model)
    assert record(lambda: with_outputs_held(model, ids)).peak <= plan.peak_bytes <= plan.budget_bytes


class WithLoss(nn.Module):
    """The loss and the scores, as models of transformers return them."""

    def __init__(self):
        super().__init__()
        self.body = Classifier()

    def forward(self, ids):
        scores = self.body(ids)
        return nn.functional.cross_entropy(scores.flatten(0, 1), ids.flatten()), scores


def test_scores_that_are_let_go_of_stay_so_where_the_loss_is_held():
    ids = torch.randint(0, 64, (64, 16))
    model = checkpoint(WithLoss(), "80%", quiet=True, solver="eviction")

    def step():
        loss = model(ids)[0]
        beside = torch.ones(1000)
        loss.backward()
        return beside

    for _ in range(4):
        step()
        cleared(model)
    (plan,) = plan_of(model)
    assert (plan.between.dropped, plan.between.passed, plan.between.kept) == ({1}, False, 4000)
    assert record(step).peak == plan.peak_bytes


def test_a_loss_that_no_plan_leaves_room_for_is_a_warning():
    ids = torch.randint(0, 64, (64, 16))
    first = checkpoint(Classifier(), "100%", quiet=True)
    outputs = first(ids)
    outputs.backward(torch.ones_like(outputs))
    smallest = plan_of(first)[0]
    model = checkpoint(Classifier(), 1_700_000, quiet=True, solver="eviction", cache=False)

    def step():
        outputs = model(ids)
        sum((outputs * n).exp() for n in range(12)).sum().backward()

    step()
    with pytest.warns(BudgetWarning, match=r"takes [0-9,]+ bytes with what the program does .* over the budget of 1,7"):
        step()
    assert smallest.keep_everything_bytes > 1_700_000
    step()


def test_a_users_profiler_and_a_step_without_backward_stay_as_they_are():
    ids = torch.randint(0, 64, (64, 16))
    model = checkpoint(Classifier(), "100%", quiet=True)
    outputs = model(ids)
    del outputs
    with torch.profiler.profile() as found:
        with_outputs_held(model, ids)
    assert found.key_averages()
    assert plan_of(model)[0].between is None
    with_outputs_held(model, ids)
    with_outputs_held(model, ids)
    assert plan_of(model)[0].between is not None


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (0.5, "a share is written '50%'"),
        ("24 gigs", "unknown unit 'gigs'"),
        ("much", "not understood"),
        ("0%", "more than zero"),
        ("120%", "more than 100%"),
        (-3, "more than zero"),
    ],
)
def test_bad_budgets_are_refused_at_once(budget, message):
    with pytest.raises(BudgetError, match=message):
        checkpoint(MLP(8, 3, 4), budget)


def test_a_percentage_of_what_eager_takes():
    torch.manual_seed(0)
    layers = [part for _ in range(4) for part in (nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.2))]
    model, x = nn.Sequential(*layers), torch.randn(256, 16)
    reference = copy.deepcopy(model)
    checkpoint(model, "80% of eager", quiet=True, time_limit=2)
    states = []
    for each in (model, reference):
        torch.manual_seed(1)
        states.append((train(each, x), dict(each.named_buffers()), torch.get_rng_state()))
    torch.testing.assert_close(states[0], states[1])
    cleared(reference)

    def eager():
        outputs = reference(x)
        outputs.backward(torch.ones_like(outputs))

    (plan,) = plan_of(model)
    assert plan.eager_bytes == record(eager).peak
    assert plan.budget_bytes == plan.eager_bytes * 8 // 10
    assert "bytes without a plan" in plan.report()
    train(model, x[:100])
    assert plan_of(model)[-1].budget_bytes == plan.budget_bytes


def test_only_a_planned_module_knows_what_eager_takes():
    with pytest.raises(TorchError, match="give a percentage alone"):
        checkpoint(MLP(8, 3, 4), "60% of eager", compiler="inductor")
    with pytest.raises(BudgetError, match="a graph does not say; give '60%', of keeping everything"):
        hcp.solve(unet(2), "60% of eager")
    with pytest.raises(BudgetError, match="more than 100%"):
        checkpoint(MLP(8, 3, 4), "120% of eager")


def test_obstacles_are_named_at_once():
    with pytest.raises(CaptureError, match="compiled or planned already"):
        checkpoint(torch.compile(MLP(8, 3, 4)), "60%")
    with pytest.raises(CaptureError, match="compiled or planned already"):
        checkpoint(nn.Sequential(torch.compile(MLP(8, 3, 4))), "60%")
    with pytest.raises(CaptureError, match=r"Embedding '0' in it gives sparse gradients.*sparse=False"):
        checkpoint(nn.Sequential(nn.Embedding(4, 4, sparse=True)), "60%")
    frozen = nn.Sequential(nn.Embedding(4, 4, sparse=True).requires_grad_(False), nn.Linear(4, 4))
    train(checkpoint(frozen, "100%", quiet=True), torch.tensor([1, 2]))


def test_checkpointing_beside_a_plan_is_said(capsys):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.LlamaConfig(vocab_size=32, num_key_value_heads=1, use_cache=False, **sizes)
    model = transformers.LlamaForCausalLM(config).train()
    model.gradient_checkpointing_enable()
    with pytest.raises(CaptureError, match="gradient_checkpointing_disable"):
        checkpoint(model, "60%")
    model.gradient_checkpointing_disable()
    checkpoint(model, "100%")
    model.gradient_checkpointing_enable()
    ids = torch.ones(2, 4, dtype=torch.long)
    model(input_ids=ids, labels=ids).loss.backward()
    assert "LlamaForCausalLM calls torch.utils.checkpoint, which is left aside" in capsys.readouterr().err


@torch.library.custom_op("hcp_tests::picky", mutates_args=())
def picky(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """An operator that looks at what it is given."""
    if int(index.min()) < 1:
        raise ValueError("an index must be at least 1")
    return x * index.sum()


@picky.register_fake
def _(x, index):
    return torch.empty_like(x)


picky.register_autograd(
    lambda ctx, gradient: (gradient * ctx.index.sum(), None),
    setup_context=lambda ctx, inputs, output: setattr(ctx, "index", inputs[1]),
)


@torch.library.custom_op("hcp_tests::bare", mutates_args=())
def bare(x: torch.Tensor) -> torch.Tensor:
    """An operator without a fake implementation."""
    return x * 2


class Custom(nn.Module):
    def __init__(self, operator):
        super().__init__()
        self.layer, self.operator = nn.Linear(8, 8), operator

    def forward(self, x, *more):
        return self.operator(self.layer(x), *more)


def test_an_operator_that_checks_values_is_tried_on_samples():
    index = torch.tensor([1, 2])
    with pytest.raises(CaptureError, match=r"hcp_tests.picky.default.*an index must be at least 1.*sample_inputs"):
        train(checkpoint(Custom(picky), "100%", quiet=True), torch.ones(4, 8), index)

    @sample_inputs("hcp_tests::picky")
    def fill(x, index):
        index.fill_(1)

    model, reference = Custom(picky), Custom(picky)
    reference.load_state_dict(model.state_dict())
    checkpoint(model, "100%", quiet=True)
    found, wanted = (train(each, torch.ones(4, 8), index) for each in (model, reference))
    assert all(map(torch.equal, found, wanted))


def test_an_operator_without_a_fake_implementation_is_named():
    with pytest.raises(CaptureError, match=r"hcp_tests::bare has no fake implementation.*register_fake"):
        train(checkpoint(Custom(bare), "100%", quiet=True), torch.ones(4, 8))


def test_exporting_a_planned_module_is_refused_in_one_sentence():
    model = checkpoint(MLP(8, 3, 4), "100%", quiet=True)
    with pytest.raises(TorchError, match=r"torch\.export"):
        torch.export.export(model, (torch.ones(4, 8),))
    exported = torch.export.export(MLP(8, 3, 4), (torch.ones(4, 8),))
    with pytest.raises(TorchError, match=r"'ExportedProgram' object; give it a torch.nn.Module"):
        checkpoint(exported, "60%")
    train(checkpoint(exported.module(), "100%", quiet=True), torch.ones(4, 8))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layers = kind(8, 8, num_layers=2, batch_first=True)

    def forward(self, x):
        return self.layers(x)[0]


@pytest.mark.parametrize("kind", some([nn.GRU, nn.LSTM, nn.RNN], 1))
def test_recurrent_layers_are_planned(kind):
    x = torch.randn(3, 6, 8)
    model, reference = Recurrent(kind), Recurrent(kind)
    reference.load_state_dict(model.state_dict())
    checkpoint(model, "80%", quiet=True, time_limit=2)
    found, wanted = train(model, x), train(reference, x)
    torch.testing.assert_close(found, wanted)
    (plan,) = plan_of(model)
    assert plan.peak_bytes <= plan.budget_bytes < plan.keep_everything_bytes


@pytest.mark.parametrize(
    "make", some([lambda batch: [torch.ones(batch, 8)], lambda batch: {"x": torch.ones(batch, 8)}], 1)
)
def test_the_largest_batch_of_keyword_arguments(make):
    found = max_batch(MLP(8, 3, 4), make, 3000, solver="eviction")
    wanted = max_batch(MLP(8, 3, 4), lambda batch: (torch.ones(batch, 8),), 3000, solver="eviction")
    assert (found.keep_everything, found.planned) == (wanted.keep_everything, wanted.planned)
    assert found.planned > 1


def test_inputs_of_another_kind_are_named():
    with pytest.raises(TorchError, match=r"make_inputs\(\) gave 'Tensor' object; return a tuple"):
        max_batch(MLP(8, 3, 4), lambda batch: torch.ones(batch, 8), 3000)


def test_the_report_says_whose_word_its_figures_are():
    model = checkpoint(MLP(8, 3, 4), "100%", quiet=True)
    train(model, torch.ones(4, 8))
    assert "by the roofline model, on no machine's clock" in plan_of(model)[0].report()
    assert "as every operation runs once" in plan_of(model)[0].report()
    own = checkpoint(MLP(8, 3, 4), "100%", quiet=True, cost=lambda _node: 7)
    train(own, torch.ones(4, 8))
    assert "by the cost function given" in plan_of(own)[0].report()


def test_a_total_holds_for_parameters_state_and_inputs_as_well():
    model = GPT(layers=2, width=32, heads=2, context=16, vocabulary=64, dropout=0.0)
    parameters = sum(parameter.numel() * 4 for parameter in model.parameters())
    tokens = torch.randint(0, 64, (8, 17), generator=torch.Generator().manual_seed(5))
    limit = 5 * parameters + 400_000
    planned = checkpoint(model, total(limit, optimizer="adamw", reserve=0), quiet=True, time_limit=2)
    optimizer = torch.optim.AdamW(planned.parameters(), foreach=True)

    def step():
        planned(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    state = sum(leaf.numel() * leaf.element_size() for held in optimizer.state.values() for leaf in held.values())
    (plan,) = plan_of(planned)
    assert plan.overhead > 0
    # Inputs are made within the step.
    assert parameters + state + measure_peak(step) <= limit
    buffers = sum(buffer.numel() * buffer.element_size() for buffer in planned.buffers())
    assert plan.budget_bytes == limit - parameters - buffers - state - 2 * tokens[:, 1:].numel() * 8
