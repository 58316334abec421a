"""The backends of ``torch.compile`` that run planned steps, by what makes code of them."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import torch

from hcp.integrations.torch.capture import backend
from hcp.integrations.torch.errors import TorchVersionError
from hcp.integrations.torch.family import Family
from hcp.integrations.torch.step_planner import TorchExecutor

_INDUCTORS: Final = "hcp.integrations.torch.inductor.backend"


def backend_of(executor: TorchExecutor) -> Callable[..., Any]:
    """A backend that hands each training step to an executor, as its request says.

    Raises:
        TorchVersionError: See ``inductor``.
    """
    if executor.request.compiler == "inductor":
        made: Callable[..., Any] = inductor().fused_backend(executor)
        return made
    return backend(
        lambda joint: Family(joint, executor.step, executor.ahead, partial(executor.hold, len(joint.outputs))).sized
    )


def inductor() -> ModuleType:
    """What plans inside Inductor; it takes seconds to load.

    Raises:
        TorchVersionError: If this version of Inductor lacks something that it relies on.
    """
    try:
        return import_module(_INDUCTORS)
    except (ImportError, AttributeError) as error:
        raise TorchVersionError(
            f"compiler='inductor' does not work with PyTorch {torch.__version__} ({error}); it was tested with 2.13: "
            "install that, or give compiler='aot_eager'"
        ) from error
