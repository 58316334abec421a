"""How a plan's executor belongs to a module: through its calls, its copies and its pickles.

PyTorch drops the compiled call of a module that is copied or pickled, so that the copy would run unplanned without a
word. What is attached here is copied along with the module, and installs a planned call on the copy.
"""

from collections.abc import Callable
from typing import Any, Final

from torch import nn

from hcp.integrations.torch.capture import backend, compile_whole
from hcp.integrations.torch.errors import CaptureError, TorchError
from hcp.integrations.torch.executor import Options, TorchExecutor
from hcp.integrations.torch.guard import guarded

_ATTRIBUTE: Final = "_hcp_attachment"


class _Attachment:
    """Ties an executor to one module."""

    def __init__(self, module: nn.Module, options: Options) -> None:
        self.module = module
        self.executor = TorchExecutor(type(module).__name__, options)
        call = compile_whole(module, backend(self.executor.split))
        # Written past nn.Module's own assignment, which a copy that is being built is not ready for.
        vars(module)["_compiled_call_impl"] = guarded(module, self.executor, call)
        vars(module)[_ATTRIBUTE] = self

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Attachment | None":
        # Absent where the attachment is copied without its module.
        copied = memo.get(id(self.module))
        return None if copied is None else _Attachment(copied, self.executor.options)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return _Attachment, (self.module, self.executor.options)


def attach(module: nn.Module, options: Options) -> TorchExecutor:
    """Routes a module's calls through plans; its type and the names of its parameters stay.

    Raises:
        CaptureError: If the module, or one in it, is compiled or planned already.
    """
    for name, inner in module.named_modules():
        if inner._compiled_call_impl is not None:
            place = f"{type(inner).__name__} {name!r} in it" if name else type(module).__name__
            raise CaptureError(f"{place} is compiled or planned already; give checkpoint() a module that is not")
    return _Attachment(module, options).executor


def executor_of(module: nn.Module) -> TorchExecutor:
    """What runs a module's planned steps.

    Raises:
        TorchError: If the module was not prepared by ``checkpoint``.
    """
    found = vars(module).get(_ATTRIBUTE) if isinstance(module, nn.Module) else None
    if not isinstance(found, _Attachment) or found.module is not module:
        raise TorchError(f"{type(module).__name__} was not prepared by checkpoint(); prepare it first")
    return found.executor
