"""Training steps on their way into Inductor, before they are planned; shared by the tests of the integration."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hcp.integrations.torch.capture import Traced, compile_whole, forward_of, traced_of
from hcp.integrations.torch.inductor.step import FusedStep
from hcp.integrations.torch.request import TorchRequest


class Net(nn.Module):
    """Products, chains, dropout, and a buffer that is read, and then written."""

    def __init__(self, width: int = 8, layers: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.register_buffer("mean", torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        x = x - self.mean
        for layer in self.layers:
            x = x + functional.dropout(functional.gelu(layer(x)), 0.3, self.training)
        with torch.no_grad():
            self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return functional.layer_norm(x, x.shape[-1:]).square().mean()


class Images(nn.Module):
    """Convolutions with batch norm, whose statistics are buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return functional.max_pool2d(x, 2).flatten(1).logsumexp(1).mean()


STEPS = {"net": (Net, (16, 8)), "images": (Images, (2, 3, 10, 10))}


def inputs_of(name: str) -> tuple[Tensor]:
    return (torch.randn(STEPS[name][1], generator=torch.Generator().manual_seed(3)),)


def traced(module: nn.Module, *args: Tensor) -> Traced:
    """What Dynamo captures of a call."""
    found: list[Traced] = []

    def capture(graph: Any, inputs: Any) -> Any:
        found.append(traced_of(graph, inputs))
        return graph.forward

    compile_whole(module, forward_of(module), capture)(*args)
    return found[0]


def step_of(module: nn.Module, *args: Tensor, **options: Any) -> FusedStep:
    """A step that nobody asked for yet."""
    request = TorchRequest(**{"budget": "100%", "cache": False, "quiet": True, "compiler": "inductor"} | options)
    return FusedStep(traced(module, *args), {}, request, type(module).__name__, "float32[...]")


def step_named(name: str, **options: Any) -> FusedStep:
    torch.manual_seed(0)
    return step_of(STEPS[name][0](), *inputs_of(name), **options)
