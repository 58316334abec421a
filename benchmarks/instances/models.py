"""Models of the instances that neither the benchmarks nor transformers have: a diffusion U-Net, DLRM, graphs, LSTM."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Residual(nn.Module):
    """A residual block of a diffusion U-Net: the time's embedding is added between two convolutions."""

    def __init__(self, inputs: int, outputs: int, times: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(32, inputs), nn.GroupNorm(32, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.time = nn.Linear(times, outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = self.conv1(functional.silu(self.norm1(x))) + self.time(functional.silu(time))[:, :, None, None]
        z: Tensor = self.skip(x) + self.conv2(functional.silu(self.norm2(y)))
        return z


class _Attention(nn.Module):
    """Attention of all pixels to all others."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(32, width)
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, width, height, breadth = x.shape
        pixels = self.norm(x).flatten(2).transpose(1, 2)
        projected = self.project(pixels).view(batch, height * breadth, 3, self.heads, width // self.heads)
        query, key, value = projected.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        y: Tensor = x + self.out(mixed).transpose(1, 2).reshape(x.shape)
        return y


class DiffusionUNet(nn.Module):
    """The U-Net of denoising diffusion (Ho et al., 2020; Dhariwal and Nichol, 2021): predicts the noise of an image.

    Args:
        channels: Of the first level.
        multiples: Of it, for each level; the side halves from each to the next.
        blocks: Residual blocks of a level on the way down; one more on the way up.
        attended: Levels with attention, counted from 0.
        heads: Of attention.
    """

    def __init__(
        self, channels: int, multiples: tuple[int, ...], blocks: int, attended: tuple[int, ...], heads: int
    ) -> None:
        super().__init__()
        times = 4 * channels
        self.channels = channels
        self.time = nn.Sequential(nn.Linear(channels, times), nn.SiLU(), nn.Linear(times, times))
        self.enter = nn.Conv2d(3, channels, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        width, widths = channels, [channels]
        for level, multiple in enumerate(multiples):
            for _ in range(blocks):
                self.down.append(_level(width, multiple * channels, times, heads if level in attended else 0))
                width = multiple * channels
                widths.append(width)
            if level + 1 < len(multiples):
                self.down.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                widths.append(width)
        self.middle = nn.ModuleList(
            [_Residual(width, width, times), _Attention(width, heads), _Residual(width, width, times)]
        )
        for level, multiple in reversed(list(enumerate(multiples))):
            for place in range(blocks + 1):
                given = width + widths.pop()
                self.up.append(_level(given, multiple * channels, times, heads if level in attended else 0))
                width = multiple * channels
                if level and place == blocks:
                    self.up.append(nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1)))
        self.norm, self.leave = nn.GroupNorm(32, width), nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, images: Tensor, steps: Tensor, noise: Tensor) -> Tensor:
        """The mean squared error; images and noise of shape (batch, 3, side, side), steps of shape (batch,)."""
        half = self.channels // 2
        angles = steps[:, None] * torch.exp(-9.2 * torch.arange(half, device=steps.device) / half)
        time = self.time(torch.cat((angles.sin(), angles.cos()), -1).to(images.dtype))
        x = self.enter(images)
        kept = [x]
        for module in self.down:
            x = _through(module, x, time)
            kept.append(x)
        first, attention, second = self.middle
        x = second(attention(first(x, time)), time)
        for module in self.up:
            joined = x if isinstance(module, nn.Sequential) else torch.cat((x, kept.pop()), 1)
            x = _through(module, joined, time)
        return functional.mse_loss(self.leave(functional.silu(self.norm(x))), noise)


def _level(inputs: int, outputs: int, times: int, heads: int) -> nn.ModuleList:
    parts: list[nn.Module] = [_Residual(inputs, outputs, times)]
    return nn.ModuleList([*parts, _Attention(outputs, heads)] if heads else parts)


def _through(module: nn.Module, x: Tensor, time: Tensor) -> Tensor:
    if not isinstance(module, nn.ModuleList):
        y: Tensor = module(x)
        return y
    for part in module:
        x = part(x, time) if isinstance(part, _Residual) else part(x)
    return x


class DLRM(nn.Module):
    """A recommendation model in the style of DLRM (Naumov et al., 2019): embeddings, products of pairs, two MLPs.

    Args:
        tables: Number of embedding tables.
        rows: Of each table.
        width: Of an embedding.
        bottom: Widths of the MLP of dense features; the last is ``width``.
        top: Widths of the MLP of the interactions.
        dense: Number of dense features.
    """

    def __init__(
        self, tables: int, rows: int, width: int, *, bottom: tuple[int, ...], top: tuple[int, ...], dense: int = 13
    ) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(rows, width) for _ in range(tables))
        self.bottom = _mlp((dense, *bottom))
        pairs = (tables + 1) * tables // 2
        self.top = _mlp((pairs + width, *top, 1))

    def forward(self, features: Tensor, indices: Tensor, clicks: Tensor) -> Tensor:
        """The mean cross entropy; features (batch, dense), indices (batch, tables, bag), clicks (batch,)."""
        dense = self.bottom(features)
        looked = [table(indices[:, place]).sum(1) for place, table in enumerate(self.tables)]
        stacked = torch.stack([dense, *looked], 1)
        products = stacked @ stacked.transpose(1, 2)
        row, column = torch.tril_indices(products.shape[1], products.shape[1], -1, device=products.device)
        logits = self.top(torch.cat((dense, products[:, row, column]), 1)).squeeze(1)
        return functional.binary_cross_entropy_with_logits(logits, clicks)


def _mlp(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class MessagePassing(nn.Module):
    """A graph network with edge features (Battaglia et al., 2018), as in learned simulators.

    Args:
        layers: Rounds of messages.
        width: Features of nodes and edges.
    """

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.edge = nn.ModuleList(_mlp((3 * width, width, width)) for _ in range(layers))
        self.node = nn.ModuleList(_mlp((2 * width, width, width)) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.leave = nn.Linear(width, 3)

    def forward(self, nodes: Tensor, edges: Tensor, ends: Tensor, targets: Tensor) -> Tensor:
        """The mean squared error; nodes (n, width), edges (m, width), ends (2, m), targets (n, 3)."""
        first, second = ends
        for place, (edge, node) in enumerate(zip(self.edge, self.node, strict=True)):
            edges = edges + self.norms[2 * place](edge(torch.cat((edges, nodes[first], nodes[second]), 1)))
            gathered = torch.zeros_like(nodes).index_add(0, second, edges)
            nodes = nodes + self.norms[2 * place + 1](node(torch.cat((nodes, gathered), 1)))
        return functional.mse_loss(self.leave(nodes), targets)


class Recurrent(nn.Module):
    """An LSTM language model; PyTorch's capture takes it cell by cell.

    Args:
        layers: Number of LSTM layers.
        width: Of the state.
        vocabulary: Number of tokens.
    """

    def __init__(self, layers: int, width: int, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """The mean cross entropy; tokens and targets of shape (batch, length)."""
        states, _ = self.lstm(self.tokens(tokens))
        return functional.cross_entropy(self.head(states).flatten(0, 1), targets.flatten())


class DenseNet(nn.Module):
    """A densely connected network (Huang et al., 2017) with bottlenecks, whose concatenations hold much memory.

    Args:
        growth: Channels that each layer adds.
        blocks: Layers of each dense block.
        classes: Number of classes.
    """

    def __init__(self, growth: int, blocks: tuple[int, ...], classes: int = 1000) -> None:
        super().__init__()
        width = 2 * growth
        self.enter = nn.Sequential(nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.blocks, self.between = nn.ModuleList(), nn.ModuleList()
        for place, layers in enumerate(blocks):
            self.blocks.append(nn.ModuleList(_dense(width + i * growth, growth) for i in range(layers)))
            width += layers * growth
            if place + 1 < len(blocks):
                self.between.append(
                    nn.Sequential(
                        nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width // 2, 1, bias=False), nn.AvgPool2d(2)
                    )
                )
                width //= 2
        self.norm, self.head = nn.BatchNorm2d(width), nn.Linear(width, classes)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """The mean cross entropy for images of shape (batch, 3, side, side)."""
        x = self.pool(self.enter(images))
        for place, block in enumerate(self.blocks):
            for layer in block:  # type: ignore[attr-defined]
                x = torch.cat((x, layer(x)), 1)
            if place < len(self.between):
                x = self.between[place](x)
        return functional.cross_entropy(self.head(functional.relu(self.norm(x)).mean((2, 3))), labels)


def _dense(inputs: int, growth: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, 4 * growth, 1, bias=False),
        nn.BatchNorm2d(4 * growth),
        nn.ReLU(),
        nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
    )
