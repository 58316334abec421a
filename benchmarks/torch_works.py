"""What the executed comparisons train, on the CPU and on a GPU: models, sizes, precisions and batches."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from benchmarks.torch_models import Llama, ViT
from hcp.integrations.torch.demo.models import GPT, ResNet, UNet

# The six models of the comparison.
MODELS: Final = ("gpt", "llama", "vit", "moe", "convnet", "unet")
# Sixteen Llama-style layers, as in PyTorch's issue 197838, where a smaller activation_memory_budget has a higher peak.
STANDIN: Final = "standin"
# bfloat16: weights and all that follows; autocast: weights in float32, and products in bfloat16.
Precision = Literal["float32", "bfloat16", "autocast"]


@dataclass(frozen=True)
class Work:
    """A model and what it is trained on.

    Attributes:
        make: The model, with weights that are the same each time.
        batch: What it is called with; it returns the loss.
        blocks: The parts that are checkpointed one by one.
        device: Where it is.
        precision: What it computes in.
    """

    make: Callable[[], nn.Module]
    batch: tuple[Tensor, ...]
    blocks: Callable[[nn.Module], Iterable[nn.Module]]
    device: str
    precision: Precision = "float32"

    def context(self) -> AbstractContextManager[object]:
        """What a forward runs within; its backward follows of itself."""
        if self.precision != "autocast":
            return nullcontext()
        # Casts of weights are not kept: the cache lives outside of what a compiler sees.
        return torch.autocast(self.device, torch.bfloat16, cache_enabled=False)


# Makes a model and its batch, in the process that measures.
Build = Callable[[], Work]


def gpt(device: str, *, batch: int, context: int, vocabulary: int = 256, **sizes: Any) -> Work:  # noqa: ANN401
    """A language model with fused attention; its blocks are the transformer's."""
    make = partial(GPT, context=context, vocabulary=vocabulary, **{"dropout": 0.0, "fused": True} | sizes)
    return Work(_seeded(make, device), _tokens(device, batch, context, vocabulary), _blocks, device)


def llama(
    device: str,
    precision: Precision = "float32",
    *,
    batch: int,
    context: int,
    vocabulary: int = 256,
    **sizes: Any,  # noqa: ANN401
) -> Work:
    """A Llama-style language model, dense or a mixture of experts; its blocks are the transformer's.

    In bfloat16 it is so as a whole: its rotations too, else queries and keys would be float32.
    """
    make = partial(Llama, context=context, vocabulary=vocabulary, **sizes)
    batches = _tokens(device, batch, context, vocabulary)
    return Work(_seeded(make, device, precision), batches, _blocks, device, precision)


def vit(device: str, precision: Precision = "float32", *, batch: int, size: int, **sizes: Any) -> Work:  # noqa: ANN401
    """A vision transformer; its blocks are the transformer's."""
    make = _seeded(partial(ViT, size=size, **sizes), device, precision)
    return Work(make, _pictures(device, batch, size, (batch,), 10), _blocks, device, precision)


def resnet(device: str, *, channels: int, stages: int, blocks: int, size: int, batch: int) -> Work:
    """A residual network; its blocks are the stem and the residual ones."""
    make = partial(ResNet, channels, stages, blocks)
    return Work(
        _seeded(make, device),
        _pictures(device, batch, size, (batch,), 10),
        lambda model: [model.stem, *model.body],  # type: ignore[list-item, misc]
        device,
    )


def unet(device: str, *, channels: int, levels: int, size: int, batch: int) -> Work:
    """A U-Net; its blocks are the pairs of convolutions of each level, down and up."""
    return Work(
        _seeded(partial(UNet, channels, levels), device),
        _pictures(device, batch, size, (batch, size, size), 4),
        lambda model: [*model.down, model.bottom, *model.up],  # type: ignore[list-item, misc]
        device,
    )


def _blocks(model: nn.Module) -> Iterable[nn.Module]:
    return model.blocks  # type: ignore[return-value]


def _seeded(make: Callable[[], nn.Module], device: str, precision: Precision = "float32") -> Callable[[], nn.Module]:
    def seeded() -> nn.Module:
        # Made on the device: drawing a billion weights takes long on a CPU.
        with torch.device(device):
            torch.manual_seed(0)
            model = make()
        return model.to(torch.bfloat16) if precision == "bfloat16" else model

    return seeded


def _tokens(device: str, batch: int, length: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    tokens = torch.randint(0, vocabulary, (batch, length + 1), generator=torch.Generator().manual_seed(1)).to(device)
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def _pictures(device: str, batch: int, size: int, labels: tuple[int, ...], classes: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    images = torch.randn(batch, 3, size, size, generator=draw)
    return images.to(device), torch.randint(0, classes, labels, generator=draw).to(device)


def works(profile: str, device: str = "cpu") -> Mapping[str, Build]:
    """The models of a profile.

    Args:
        profile: ``"standard"``, where a step takes 0.2 s or more on one thread of a CPU, or ``"large"``, for a GPU;
            ``"tiny"`` and ``"large, tiny"`` are for tests of either.
        device: Where they are.
    """
    whole = {"layers": 8, "width": 256, "heads": 8, "groups": 2, "inner": 688, "context": 256, "vocabulary": 1024}
    mixture = {"layers": 4, "inner": 344, "experts": 4}
    long = {"layers": 16, "heads": 4, "groups": 4, "context": 1024, "vocabulary": 256, "batch": 1}
    few = {"layers": 2, "width": 32, "heads": 2, "context": 32, "batch": 8}
    gated = few | {"groups": 1, "inner": 48}
    # 1.1 billion parameters.
    billion = {"layers": 16, "width": 2048, "heads": 32, "groups": 8, "inner": 8192, "context": 2048}
    billion["vocabulary"] = 32_000
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
        "large": {
            "llama": partial(llama, device, "bfloat16", batch=2, **billion),
            "vit": partial(vit, device, "autocast", layers=24, width=1024, heads=16, size=224, patch=16, batch=64),
            "unet": partial(unet, device, channels=64, levels=4, size=256, batch=16),
        },
        "large, tiny": {
            "llama": partial(llama, device, "bfloat16", **gated),
            "vit": partial(vit, device, "autocast", layers=2, width=32, heads=2, size=16, patch=4, batch=4),
            "unet": partial(unet, device, channels=8, levels=2, size=16, batch=4),
        },
    }[profile]
