"""Training steps of small real models, and random plans for them; shared by the PyTorch tests."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hcp.graph.ir import Graph
from hcp.integrations.torch.demo.models import GPT, MLP, ResNet, UNet
from hcp.schedule.actions import Schedule


class MovingMean(nn.Module):
    """Reads a buffer before, and writes it after, in one forward."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)
        self.register_buffer("mean", torch.zeros(16))
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.linear(x)) * (1 + self.mean)
        self.mean.mul_(0.9).add_(y.detach().mean(0), alpha=0.1)
        self.calls += 1
        return (y * y).sum()


class SharedNorm(nn.Module):
    """One batch norm called twice: its statistics are updated twice a step, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(16, 16)
        self.second = nn.Linear(16, 16)
        self.norm = nn.BatchNorm1d(16)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm(self.first(x)), inplace=True)
        return self.norm(self.second(x)).square().mean()


class TwoOutputs(nn.Module):
    """Logits and an auxiliary output that share a trunk; the bias gradients are the tangents themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Linear(16, 16)
        self.shift = nn.Parameter(torch.zeros(32, 16))
        self.same = nn.Parameter(torch.zeros(32, 16))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.gelu(self.trunk(x))
        return x + self.shift + self.same, x.transpose(0, 1).exp()


class RandomMasks(nn.Module):
    """Draws of several kinds, one of them tiny."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.dropout(self.linear(x), 0.5, self.training)
        x = x * torch.bernoulli(torch.full_like(x, 0.7)) + torch.randn_like(x) * torch.rand(1)
        return functional.dropout(torch.tanh(x), 0.2, self.training).sum()


class ChannelsLast(nn.Module):
    """Kernels pass this memory format on where capture does not foresee it, and need other workspace in it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Hardswish(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.contiguous(memory_format=torch.channels_last)).tanh().sum()


class Unrolled(nn.Module):
    """A recurrent cell unrolled over time: the same weights at every step, and an initial state that is a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Linear(16, 24)
        self.across = nn.Linear(24, 24)
        self.gate = nn.Linear(24, 24)
        self.register_buffer("start", torch.zeros(24))

    def forward(self, x: Tensor) -> Tensor:
        state = self.start.expand(x.shape[0], -1)
        for time in range(x.shape[1]):
            new = torch.tanh(self.inside(x[:, time]) + self.across(state))
            kept = torch.sigmoid(self.gate(state))
            state = kept * state + (1 - kept) * new
        return state.square().mean()


class Mixture(nn.Module):
    """A mixture-of-experts layer with top-2 routing and a balancing loss beside the output."""

    def __init__(self, experts: int = 4) -> None:
        super().__init__()
        self.router = nn.Linear(16, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)) for _ in range(experts)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        routed = self.router(x).softmax(-1)
        weight, chosen = routed.topk(2, -1)
        weight = weight / weight.sum(-1, keepdim=True)
        out = x
        for number, expert in enumerate(self.experts):
            share = (weight * (chosen == number)).sum(-1, keepdim=True)
            out = out + share * expert(x)
        balance = (routed.mean(0) * functional.one_hot(chosen, len(self.experts)).float().mean((0, 1))).sum()
        return out, balance


class Tied(nn.Module):
    """An autoencoder whose decoder is its encoder's weight transposed, and one layer applied three times."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(16, 32)
        self.middle = nn.Linear(32, 32)
        self.twin = self.middle

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.encoder(x))
        for layer in (self.middle, self.twin, self.middle):
            y = torch.relu(layer(y))
        return (functional.linear(y, self.encoder.weight.t()) - x).square().mean()


class Queue(nn.Module):
    """Writes part of a buffer, and then reads the whole: the copy of a view takes all of its storage."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)
        self.register_buffer("queue", torch.zeros(48, 16))

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        self.queue[:8] = y.detach()[:8]
        return (y @ self.queue.t()).logsumexp(-1).mean()


class Teacher(nn.Module):
    """A frozen copy that follows its student's weights, changed in the forward."""

    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Linear(16, 16)
        self.teacher = nn.Linear(16, 16).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            for theirs, mine in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
                theirs.mul_(0.9).add_(mine, alpha=0.1)
            aim = self.teacher(x).tanh()
        return (self.student(x).tanh() - aim).square().mean()


