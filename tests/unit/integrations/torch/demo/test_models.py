"""The demo's models: causal, the same with checkpoints, the same fused."""

import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch.demo.models import GPT, CheckpointedGPT

SIZES = {"layers": 2, "width": 16, "heads": 2, "context": 8, "vocabulary": 11}


def tokens(seed=0):
    return torch.randint(0, 11, (3, 8), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("fused", [False, True])
def test_no_position_sees_what_comes_later(fused):
    torch.manual_seed(0)
    model = GPT(**SIZES, dropout=0.0, fused=fused)
    given, changed = tokens(), tokens()
    changed[:, 5:] = tokens(seed=1)[:, 5:]
    assert not torch.equal(given, changed)
    before, after = model(given), model(changed)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_fused_attention_computes_what_is_written_out():
    torch.manual_seed(0)
    plain, fused = (GPT(**SIZES, dropout=0.0, fused=fused) for fused in (False, True))
    fused.load_state_dict(plain.state_dict())
    torch.testing.assert_close(plain(tokens(), tokens(1)), fused(tokens(), tokens(1)))


def test_checkpoints_change_no_bit_of_the_gradients():
    torch.manual_seed(0)
    model = GPT(**SIZES, dropout=0.2)

    def gradients(way):
        torch.manual_seed(7)
        model.zero_grad(set_to_none=True)
        way(tokens(), tokens(1)).backward()
        return [parameter.grad for parameter in model.parameters()]

    for mine, theirs in zip(gradients(model), gradients(CheckpointedGPT(model)), strict=True):
        assert torch.equal(mine, theirs)
