"""The models of the GPU comparison at real sizes, and small enough for a CPU to rehearse it."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from benchmarks.torch_models import Llama, ViT
from hcp.integrations.torch.demo.models import UNet

# bfloat16: weights and all that follows; autocast: weights in float32, and products in bfloat16.
Precision = Literal["float32", "bfloat16", "autocast"]
# By how much a way's gradients may differ from eager's, as norms of all of them: the order of sums is another one.
TOLERANCES: Final[Mapping[Precision, float]] = {"float32": 2e-3, "bfloat16": 5e-2, "autocast": 5e-2}


@dataclass(frozen=True)
class Work:
    """A model and what it is trained on.

    Attributes:
        make: The model, with the same weights each time.
        batch: What it is called with; it returns the loss.
        blocks: The parts that are checkpointed one by one.
        device: Where it is.
        precision: What it computes in.
    """

    make: Callable[[], nn.Module]
    batch: tuple[Tensor, ...]
    blocks: Callable[[Any], Iterable[nn.Module]]
    device: str
    precision: Precision = "float32"

    def context(self) -> AbstractContextManager[object]:
        """What a forward runs within; its backward follows of itself."""
        if self.precision != "autocast":
            return nullcontext()
        # Casts of weights are not kept: the cache lives outside of what a compiler sees.
        return torch.autocast(self.device, torch.bfloat16, cache_enabled=False)


Build = Callable[[], Work]


def works(device: str, tiny: bool) -> dict[str, Build]:
    """The models by name, each made in the process that measures it."""
    if tiny:
        return {
            "llama": partial(
                llama, device, layers=2, width=32, heads=4, groups=2, inner=64, length=32, vocabulary=64, batch=4
            ),
            "vit": partial(vit, device, layers=2, width=32, heads=2, size=16, patch=4, batch=4),
            "unet": partial(unet, device, channels=8, levels=2, size=16, batch=4),
        }
    return {
        # 1.1 billion parameters.
        "llama": partial(
            llama,
            device,
            layers=16,
            width=2048,
            heads=32,
            groups=8,
            inner=8192,
            length=2048,
            vocabulary=32_000,
            batch=2,
        ),
        "vit": partial(vit, device, layers=24, width=1024, heads=16, size=224, patch=16, batch=64),
        "unet": partial(unet, device, channels=64, levels=4, size=256, batch=16),
    }


def llama(
    device: str,
    *,
    layers: int,
    width: int,
    heads: int,
    groups: int,
    inner: int,
    length: int,
    vocabulary: int,
    batch: int,
) -> Work:
    """A language model, in bfloat16 as a whole: its rotations too, else queries and keys would be float32."""
    sizes = {"layers": layers, "width": width, "heads": heads, "groups": groups, "inner": inner}
    tokens = _drawn(device, partial(torch.randint, 0, vocabulary, (batch, length + 1)))

    def make() -> nn.Module:
        # Made on the device: drawing a billion weights takes long on a CPU.
        with torch.device(device):
            torch.manual_seed(0)
            return Llama(context=length, vocabulary=vocabulary, **sizes).to(torch.bfloat16)

    pair = (tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
    return Work(make, pair, lambda model: model.blocks, device, "bfloat16")


def vit(device: str, *, layers: int, width: int, heads: int, size: int, patch: int, batch: int) -> Work:
    """A vision transformer under autocast."""
    images = _drawn(device, partial(torch.randn, batch, 3, size, size))
    labels = _drawn(device, partial(torch.randint, 0, 100, (batch,)))

    def make() -> nn.Module:
        with torch.device(device):
            torch.manual_seed(0)
            return ViT(layers=layers, width=width, heads=heads, size=size, patch=patch)

    return Work(make, (images, labels), lambda model: model.blocks, device, "autocast")


def unet(device: str, *, channels: int, levels: int, size: int, batch: int) -> Work:
    """A U-Net in float32; its blocks are the pairs of convolutions of each level, down and up."""
    images = _drawn(device, partial(torch.randn, batch, 3, size, size))
    labels = _drawn(device, partial(torch.randint, 0, 4, (batch, size, size)))

    def make() -> nn.Module:
        with torch.device(device):
            torch.manual_seed(0)
            return UNet(channels, levels)

    return Work(make, (images, labels), lambda model: [*model.down, model.bottom, *model.up], device)


def _drawn(device: str, draw: Callable[..., Tensor]) -> Tensor:
    return draw(generator=torch.Generator().manual_seed(1)).to(device)
