"""How a plan's executor belongs to a module: as its ``forward``, which copies and pickles take along.

Hooks on the module run outside of the plan, so that those of FSDP, which are no part of the computation, can gather
the parameters first.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import update_wrapper
from typing import Any

from torch import nn

from hcp.integrations.torch.backends import backend_of
from hcp.integrations.torch.capture import compile_whole, forward_of, is_sharded
from hcp.integrations.torch.errors import CaptureError, TorchError
from hcp.integrations.torch.guard import guarded
from hcp.integrations.torch.internals import is_compiled
from hcp.integrations.torch.request import TorchRequest
from hcp.integrations.torch.step_planner import TorchExecutor


class PlannedForward:
    """What a planned module has as its ``forward``.

    PyTorch drops the compiled call of a module that is copied or pickled, so that the copy would run unplanned without
    a word. This is copied with its module, and captures and plans the copy's steps itself.

    Args:
        module: Gets this as its ``forward``.
        request: How to plan.
        original: What to plan, if not what the module's class has.
    """

    def __init__(self, module: nn.Module, request: TorchRequest, original: Callable[..., Any] | None = None) -> None:
        self.module = module
        self.original = original
        self.executor = TorchExecutor(type(module).__name__, request)
        forward = forward_of(module) if original is None else original
        self._run = guarded(module, forward, self.executor, compile_whole(module, forward, backend_of(self.executor)))
        update_wrapper(self, forward)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the module takes and returns
        """Runs the module planned."""
        return self._run(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> "PlannedForward":
        module = deepcopy(self.module, memo)
        return PlannedForward(module, self.executor.request, deepcopy(self.original, memo))

    def __reduce__(self) -> tuple[type["PlannedForward"], tuple[object, ...]]:
        return PlannedForward, (self.module, self.executor.request, self.original)


def attach(module: nn.Module, request: TorchRequest) -> TorchExecutor:
    """Routes a module's calls through plans; its type and the names of its parameters stay.

    Raises:
        CaptureError: If the module, or one in it, is compiled or planned already.
    """
    for name, inner in module.named_modules():
        if is_compiled(inner) or isinstance(vars(inner).get("forward"), PlannedForward):
            place = f"{type(inner).__name__} {name!r} in it" if name else type(module).__name__
            raise CaptureError(f"{place} is compiled or planned already; give checkpoint() a module that is not")
        if name and is_sharded(inner):
            raise CaptureError(
                f"{type(inner).__name__} {name!r} in it is sharded by itself, so that the whole cannot be captured as "
                "one graph; plan such parts each by themselves, or shard the whole as one"
            )
    planned = PlannedForward(module, request, vars(module).get("forward"))
    # Written past nn.Module's own assignment, which looks for parameters and modules.
    vars(module)["forward"] = planned
    return planned.executor


def executor_of(module: nn.Module) -> TorchExecutor:
    """What runs a module's planned steps.

    Raises:
        TorchError: If the module was not prepared by ``checkpoint``.
    """
    found = vars(module).get("forward") if isinstance(module, nn.Module) else None
    if not isinstance(found, PlannedForward) or found.module is not module:
        raise TorchError(f"{type(module).__name__} was not prepared by checkpoint(); prepare it first")
    return found.executor
