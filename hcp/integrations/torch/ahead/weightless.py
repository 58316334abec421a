"""Modules and inputs that hold no memory: made on the meta device, captured as if they were on the CPU.

PyTorch's capture loses parts of the backward on the meta device; on fake tensors of the CPU it does not. They are made
of the meta tensors here, because fake modules cannot be moved or converted as code that builds a model does.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import nn

from hcp.integrations.torch.errors import CaptureError, TorchError
from hcp.integrations.torch.internals import FakeTensor, FakeTensorMode, tree_leaves, tree_map

T = TypeVar("T")


def made(make: Callable[[], T], what: str) -> T:
    """What a function makes, on the meta device.

    Args:
        make: It.
        what: Its name, for people.

    Raises:
        CaptureError: If it needs the content of tensors, or puts them elsewhere by name.
    """
    try:
        with torch.device("meta"):
            return make()
    except (NotImplementedError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CaptureError(
            f"{what} does not run on the meta device, where tensors have shapes alone ({first}); name no device in "
            "it, and compute what depends on numbers in Python or on device='cpu'"
        ) from error


def dtype_named(dtype: torch.dtype | str | None) -> torch.dtype | None:
    """The floating-point type of a name; None for none.

    Raises:
        TorchError: If it is none.
    """
    if dtype is None:
        return None
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise TorchError(f"dtype {dtype!r} is no floating-point type; give one such as torch.bfloat16, or its name")
    return found


def holds_memory(*trees: object) -> bool:
    """Whether modules, tensors, and what containers hold, are real; those that are not are meta or fake."""
    return not any(tensor.is_meta or isinstance(tensor, FakeTensor) for tensor in _tensors(trees))


def faked(module: nn.Module, inputs: T, dtype: torch.dtype | None = None) -> tuple[nn.Module, T]:
    """A copy of a module and its inputs on fake tensors of the CPU; content is not copied.

    Args:
        module: Stays as it is.
        inputs: Containers of tensors.
        dtype: Where given, the type of all floating-point tensors.
    """
    fakes = _Fakes(dtype)
    attributes = [item for inner in module.modules() for name, item in vars(inner).items() if name[0] != "_"]
    # Copying looks up here what was copied already, tied tensors included.
    copied: dict[int, Any] = {id(tensor): fakes.of(tensor) for tensor in _tensors([module, *attributes])}
    return deepcopy(module, copied), tree_map(fakes.of, inputs)


class _Fakes:
    """Fake tensors, one a tensor."""

    def __init__(self, dtype: torch.dtype | None) -> None:
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._dtype = dtype
        # With the tensors themselves, so that no other one gets their identity.
        self._known: dict[int, tuple[torch.Tensor, object]] = {}

    def of(self, item: Any) -> Any:  # noqa: ANN401 - whatever containers hold
        if not isinstance(item, torch.Tensor) or isinstance(item, FakeTensor):
            return item
        if id(item) not in self._known:
            dtype = self._dtype if self._dtype is not None and item.is_floating_point() else item.dtype
            with self._mode:
                made = torch.empty_strided(item.shape, item.stride(), dtype=dtype, device="cpu")
            parameter = isinstance(item, nn.Parameter)
            known = nn.Parameter(made, item.requires_grad) if parameter else made.requires_grad_(item.requires_grad)
            self._known[id(item)] = item, known
        return self._known[id(item)][1]


def _tensors(items: Any) -> list[torch.Tensor]:  # noqa: ANN401 - modules and containers
    found: list[torch.Tensor] = []
    for item in tree_leaves(items):
        if isinstance(item, nn.Module):
            found += [*item.parameters(), *item.buffers()]
        elif isinstance(item, torch.Tensor):
            found.append(item)
    return found
