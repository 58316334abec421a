"""Models of the transformers library with random weights keep the promise as well."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch import nn  # noqa: E402

from hcp.integrations.torch import checkpoint, measure_peak, plan_of  # noqa: E402
from hcp.schedule.host import HostLink  # noqa: E402
from tests.integration.training_steps import Step, clear  # noqa: E402
from tests.transfers import random_transfers  # noqa: E402

# Fast enough for some values and too slow for others.
LINK = HostLink(10**10, 10**10, 1000)


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


PLANS = {
    "solved": {"budget": "70%", "solver": "eviction", "quiet": True, "cache": False},
    "random": {"plan": lambda graph: random_transfers(graph, 1)},
}


@pytest.mark.parametrize(("make", "attention", "plan"), [(gpt2, "sdpa", "solved"), (bert, "eager", "random")])
def test_peak_and_bits(make, attention, plan):
    transformers.logging.set_verbosity_error()
    tokens = torch.randint(0, 64, (4, 16), generator=torch.Generator().manual_seed(3))
    step = Step(lambda: make(attention), (tokens,))
    model = checkpoint(step.model(), host=LINK, **PLANS[plan])
    assert all(torch.equal(a, b) for a, b in zip(step.trace(model), step.trace(step.model()), strict=True))
    clear(model)
    (made,) = plan_of(model)
    assert made.schedule.transfers or plan == "solved"
    assert made.overhead > 0
    assert measure_peak(lambda: step.run(model)) == made.peak_bytes
