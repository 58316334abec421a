"""Models of the executed comparison that the demonstration lacks: Llama, a vision transformer, a mixture of experts."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class _GroupedAttention(nn.Module):
    """Causal attention with rotary positions, in which several query heads share a key and a value head."""

    def __init__(self, width: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, groups * self.size, bias=False)
        self.value = nn.Linear(width, groups * self.size, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        batch, length, width = x.shape

        def split(projected: Tensor, heads: int) -> Tensor:
            return projected.view(batch, length, heads, self.size).transpose(1, 2)

        query = _rotated(split(self.query(x), self.heads), turns)
        key = _rotated(split(self.key(x), self.groups), turns)
        value = split(self.value(x), self.groups)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
        projected: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return projected


def _rotated(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = turns
    low, high = x.chunk(2, -1)
    return x * cosine + torch.cat((-high, low), -1) * sine


class _GatedMLP(nn.Module):
    """SwiGLU."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, inner, bias=False)
        self.up = nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        down: Tensor = self.down(functional.silu(self.gate(x)) * self.up(x))
        return down


class _Experts(nn.Module):
    """A mixture of gated MLPs: every token goes to the two that its router likes best.

    Each expert takes a fixed number of tokens, as its capacity, those that are routed to it with most weight, so that
    all shapes are known.
    """

    def __init__(self, width: int, inner: int, experts: int) -> None:
        super().__init__()
        self.router = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(_GatedMLP(width, inner) for _ in range(experts))

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(0, 1)
        weights = self.router(tokens).softmax(-1)
        best, chosen = weights.topk(2, -1)
        weights = torch.zeros_like(weights).scatter(1, chosen, best / best.sum(-1, keepdim=True))
        capacity = 2 * tokens.shape[0] // len(self.experts)
        mixed = torch.zeros_like(tokens)
        for place, expert in enumerate(self.experts):
            weight, taken = weights[:, place].topk(capacity)
            mixed = mixed.index_add(0, taken, expert(tokens[taken]) * weight[:, None])
        return mixed.view_as(x)


class LlamaBlock(nn.Module):
    """A pre-norm block: RMSNorm, grouped queries, rotary positions, SwiGLU; a mixture of these where asked for.

    Args:
        width: Features of each position.
        heads: Query heads.
        groups: Key and value heads.
        inner: Features inside an MLP.
        experts: MLPs of a mixture; zero for one MLP.
    """

    def __init__(self, width: int, heads: int, groups: int, inner: int, experts: int) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(width)
        self.attention = _GroupedAttention(width, heads, groups)
        self.norm2 = nn.RMSNorm(width)
        self.mlp = _Experts(width, inner, experts) if experts else _GatedMLP(width, inner)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        """Input and output of shape (batch, length, width)."""
        x = x + self.attention(self.norm1(x), turns)
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class Llama(nn.Module):
    """A Llama-style language model, dense or a mixture of experts.

    Args:
        layers: Number of blocks.
        width: Features of each position.
        heads: Query heads.
        groups: Key and value heads.
        inner: Features inside an MLP.
        context: Most positions.
        vocabulary: Number of tokens.
        experts: MLPs of each block's mixture; zero for one MLP.
    """

    cosine: Tensor
    sine: Tensor

    def __init__(
        self,
        *,
        layers: int,
        width: int,
        heads: int,
        groups: int,
        inner: int,
        context: int,
        vocabulary: int,
        experts: int = 0,
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(LlamaBlock(width, heads, groups, inner, experts) for _ in range(layers))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        size = width // heads
        angles = torch.outer(torch.arange(context), 10_000.0 ** -(torch.arange(0, size, 2) / size)).repeat(1, 2)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """The mean cross entropy; tokens and targets of shape (batch, length)."""
        length = tokens.shape[1]
        turns = (self.cosine[:length], self.sine[:length])
        x = self.tokens(tokens)
        for block in self.blocks:
            x = block(x, turns)
        return functional.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten())


class _ViTBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        projected = self.project(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = projected.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class ViT(nn.Module):
    """A vision transformer.

    Args:
        layers: Number of blocks.
        width: Features of each patch.
        heads: Attention heads.
        size: Height and width of a picture.
        patch: Height and width of a patch.
        classes: Number of classes.
    """

    def __init__(self, *, layers: int, width: int, heads: int, size: int, patch: int, classes: int = 100) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width) * 0.02)
        self.blocks = nn.ModuleList(_ViTBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The mean cross entropy for images of shape (batch, 3, size, size)."""
        patches = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat((self.first.expand(len(images), -1, -1), patches), 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return functional.cross_entropy(self.head(self.norm(x[:, 0])), labels)
