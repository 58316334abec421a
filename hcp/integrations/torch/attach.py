"""How a plan's executor belongs to a module: as its ``forward``, which copies and pickles take along.

Hooks on the module run outside of the plan, so that those of FSDP, which are no part of the computation, can gather
the parameters first.
"""

import weakref
from collections.abc import Callable
from copy import deepcopy
from functools import update_wrapper
from typing import Any, Final

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
        self._run = guarded(module, forward, self.executor, self._compiled(forward))
        update_wrapper(self, forward)
        # Dynamo looks here for what torch.export made, fx.GraphModule.
        self.__code__ = getattr(forward, "__code__", None)
        _PLANNED[module] = weakref.ref(self)

    def _compiled(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """The forward as planned."""
        backend, request = backend_of(self.executor), self.executor.request
        static = compile_whole(self.module, forward, backend)
        if request.compiler == "inductor" or request.dynamic is False:
            return static
        dynamic = compile_whole(self.module, forward, backend, dynamic=None)

        def run(*args: object, **kwargs: object) -> object:
            try:
                return dynamic(*args, **kwargs)
            except CaptureError:
                # What cannot be captured with symbols for its sizes may be without.
                if not self.executor.plans and request.max_length is None:
                    raise
            return static(*args, **kwargs)

        return run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the module takes and returns
        """Runs the module planned."""
        return self._run(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> "PlannedForward":
        module = deepcopy(self.module, memo)
        return PlannedForward(module, self.executor.request, deepcopy(self.original, memo))

    def __reduce__(self) -> tuple[type["PlannedForward"], tuple[object, ...]]:
        return PlannedForward, (self.module, self.executor.request, self.original)


# What plans each module's calls, also where others (accelerate, say) have wrapped its forward since.
_PLANNED: Final[weakref.WeakKeyDictionary[nn.Module, "weakref.ref[PlannedForward]"]] = weakref.WeakKeyDictionary()


def planned_forward(module: nn.Module) -> PlannedForward | None:
    """What plans a module's calls; None where nothing does."""
    known = _PLANNED.get(module)
    return None if known is None else known()


def attach(module: nn.Module, request: TorchRequest) -> TorchExecutor:
    """Routes a module's calls through plans; its type and the names of its parameters stay.

    Raises:
        CaptureError: If the module, or one in it, cannot be planned, as far as that is known before a call.
    """
    for name, inner in module.named_modules():
        place = f"{type(inner).__name__} {name!r} in it" if name else type(module).__name__
        obstacle = _obstacle(inner, whole=not name)
        if obstacle is not None:
            raise CaptureError(f"{place} {obstacle}")
    planned = PlannedForward(module, request, vars(module).get("forward"))
    # Written past nn.Module's own assignment, which looks for parameters and modules.
    vars(module)["forward"] = planned
    return planned.executor


def _obstacle(module: nn.Module, *, whole: bool) -> str | None:
    """Why a module cannot be planned, with what helps; None where nothing stands against it."""
    if is_compiled(module) or planned_forward(module) is not None:
        return (
            "is compiled or planned already; give checkpoint() a module that is not (compiler='inductor' has Inductor "
            "compile the plan)"
        )
    if is_sharded(module) and not whole:
        return (
            "is sharded by itself, so that the whole cannot be captured as one graph; plan such parts each by "
            "themselves, or shard the whole as one"
        )
    if getattr(module, "gradient_checkpointing", False) is True:
        return (
            "has gradient checkpointing enabled, which decides by itself what is recomputed; call "
            "gradient_checkpointing_disable(), and the plan decides it within the budget"
        )
    sparse = isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse
    if sparse and any(parameter.requires_grad for parameter in module.parameters()):
        return "gives sparse gradients, which PyTorch does not capture; make it with sparse=False"
    return None


def executor_of(module: object) -> TorchExecutor:
    """What runs a module's planned steps, or those of the one planned module in it.

    Raises:
        TorchError: If neither the module nor one in it was prepared by ``checkpoint``, or several in it were.
    """
    inside = dict(module.named_modules()) if isinstance(module, nn.Module) else {}
    found = {name: planned for name, inner in inside.items() if (planned := planned_forward(inner)) is not None}
    if not found:
        raise TorchError(f"{type(module).__name__} was not prepared by checkpoint(); prepare it first")
    if len(found) > 1:
        raise TorchError(
            f"{type(module).__name__} holds {len(found)} planned modules ({', '.join(found)}); ask for the plans of one"
        )
    (planned,) = found.values()
    return planned.executor
