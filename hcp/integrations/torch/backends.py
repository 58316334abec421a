"""The backends of ``torch.compile`` that run planned steps, by what makes code of them."""

from collections.abc import Callable
from typing import Any

from hcp.integrations.torch.capture import backend
from hcp.integrations.torch.step_planner import TorchExecutor


def backend_of(executor: TorchExecutor) -> Callable[..., Any]:
    """A backend that hands each training step to an executor, as its request says."""
    if executor.request.compiler == "inductor":
        # Inductor takes seconds to load.
        from hcp.integrations.torch.inductor.backend import fused_backend

        return fused_backend(executor)
    return backend(executor.split)
