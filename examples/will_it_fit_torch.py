"""Tells whether training a transformer fits a device, without the device and without the memory.

The same from the command line: hcp fit examples/will_it_fit_torch.py:make_model --device rtx4090
"""

import torch
from torch import nn

from hcp.integrations.torch import fit

VOCABULARY, WIDTH, LENGTH = 32_000, 1024, 2048


class Model(nn.Module):
    """A decoder of transformers that returns its loss."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 16, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss of the next tokens."""
        mask = nn.Transformer.generate_square_subsequent_mask(LENGTH, device=tokens.device)
        hidden = self.blocks(self.embedding(tokens), mask=mask, is_causal=True)
        return nn.functional.cross_entropy(self.head(hidden).flatten(0, 1), targets.flatten())


def make_model() -> nn.Module:
    """Called on the meta device: nothing is allocated."""
    return Model()


def make_inputs(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Arguments of the model for a batch size, so that the largest batch can be told as well."""
    tokens = torch.randint(0, VOCABULARY, (batch, LENGTH))
    return tokens, tokens


if __name__ == "__main__":
    print(fit(make_model, make_inputs, device="rtx4090", optimizer="adamw", batch=8, time_limit=1))
