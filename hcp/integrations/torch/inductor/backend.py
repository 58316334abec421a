"""The backend of ``torch.compile`` that has Inductor compile a training step with a plan inside."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from hcp.integrations.torch.capture import traced_of
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.inductor.internals import settings
from hcp.integrations.torch.inductor.ranks import choose_once
from hcp.integrations.torch.inductor.step import FusedStep
from hcp.integrations.torch.plans import TorchPlan
from hcp.integrations.torch.step_planner import TorchExecutor


def fused_backend(executor: TorchExecutor) -> Callable[..., Any]:
    """Inductor's backend, with each training step planned; the plan joins the executor's.

    Calls that need no gradient run as Inductor compiles them. The backend raises HcpError if a step cannot be planned,
    or no plan was found whose program keeps the budget.
    """

    def compile_traced(
        module: fx.GraphModule, inputs: Sequence[Any], mode: str | None = None, options: Mapping[str, Any] | None = None
    ) -> Callable[..., Any]:
        request = executor.request
        patches = inductor_settings(request.mode, request.options) | inductor_settings(mode, options)
        step = FusedStep(traced_of(module, inputs), patches, request, executor.name, executor.inputs())
        trains = torch.is_grad_enabled() and any(isinstance(item, Tensor) and item.requires_grad for item in inputs)
        if not trains:
            return step.unplanned()
        chosen = choose_once(step)
        if chosen is None:
            return step.unplanned()
        executor.plans.append(
            TorchPlan(chosen.found.plan, step.inputs, chosen.found.source, chosen.measured_bytes, chosen.allowed_bytes)
        )
        return step.program(chosen.found.plan)

    return compile_traced


def inductor_settings(mode: str | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Inductor's settings for what ``torch.compile`` calls a mode and options.

    Raises:
        TorchError: If Inductor does not know them.
    """
    try:
        return settings(mode, options)
    except (RuntimeError, KeyError) as error:
        raise TorchError(
            f"Inductor does not take mode {mode!r} with options {dict(options or {})!r}: {error}"
        ) from error
