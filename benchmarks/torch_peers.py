"""The models of the executed comparison, and how others run them within less memory."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
import torch.utils.checkpoint as torch_checkpoint
from torch import Tensor, nn

from hcp.integrations.torch.demo.models import GPT, ResNet, UNet

aten = torch.ops.aten
# What selective checkpointing keeps.
DEAR: Final = frozenset(
    op
    for packet in (
        aten.mm,
        aten.addmm,
        aten.bmm,
        aten.baddbmm,
        aten.convolution,
        aten._scaled_dot_product_flash_attention,
        aten._scaled_dot_product_flash_attention_for_cpu,
        aten._scaled_dot_product_efficient_attention,
        aten._scaled_dot_product_cudnn_attention,
    )
    for op in (getattr(packet, name) for name in packet.overloads())
)

Call = Callable[..., Tensor]


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


# Takes a fresh model, and returns what to call in its place. Other processes get it, so it can be pickled.
Wrap = Callable[[Work, nn.Module], Call]


def gpt(device: str, *, layers: int, width: int, heads: int, length: int, batch: int, dropout: float = 0.1) -> Work:
    """A language model; its blocks are the transformer's."""
    tokens = torch.randint(0, 256, (batch, length + 1), generator=torch.Generator().manual_seed(1)).to(device)

    def make() -> nn.Module:
        torch.manual_seed(0)
        options = {"layers": layers, "width": width, "heads": heads, "context": length, "dropout": dropout}
        return GPT(vocabulary=256, **options).to(device)  # type: ignore[arg-type]

    return Work(make, (tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()), lambda model: model.blocks)  # type: ignore[return-value, arg-type]


def resnet(device: str, *, channels: int, stages: int, blocks: int, size: int, batch: int) -> Work:
    """A residual network; its blocks are the stem and the residual ones."""
    images, labels = _pictures(device, batch, size, (batch,), 10)

    def make() -> nn.Module:
        torch.manual_seed(0)
        return ResNet(channels, stages, blocks).to(device)

    return Work(make, (images, labels), lambda model: [model.stem, *model.body])  # type: ignore[list-item, misc]


def unet(device: str, *, channels: int, levels: int, size: int, batch: int) -> Work:
    """A U-Net; its blocks are the pairs of convolutions of each level, down and up."""
    images, labels = _pictures(device, batch, size, (batch, size, size), 4)

    def make() -> nn.Module:
        torch.manual_seed(0)
        return UNet(channels, levels).to(device)

    return Work(make, (images, labels), lambda model: [*model.down, model.bottom, *model.up])  # type: ignore[list-item, misc]


def _pictures(device: str, batch: int, size: int, labels: tuple[int, ...], classes: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    images = torch.randn(batch, 3, size, size, generator=draw)
    return images.to(device), torch.randint(0, classes, labels, generator=draw).to(device)


def peers(budgets: Iterable[float], *, inductor: bool) -> dict[str, Wrap]:
    """How others run the step.

    Args:
        budgets: For PyTorch's own ``activation_memory_budget``; shares of what its partitioner would save.
        inductor: Whether to compile kernels as well, which takes minutes and is no like-for-like comparison.
    """
    found: dict[str, Wrap] = {
        "eager": eager,
        "torch.utils.checkpoint, whole model": _whole,
        "torch.utils.checkpoint, each block": _by_block,
        "selective checkpointing, save matmuls": partial(_by_block, context_fn=_selective),
        "aot_eager": partial(_compiled, backend="aot_eager", budget=1.0),
    }
    for budget in budgets:
        found[f"activation_memory_budget {budget:g}"] = partial(
            _compiled, backend="aot_eager_decomp_partition", budget=budget
        )
        if inductor:
            found[f"inductor, budget {budget:g}"] = partial(_compiled, backend="inductor", budget=budget)
    return found


def eager(work: Work, model: nn.Module) -> Call:  # noqa: ARG001 - a wrap
    """The model as it is."""
    return model


def _whole(work: Work, model: nn.Module) -> Call:  # noqa: ARG001 - a wrap
    return partial(_checkpointed, model)


def _checkpointed(module: Callable[..., Any], *args: Any, **options: Any) -> Any:  # noqa: ANN401 - a wrapped call
    return torch_checkpoint.checkpoint(module, *args, use_reentrant=False, **options)


def _by_block(work: Work, model: nn.Module, **options: Any) -> Call:  # noqa: ANN401 - of PyTorch's checkpoint
    for block in work.blocks(model):
        vars(block)["forward"] = partial(_checkpointed, type(block).forward.__get__(block), **options)
    return model


def _selective() -> Any:  # noqa: ANN401 - two context managers of PyTorch's own
    return torch_checkpoint.create_selective_checkpoint_contexts(_policy)  # type: ignore[no-untyped-call]


def _policy(_: object, op: object, *_args: object, **_kwargs: object) -> torch_checkpoint.CheckpointPolicy:
    kept = torch_checkpoint.CheckpointPolicy.MUST_SAVE
    return kept if op in DEAR else torch_checkpoint.CheckpointPolicy.PREFER_RECOMPUTE


def _compiled(work: Work, model: nn.Module, *, backend: str, budget: float) -> Call:  # noqa: ARG001 - a wrap
    call = torch.compile(model, backend=backend, fullgraph=True, dynamic=False)

    def run(*batch: Tensor) -> Tensor:
        # Read when the first call compiles; what is compiled once serves all models of a class in the process.
        with torch._functorch.config.patch(activation_memory_budget=budget):
            return call(*batch)  # type: ignore[no-any-return]

    return run
