"""Models of the transformers library with random weights keep the promise as well; the library is optional."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch import nn  # noqa: E402

from hcp.integrations.torch import capture_graph, checkpoint, measure_peak, plan_of  # noqa: E402
from hcp.planners import solve  # noqa: E402
from hcp.schedule.actions import keep_everything  # noqa: E402
from tests.integration.training_steps import Step, clear, random_schedule  # noqa: E402


class WithLoss(nn.Module):
    """Calls a model by keyword and returns its loss alone."""

    def __init__(self, model, attention):
        super().__init__()
        self.model = model
        self.model.set_attn_implementation(attention)

    def forward(self, tokens):
        return self.model(input_ids=tokens, labels=tokens, use_cache=False).loss


def gpt2(attention):
    config = transformers.GPT2Config(vocab_size=64, n_positions=32, n_embd=32, n_layer=2, n_head=2)
    return WithLoss(transformers.GPT2LMHeadModel(config), attention)


class Bert(WithLoss):
    def forward(self, tokens):
        return self.model(input_ids=tokens, labels=tokens).loss


def bert(attention):
    config = transformers.BertConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    return Bert(transformers.BertForMaskedLM(config), attention)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("make", [gpt2, bert])
def test_peak_and_bits(make, attention):
    transformers.logging.set_verbosity_error()
    tokens = torch.randint(0, 64, (4, 16), generator=torch.Generator().manual_seed(3))
    step = Step(lambda: make(attention), (tokens,))
    reference = step.trace(step.model())
    graph = capture_graph(step.model(), step.inputs)
    solved = [solve(graph, budget, "eviction").schedule for budget in ("80%", "70%", "60%")]
    drops = [random_schedule(graph, drop, seed=1) for drop in (0.1, 0.4)]
    for plan in (keep_everything(graph), *drops, *solved):
        if plan is None:
            continue
        model = checkpoint(step.model(), plan=plan)
        assert all(torch.equal(a, b) for a, b in zip(step.trace(model), reference, strict=True))
        clear(model)
        (made,) = plan_of(model)
        assert measure_peak(lambda: step.run(model)) == made.peak_bytes  # noqa: B023
