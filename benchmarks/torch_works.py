"""What the executed comparison trains: models, sizes and batches."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from benchmarks.torch_models import Llama, ViT
from hcp.integrations.torch.demo.models import GPT, ResNet, UNet

# The six models of the comparison.
MODELS: Final = ("gpt", "llama", "vit", "moe", "convnet", "unet")
# Sixteen Llama-style layers, as in PyTorch's issue 197838, where a smaller activation_memory_budget has a higher peak.
STANDIN: Final = "standin"


@dataclass(frozen=True)
class Work:
    """A model and what it is trained on.

    Attributes:
        make: The model, with weights that are the same each time.
        batch: What it is called with; it returns the loss.
        blocks: The parts that are checkpointed one by one.
    """

    make: Callable[[], nn.Module]
    batch: tuple[Tensor, ...]
    blocks: Callable[[nn.Module], Iterable[nn.Module]]


# Makes a model and its batch, in the process that measures.
Build = Callable[[], Work]


def gpt(device: str, *, batch: int, context: int, vocabulary: int = 256, **sizes: Any) -> Work:  # noqa: ANN401
    """A language model with fused attention; its blocks are the transformer's."""
    make = partial(GPT, context=context, vocabulary=vocabulary, **{"dropout": 0.0, "fused": True} | sizes)
    return Work(_seeded(make, device), _tokens(device, batch, context, vocabulary), _blocks)


def llama(device: str, *, batch: int, context: int, vocabulary: int = 256, **sizes: Any) -> Work:  # noqa: ANN401
    """A Llama-style language model, dense or a mixture of experts; its blocks are the transformer's."""
    make = partial(Llama, context=context, vocabulary=vocabulary, **sizes)
    return Work(_seeded(make, device), _tokens(device, batch, context, vocabulary), _blocks)


def vit(device: str, *, batch: int, size: int, **sizes: Any) -> Work:  # noqa: ANN401
    """A vision transformer; its blocks are the transformer's."""
    return Work(
        _seeded(partial(ViT, size=size, **sizes), device), _pictures(device, batch, size, (batch,), 10), _blocks
    )


def resnet(device: str, *, channels: int, stages: int, blocks: int, size: int, batch: int) -> Work:
    """A residual network; its blocks are the stem and the residual ones."""
    make = partial(ResNet, channels, stages, blocks)
    return Work(
        _seeded(make, device),
        _pictures(device, batch, size, (batch,), 10),
        lambda model: [model.stem, *model.body],  # type: ignore[list-item, misc]
    )


def unet(device: str, *, channels: int, levels: int, size: int, batch: int) -> Work:
    """A U-Net; its blocks are the pairs of convolutions of each level, down and up."""
    return Work(
        _seeded(partial(UNet, channels, levels), device),
        _pictures(device, batch, size, (batch, size, size), 4),
        lambda model: [*model.down, model.bottom, *model.up],  # type: ignore[list-item, misc]
    )


def _blocks(model: nn.Module) -> Iterable[nn.Module]:
    return model.blocks  # type: ignore[return-value]


def _seeded(make: Callable[[], nn.Module], device: str) -> Callable[[], nn.Module]:
    def seeded() -> nn.Module:
        torch.manual_seed(0)
        return make().to(device)

    return seeded


def _tokens(device: str, batch: int, length: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    tokens = torch.randint(0, vocabulary, (batch, length + 1), generator=torch.Generator().manual_seed(1)).to(device)
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def _pictures(device: str, batch: int, size: int, labels: tuple[int, ...], classes: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    images = torch.randn(batch, 3, size, size, generator=draw)
    return images.to(device), torch.randint(0, classes, labels, generator=draw).to(device)


def works(profile: str, device: str = "cpu") -> Mapping[str, Build]:
    """The models, each at a size where a step takes 0.2 s or more on one thread; ``"tiny"`` ones are for tests."""
    whole = {"layers": 8, "width": 256, "heads": 8, "groups": 2, "inner": 688, "context": 256, "vocabulary": 1024}
    mixture = {"layers": 4, "inner": 344, "experts": 4}
    long = {"layers": 16, "heads": 4, "groups": 4, "context": 1024, "vocabulary": 256, "batch": 1}
    few = {"layers": 2, "width": 32, "heads": 2, "context": 32, "batch": 8}
    gated = few | {"groups": 1, "inner": 48}
    return {
        "standard": {
            "gpt": partial(gpt, device, layers=6, width=384, heads=6, context=256, vocabulary=1024, batch=4),
            "llama": partial(llama, device, batch=4, **whole),
            "vit": partial(vit, device, layers=8, width=192, heads=4, size=128, patch=8, batch=4),
            "moe": partial(llama, device, batch=4, **(whole | mixture)),
            "convnet": partial(resnet, device, channels=32, stages=4, blocks=2, size=32, batch=16),
            "unet": partial(unet, device, channels=32, levels=3, size=64, batch=8),
            STANDIN: partial(llama, device, **(whole | long)),
        },
        "tiny": {
            "gpt": partial(gpt, device, **few),
            "llama": partial(llama, device, **gated),
            "vit": partial(vit, device, layers=2, width=32, heads=2, size=16, patch=4, batch=2),
            "moe": partial(llama, device, **gated, experts=2),
            "convnet": partial(resnet, device, channels=4, stages=2, blocks=1, size=8, batch=2),
            "unet": partial(unet, device, channels=4, levels=2, size=8, batch=2),
            STANDIN: partial(llama, device, **(gated | {"layers": 4})),
        },
    }[profile]
