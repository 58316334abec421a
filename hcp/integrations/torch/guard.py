"""What surrounds a planned call: no silent unplanned run, and clear errors in the backward pass."""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from hcp.graph.errors import HcpError
from hcp.integrations.planning import allow_unplanned
from hcp.integrations.torch.boundary import Keeper, abandon, watched
from hcp.integrations.torch.errors import ExecutionError
from hcp.integrations.torch.function import FunctionStep
from hcp.integrations.torch.internals import COMPILED_NODE, may_differ, packs_saved_tensors, tree_leaves
from hcp.integrations.torch.measure import eager_peak
from hcp.integrations.torch.step_planner import TorchExecutor
from hcp.schedule.budget import is_of_eager

# How many views an output may be away from the node of the planned step.
_VIEWS: Final = 3
_EDITED: Final = "modified by an inplace operation"


def guarded(
    module: nn.Module, forward: Callable[..., Any], executor: TorchExecutor, call: Callable[..., Any]
) -> Callable[..., Any]:
    """A forward that runs planned, or raises, or (where the request says so) warns and runs unplanned.

    Calls that need no gradient run as the user wrote them: whoever generates text calls with a new length each time.
    """
    name = type(module).__name__
    unplanned: set[object] = set()

    def run(*args: object, **kwargs: object) -> object:
        # Not within the planned call: what autograd opened under one profiler must not end under the next.
        abandon()
        if torch.compiler.is_exporting():
            raise ExecutionError(
                f"{name} is planned, and plans are no part of what torch.export writes; export it before checkpoint()"
            )
        if not _asks_gradient(module, args, kwargs):
            return forward(*args, **kwargs)
        if unplanned and _variant(module, args, kwargs) in unplanned:
            return forward(*args, **kwargs)
        executor.called_with = (args, kwargs)
        if not executor.plans:
            _declare_lengths(executor)
            if executor.eager_bytes is None and is_of_eager(executor.request.budget):
                executor.eager_bytes = eager_peak(module, forward, args, kwargs)
        try:
            executor.look_at(module)
            outputs = call(*args, **kwargs)
        except HcpError as error:
            warning = f"{name} runs unplanned on {executor.inputs()}, with the memory that it takes: {error}"
            allow_unplanned(executor.request, error, warning)
            unplanned.add(_variant(module, args, kwargs))
            return forward(*args, **kwargs)
        finally:
            executor.called_with = None
        if not _watch(outputs, name) and not executor.plans and _trains(module, outputs):
            _ran_unplanned(name, executor)
        return outputs

    # Inside another compiled module this is a graph break, or Dynamo would trace through it and run it unplanned.
    planned: Callable[..., Any] = torch.compiler.disable(run)  # type: ignore[no-untyped-call]
    return planned


def _declare_lengths(executor: TorchExecutor) -> None:
    """Tells Dynamo which sizes of the first call are the length of its sequences, where the longest was declared.

    That is the second size of the first input that has two, and whatever is as long.
    """
    if executor.request.max_length is None:
        return
    tensors = [leaf for leaf in tree_leaves(executor.called_with) if isinstance(leaf, Tensor) and leaf.dim() > 1]
    if not tensors:
        return
    executor.length = tensors[0].shape[1]
    for tensor in tensors:
        for place in range(1, tensor.dim()):
            if tensor.shape[place] == executor.length:
                may_differ(tensor, place)


def _asks_gradient(module: nn.Module, args: object, kwargs: object) -> bool:
    if not torch.is_grad_enabled():
        return False
    # A function may train what was not found.
    return (
        isinstance(module, FunctionStep)
        or any(parameter.requires_grad for parameter in module.parameters())
        or any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in tree_leaves((args, kwargs)))
    )


def _variant(module: nn.Module, args: object, kwargs: object) -> object:
    leaves = tree_leaves((args, kwargs))
    return (
        module.training,
        tuple((tuple(x.shape), x.dtype) if isinstance(x, Tensor) else repr(x) for x in leaves),
    )


def _ran_unplanned(name: str, executor: TorchExecutor) -> None:
    reason = (
        f"{name} ran unplanned, because torch.compile is switched off (TORCHDYNAMO_DISABLE, "
        "torch.compiler.set_stance or torch._dynamo.config); switch it on for planned modules"
    )
    allow_unplanned(executor.request, ExecutionError(reason), stacklevel=4)


def _trains(module: nn.Module, outputs: object) -> bool:
    """Whether gradients of a module's own parameters are asked for."""
    return any(p.requires_grad for p in module.parameters()) and any(
        isinstance(output, Tensor) and output.requires_grad for output in tree_leaves(outputs)
    )


def _watch(outputs: object, name: str) -> bool:
    """Has the planned backward check first what PyTorch would only say in its own terms; False if there is none."""
    nodes = {_planned_node(out.grad_fn) for out in tree_leaves(outputs) if isinstance(out, Tensor)} - {None}
    # Hooks that pack saved tensors, such as save_on_cpu, would have to unpack them once more for the check.
    packed = packs_saved_tensors()
    watching = watched()
    if watching is not None and not nodes:
        watching.leave()
    for node in nodes:
        assert node is not None
        if watching is not None:
            node.register_prehook(Keeper(watching))
        # A hook that held its own node would keep the saved tensors alive.
        node.register_prehook(partial(_before_backward, weakref.ref(node), name, packed))
    return bool(nodes)


def _planned_node(node: Node | None) -> Node | None:
    """The node of the planned step that an output comes from, perhaps through views."""
    for _ in range(_VIEWS):
        if node is None or type(node).__name__ == COMPILED_NODE:
            return node
        node = node.next_functions[0][0] if len(node.next_functions) == 1 else None
    return None


def _before_backward(weak: "weakref.ref[Any]", name: str, packed: bool, _gradients: object) -> None:
    node = weak()
    if node is None:
        return
    if torch.is_grad_enabled():
        node.register_hook(partial(_differentiable_gradients, name))
    if packed:
        return
    try:
        _ = node.saved_tensors
    except RuntimeError as error:
        if _EDITED not in str(error):
            raise
        raise ExecutionError(
            f"a weight or input of {name} was changed in place between its forward and its backward, which needs the "
            f"content that it had ({_first_sentence(error)}); run the backward first, or change a copy"
        ) from error


def _differentiable_gradients(name: str, gradients: tuple[Tensor | None, ...], _: object) -> None:
    for node in {gradient.grad_fn for gradient in gradients if gradient is not None} - {None}:
        assert node is not None
        node.register_prehook(partial(_refuse_second_derivative, name))


def _refuse_second_derivative(name: str, _gradients: object) -> None:
    raise ExecutionError(
        f"the gradients of {name} are differentiated again, which a planned step cannot do (torch.compile compiles no "
        "double backward); take second derivatives with a module that is not planned"
    )


def _first_sentence(error: RuntimeError) -> str:
    return str(error).partition(". Hint")[0]
