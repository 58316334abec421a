"""What an optimizer holds: its state, and what its step takes for a while."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from hcp.integrations.torch.errors import ExecutionError, TorchError
from hcp.integrations.torch.internals import (
    FakeTensorMode,
    ShapeEnv,
    outside_modes,
    storage_id,
    tree_leaves,
)
from hcp.integrations.torch.measure import record

# A name or None, what makes an optimizer of parameters, or an optimizer.
Optimizer = str | Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer] | torch.optim.Optimizer | None

_RATE: Final = 1e-3
OPTIMIZERS: Final[dict[str, Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]]] = {
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=_RATE),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=_RATE),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=_RATE),
    "sgd-momentum": lambda parameters: torch.optim.SGD(parameters, lr=_RATE, momentum=0.9),
    "adafactor": lambda parameters: torch.optim.Adafactor(parameters, lr=_RATE),
    "adagrad": lambda parameters: torch.optim.Adagrad(parameters, lr=_RATE),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=_RATE),
    "nadam": lambda parameters: torch.optim.NAdam(parameters, lr=_RATE),
    "radam": lambda parameters: torch.optim.RAdam(parameters, lr=_RATE),
    "adamax": lambda parameters: torch.optim.Adamax(parameters, lr=_RATE),
    "adadelta": lambda parameters: torch.optim.Adadelta(parameters, lr=_RATE),
}

# What a step takes for a while is measured on a few small parameters: their number and size.
_SAMPLES: Final = 4
_SIDE: Final = 128


@dataclass(frozen=True)
class OptimizerMemory:
    """What an optimizer takes.

    Attributes:
        name: For people.
        state: Bytes of its state from the end of its first step on.
        workspace: Bytes that its step takes for a while, estimated.
    """

    name: str
    state: int
    workspace: int


def optimizer_memory(optimizer: Optimizer, parameters: Iterable[nn.Parameter]) -> OptimizerMemory:
    """What an optimizer takes for some parameters, of which only shapes and types matter.

    The state is that of an optimizer that has stepped; else of a step on tensors without memory. What a step takes for
    a while is measured on a few small parameters, where all are changed at once as is PyTorch's way on a GPU, and taken
    to grow with them.

    Args:
        optimizer: A name of ``OPTIMIZERS``, a function that makes one of parameters, or an optimizer; None for none.
        parameters: What it is for.

    Raises:
        TorchError: If it is none of these, or cannot tell what it holds without running.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if optimizer is None or optimizer == "none" or not trained:
        return OptimizerMemory("none", 0, 0)
    if isinstance(optimizer, torch.optim.Optimizer):
        name, held = type(optimizer).__name__, _held(optimizer)
        return OptimizerMemory(name, held or _of_fakes(_on_fakes(optimizer)), _workspace(optimizer, trained))
    made = _made(optimizer, trained)
    name = optimizer if isinstance(optimizer, str) else type(made).__name__
    return OptimizerMemory(name, _of_fakes(made), _workspace(made, trained))


