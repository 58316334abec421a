"""Plain PyTorch models for the demo, the tests and the benchmarks; nothing in them knows of hcp."""

import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.nn import functional


class MLP(nn.Module):
    """Linear layers with GELU between them.

    Args:
        width: Features of the input and of every hidden layer.
        depth: Number of linear layers.
        classes: Features of the output.
    """

    def __init__(self, width: int = 64, depth: int = 6, classes: int = 10) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (batch, classes) for features of shape (batch, width)."""
        for layer in self.hidden:
            x = functional.gelu(layer(x))
        logits: Tensor = self.head(x)
        return logits


class Attention(nn.Module):
    """Causal self-attention; dropout acts on the attention weights.

    Args:
        width: Features of each position.
        heads: Attention heads.
        context: Most positions.
        dropout: Probability of dropping a weight.
        fused: Whether PyTorch's own attention does it, or the operations are written out.
    """

    mask: Tensor

    def __init__(self, width: int, heads: int, context: int, dropout: float, fused: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.fused = fused
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        mask = torch.full((context, context), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes positions; input and output of shape (batch, length, width)."""
        batch, length, width = x.shape
        query, key, value = (
            part.view(batch, length, self.heads, -1).transpose(1, 2) for part in self.qkv(x).split(width, dim=2)
        )
        if self.fused:
            mixed = functional.scaled_dot_product_attention(
                query, key, value, dropout_p=self.dropout if self.training else 0.0, is_causal=True
            )
        else:
            mixed = self._mixed(query, key, value)
        projected: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return projected

    def _mixed(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        length, width = query.shape[-2:]
        scores = query @ key.transpose(-2, -1) * width**-0.5
        weights = functional.dropout((scores + self.mask[:length, :length]).softmax(-1), self.dropout, self.training)
        return weights @ value


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int, context: int, dropout: float, fused: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads, context, dropout, fused)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Input and output of shape (batch, length, width)."""
        x = x + self.attention(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class GPT(nn.Module):
    """A GPT-style language model whose head shares the weights of the token embedding.

    Args:
        layers: Number of blocks.
        width: Features of each position.
        heads: Attention heads.
        context: Most positions.
        vocabulary: Number of tokens.
        dropout: Probability of dropping; zero for none.
        fused: Whether attention is PyTorch's own.
    """

    def __init__(
        self,
        *,
        layers: int = 4,
        width: int = 64,
        heads: int = 4,
        context: int = 64,
        vocabulary: int = 256,
        dropout: float = 0.1,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.zeros(context, width))
        self.blocks = nn.ModuleList(Block(width, heads, context, dropout, fused) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.02)

    def embed(self, tokens: Tensor) -> Tensor:
        """Features of shape (batch, length, width) for tokens of shape (batch, length)."""
        return functional.dropout(self.tokens(tokens) + self.positions[: tokens.shape[1]], self.dropout, self.training)

    def head(self, x: Tensor, targets: Tensor | None) -> Tensor:
        """Logits, or the mean cross entropy where targets are given."""
        logits = functional.linear(self.norm(x), self.tokens.weight)
        return logits if targets is None else functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """Logits of shape (batch, length, vocabulary), or the loss as a scalar where targets are given."""
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(x, targets)


class CheckpointedGPT(nn.Module):
    """The same model with ``torch.utils.checkpoint`` around each block, as peers do it.

    Args:
        model: Shares its parameters with this one.
    """

    def __init__(self, model: GPT) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """What the model itself returns."""
        x = self.model.embed(tokens)
        for block in self.model.blocks:
            x = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)
        return self.model.head(x, targets)


class Residual(nn.Module):
    """Two convolutions with batch norm and a skip connection; ReLUs work in place."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(inplace=True),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.skip = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Input of shape (batch, inside, height, width); height and width shrink by the stride."""
        y: Tensor = self.relu(self.body(x) + self.skip(x))
        return y


class ResNet(nn.Module):
    """A small residual network.

    Args:
        channels: Channels of the first stage; each later stage doubles them and halves the picture.
        stages: Number of stages.
        blocks: Residual blocks a stage.
        classes: Features of the output.
    """

    def __init__(self, channels: int = 8, stages: int = 3, blocks: int = 2, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        )
        widths = [channels * 2 ** (stage // blocks) for stage in range(stages * blocks)]
        self.body = nn.Sequential(
            *(
                Residual(inside, outside, 1 if inside == outside else 2)
                for inside, outside in zip([channels, *widths[:-1]], widths, strict=True)
            )
        )
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits of shape (batch, classes) for images of shape (batch, 3, height, width), or the loss as a scalar."""
        features = self.body(self.stem(images)).mean((2, 3))
        logits: Tensor = self.head(features)
        return logits if labels is None else functional.cross_entropy(logits, labels)


def _twice(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
        nn.Conv2d(outside, outside, 3, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """A U-Net: every level of the way down is joined to the same level of the way up.

    Args:
        channels: Of the first level; each deeper one doubles them and halves the picture.
        levels: Number of levels above the bottom.
        classes: Features of each pixel of the output.
    """

    def __init__(self, channels: int = 8, levels: int = 3, classes: int = 4) -> None:
        super().__init__()
        widths = [channels * 2**level for level in range(levels + 1)]
        self.down = nn.ModuleList(
            _twice(inside, outside) for inside, outside in zip([3, *widths[:-2]], widths[:-1], strict=True)
        )
        self.bottom = _twice(widths[-2], widths[-1])
        self.rise = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, 2) for width in reversed(widths[:-1]))
        self.up = nn.ModuleList(_twice(2 * width, width) for width in reversed(widths[:-1]))
        self.head = nn.Conv2d(channels, classes, 1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits of shape (batch, classes, height, width) for images (batch, 3, height, width), or the loss."""
        passed = []
        x = images
        for level in self.down:
            x = level(x)
            passed.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for rise, level in zip(self.rise, self.up, strict=True):
            x = level(torch.cat((rise(x), passed.pop()), 1))
        logits: Tensor = self.head(x)
        return logits if labels is None else functional.cross_entropy(logits, labels)
