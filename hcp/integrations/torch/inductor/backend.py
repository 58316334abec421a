"""The backend of ``torch.compile`` that has Inductor compile a training step with a plan inside."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from hcp.graph.ir import Graph
from hcp.integrations.torch.capture import Traced, look_at, traced_of
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.inductor.internals import settings
from hcp.integrations.torch.inductor.step import Chosen, FusedStep
from hcp.integrations.torch.plans import TorchPlan
from hcp.integrations.torch.ranks import once
from hcp.integrations.torch.step_planner import TorchExecutor


def fused_backend(executor: TorchExecutor) -> Callable[..., Any]:
    """Inductor's backend, with each training step planned; the plan joins the executor's.

    Calls that need no gradient run as Inductor compiles them. The backend raises HcpError if a step cannot be planned,
    or no plan was found whose program keeps the budget.
    """

    def compile_traced(
        module: fx.GraphModule, inputs: Sequence[Any], mode: str | None = None, options: Mapping[str, Any] | None = None
    ) -> Callable[..., Any]:
        step = _step(executor, traced_of(module, inputs), mode, options)
        chosen = once(step.key, step.choose, executor.request.time_limit) if _may_train(inputs) else None
        if chosen is None:
            return step.unplanned()
        executor.take(_plan(step, chosen))
        return step.program(chosen.found.plan)

    return compile_traced


def fused_plan(
    executor: TorchExecutor, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> TorchPlan:
    """The plan that a call would run by, whose program is compiled and measured.

    Raises:
        HcpError: If the step cannot be captured or planned, or no plan was found whose program keeps the budget.
    """

    def look(traced: Traced) -> TorchPlan | None:
        step = _step(executor, traced)
        chosen = step.choose() if _may_train(traced.inputs) else None
        return None if chosen is None else _plan(step, chosen)

    return look_at(module, args, kwargs, look)


def fused_graph(
    executor: TorchExecutor, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Graph:
    """The graph of kernels that a call is planned on.

    Raises:
        HcpError: If the step cannot be captured, or nothing in it needs a gradient.
    """

    def look(traced: Traced) -> Graph | None:
        step = _step(executor, traced)
        return step.lowered.graph if _may_train(traced.inputs) and step.joint is not None else None

    return look_at(module, args, kwargs, look)


def _step(
    executor: TorchExecutor, traced: Traced, mode: str | None = None, options: Mapping[str, Any] | None = None
) -> FusedStep:
    executor.note(traced)
    request = executor.asked
    patches = inductor_settings(request.mode, request.options) | inductor_settings(mode, options)
    return FusedStep(traced, patches, request, executor.name, executor.inputs(), executor.allowed)


def _may_train(inputs: Sequence[Any]) -> bool:
    return torch.is_grad_enabled() and any(isinstance(item, Tensor) and item.requires_grad for item in inputs)


def _plan(step: FusedStep, chosen: Chosen) -> TorchPlan:
    found = chosen.found
    return TorchPlan(
        found.plan, step.inputs, found.source, chosen.measured_bytes, chosen.allowed_bytes, step.request.cost
    )


def inductor_settings(mode: str | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Inductor's settings for what ``torch.compile`` calls a mode and options.

    Raises:
        TorchError: If Inductor does not know them.
    """
    try:
        return settings(mode, options)
    except (RuntimeError, KeyError) as error:
        # It goes on with the names of all that it knows, which are hundreds.
        reason, _, more = str(error).partition(", known options are")
        where = "; torch._inductor.list_options() has those that there are" if more else ""
        raise TorchError(
            f"Inductor does not take mode {mode!r} with options {dict(options or {})!r}: {reason}{where}"
        ) from error