def _made(optimizer: object, trained: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """An optimizer of fake parameters, of a name or by a function.

    Raises:
        TorchError: If there is none of that name, or the function makes anything else.
    """
    make = OPTIMIZERS.get(optimizer.lower()) if isinstance(optimizer, str) else optimizer
    if make is None or not callable(make):
        raise TorchError(
            f"optimizer {optimizer!r} is not known; give one of {', '.join(OPTIMIZERS)}, 'none', an optimizer, or a "
            "function that makes one of parameters"
        )
    with outside_modes(), FakeTensorMode(shape_env=ShapeEnv()):
        given = [nn.Parameter(_like(parameter)) for parameter in trained]
        made = make(given)
    if not isinstance(made, torch.optim.Optimizer):
        raise TorchError(f"the function for an optimizer made {type(made).__name__!r} object; make a torch.optim one")
    if not {id(each) for group in made.param_groups for each in group["params"]} <= set(map(id, given)):
        raise TorchError(
            f"the function for an optimizer made {type(made).__name__} for other parameters than those given; have it "
            "use its argument"
        )
    return made


def _held(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of the storages in an optimizer's state."""
    tensors = [local(leaf) for state in optimizer.state.values() for leaf in tree_leaves(state)]
    storages = {storage_id(leaf): leaf for leaf in tensors if isinstance(leaf, torch.Tensor)}
    return sum(leaf.untyped_storage().nbytes() for leaf in storages.values())


def local(tensor: Any) -> Any:  # noqa: ANN401 - a tensor
    """What this process holds of a tensor, which may be sharded."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def _like(tensor: torch.Tensor) -> torch.Tensor:
    parameter = local(tensor)
    return torch.empty_strided(parameter.shape, parameter.stride(), dtype=parameter.dtype, device="cpu")


def _on_fakes(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The same optimizer, but for fake parameters, and without its state."""
    with outside_modes(), FakeTensorMode(shape_env=ShapeEnv()):
        return _with(optimizer, lambda given: [nn.Parameter(_like(each), each.requires_grad) for each in given])


def _with(optimizer: torch.optim.Optimizer, change: Callable[[list[Any]], list[Any]]) -> torch.optim.Optimizer:
    # Copies as PyTorch makes them lack what subclasses add.
    other = object.__new__(type(optimizer))
    vars(other).update(vars(optimizer))
    other.param_groups = [{**group, "params": change(group["params"])} for group in optimizer.param_groups]
    other.state = defaultdict(dict)
    return other


def _of_fakes(optimizer: torch.optim.Optimizer) -> int:
    """The state after a step on fake parameters, one group after another."""
    groups = optimizer.param_groups
    mode = next(parameter.fake_mode for group in groups for parameter in group["params"])
    with outside_modes(), mode:
        for group in groups:
            trained = [parameter for parameter in group["params"] if parameter.requires_grad]
            for parameter in trained:
                parameter.grad = torch.empty_like(parameter)
            optimizer.param_groups = [group]
            _step(optimizer, trained)
    optimizer.param_groups = groups
    return _held(optimizer)


def _step(optimizer: torch.optim.Optimizer, trained: Sequence[nn.Parameter]) -> None:
    try:
        optimizer.step()
    except Exception as error:
        # PyTorch's own make all of their state before they look at any number, which fake tensors do not have.
        if not all(optimizer.state.get(parameter) for parameter in trained):
            raise TorchError(
                f"{type(optimizer).__name__} cannot be stepped without numbers to tell what it holds "
                f"({type(error).__name__}); give the optimizer itself after its first step"
            ) from error


def _workspace(optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter]) -> int:
    """What a step takes for a while, by what it takes for a few small parameters of the same type.

    As much as the parameters take, where it does not step on such: needs a GPU or a closure, say.
    """
    whole = sum(map(_bytes, parameters))
    with outside_modes():
        small = [nn.Parameter(torch.full((_SIDE, _SIDE), 0.5, dtype=parameters[0].dtype)) for _ in range(_SAMPLES)]
        sample = _with(optimizer, lambda _: [])
        group = {**sample.param_groups[0], "params": small}
        if "foreach" in group and not group.get("fused"):
            group["foreach"] = True if group["foreach"] is None else group["foreach"]
        sample.param_groups = [group]

        def step() -> int:
            for parameter in small:
                parameter.grad = torch.full_like(parameter, 0.5)
            memory = record(sample.step)
            return memory.peak - max(0, memory.held[-1] if memory.held else 0)

        try:
            step()
            # The second step: state is there by then.
            taken = step()
        except ExecutionError:
            raise
        except Exception:  # noqa: BLE001 - whatever the optimizer does not take
            return whole
    if group.get("foreach"):
        return taken * whole // sum(map(_bytes, small))
    return taken * max(map(_bytes, parameters)) // _bytes(small[0])


def _bytes(tensor: torch.Tensor) -> int:
    held = local(tensor)
    return int(held.numel() * held.element_size())