class Spectrum(nn.Module):
    """Complex values, and a gradient that is scattered into a part of a larger tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(self.linear(x).unsqueeze(1) * x.unsqueeze(2)).abs().mean()


@dataclass(frozen=True)
class Step:
    """A training step: how to make the model, and what to call it with."""

    make: Callable[[], nn.Module]
    inputs: tuple[Tensor, ...]

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.make()

    def run(self, model: nn.Module) -> tuple[Tensor, ...]:
        """One forward and backward; returns all that the step holds at its end."""
        outputs = model(*self.inputs)
        if isinstance(outputs, Tensor) and outputs.dim() == 0:
            outputs.backward()
            return (outputs,)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        tangents = tuple(torch.ones_like(output) for output in outputs)
        torch.autograd.backward(outputs, tangents)
        return (*outputs, *tangents)

    def trace(self, model: nn.Module, steps: int = 2) -> list[Tensor]:
        """Outputs, gradients, buffers and generator state after some steps of plain gradient descent."""
        torch.manual_seed(1)
        found: list[Tensor] = []
        for _ in range(steps):
            clear(model)
            found += self.run(model)
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.grad is None:
                        continue
                    found.append(parameter.grad.clone())
                    parameter.sub_(parameter.grad, alpha=0.01)
        return [*found, *model.parameters(), *model.buffers(), torch.get_rng_state()]


def clear(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.grad = None


def _gpt(fused: bool = False) -> nn.Module:
    return GPT(layers=2, width=32, heads=2, context=16, vocabulary=64, fused=fused)


def _still_gpt() -> nn.Module:
    return GPT(layers=2, width=32, heads=2, context=16, vocabulary=64, dropout=0.0, fused=True)


def _resnet() -> nn.Module:
    return ResNet(channels=4, stages=2, blocks=1)


def _steps() -> dict[str, Step]:
    draw = torch.Generator().manual_seed(5)
    tokens = torch.randint(0, 64, (4, 17), generator=draw)
    images = torch.randn(4, 3, 16, 16, generator=draw)
    labels = torch.randint(0, 10, (4,), generator=draw)
    features = torch.randn(32, 16, generator=draw)
    return {
        "mlp": Step(lambda: MLP(32, 5), (torch.randn(64, 32, generator=draw),)),
        "sequential": Step(lambda: nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4)), (features,)),
        "gpt": Step(_gpt, (tokens[:, :-1], tokens[:, 1:])),
        "gpt, loss outside": Step(_gpt, (tokens[:, :-1],)),
        "resnet": Step(_resnet, (images, labels)),
        "resnet, loss outside": Step(_resnet, (images,)),
        "buffer": Step(MovingMean, (features,)),
        "shared norm": Step(SharedNorm, (features,)),
        "two outputs": Step(TwoOutputs, (features,)),
        "channels last": Step(ChannelsLast, (torch.randn(4, 3, 12, 12, generator=draw),)),
        "fused attention": Step(_still_gpt, (tokens[:, :-1], tokens[:, 1:])),
        "fused attention, dropout": Step(lambda: _gpt(fused=True), (tokens[:, :-1], tokens[:, 1:])),
        "unet": Step(lambda: UNet(4, 2), (images, torch.randint(0, 4, (4, 16, 16), generator=draw))),
        "unrolled": Step(Unrolled, (torch.randn(8, 6, 16, generator=draw),)),
        "mixture of experts": Step(Mixture, (features,)),
        "queue": Step(Queue, (features,)),
        "teacher": Step(Teacher, (features,)),
        "spectrum": Step(Spectrum, (features,)),
        "tied weights": Step(Tied, (features,)),
        "random": Step(RandomMasks, (torch.randn(32, 64, generator=draw),)),
    }


STEPS = _steps()


def random_schedule(graph: Graph, drop: float, seed: int) -> Schedule:
    """Runs the graph in order, forgets live values at random, and recomputes what is missing when it is needed."""
    draw = random.Random(seed)
    live: set[str] = set()
    computes: list[str] = []

    def run(name: str) -> None:
        node = graph.node[name]
        for value in node.inputs:
            if value not in live:
                run(graph.producer[value])
        computes.append(name)
        live.update(value.name for value in node.outputs)

    for name in graph.order:
        run(name)
        for value in sorted(live):
            producer = graph.node[graph.producer[value]]
            if producer.recomputable and not graph.values[value].resident and draw.random() < drop:
                live.discard(value)
    return Schedule.from_computes(graph, computes)
