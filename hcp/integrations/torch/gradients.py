"""Whether a captured step holds the whole backward: PyTorch can lose a part of it and say nothing."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from hcp.integrations.torch.capture import Joint, Traced
from hcp.integrations.torch.errors import CaptureError
from hcp.integrations.torch.internals import input_place, tree_leaves


def check_gradients(joint: Joint) -> None:
    """Refuses a step that lacks gradients which belong to it.

    A step without them would be planned as if their memory and work did not exist. That an input gets none is right
    where autograd itself finds no way to it: where it is frozen, detached, used under ``no_grad`` or for integers.

    Raises:
        CaptureError: Names the parameter or input.
    """
    placed = [(input_place(primal), gradient) for primal, gradient in zip(joint.primals, joint.gradients, strict=True)]
    _check_devices(joint.traced, [place for place, _ in placed if place is not None])
    without = [place for place, gradient in placed if place is not None and gradient is None]
    if not any(_asks(joint.traced.inputs[place]) for place in without):
        return
    reached = _reached(joint)
    lost = next((place for place in without if place in reached), None)
    if lost is not None:
        raise CaptureError(
            f"{joint.traced.names[lost]} requires a gradient, and the outputs depend on it, but the captured step "
            "computes none for it: an operation between them has no backward (PyTorch's warning names it). Register "
            "one, by torch.library.register_autograd, say; or detach what needs no gradient"
        )


def _check_devices(traced: Traced, places: Sequence[int]) -> None:
    # There PyTorch's capture runs composite operations, such as most losses, by kernels that autograd does not know.
    for place in places:
        tensor = traced.inputs[place]
        if isinstance(tensor, Tensor) and tensor.is_meta:
            raise CaptureError(
                f"{traced.names[place]} is on the meta device, on which PyTorch's capture loses parts of the backward, "
                "which a plan would miss; make the module and its inputs on the device that trains, or plan ahead "
                "without their memory by plan_for(), capture_graph() or fit()"
            )


def _asks(given: object) -> bool:
    return isinstance(given, Tensor) and given.requires_grad


def _reached(joint: Joint) -> set[int]:
    """The inputs to which autograd finds a way back from the outputs, by a run on tensors that hold no memory."""
    with joint.fake_mode, torch.enable_grad():
        leaves = {
            place: torch.empty_strided(given.shape, given.stride(), dtype=given.dtype, device=given.device)
            for place, given in enumerate(joint.traced.inputs)
            if isinstance(given, Tensor)
        }
        for place, leaf in leaves.items():
            leaf.requires_grad_(joint.traced.inputs[place].requires_grad)
        # Copies, because a leaf must not be changed in place.
        given = [leaves[place].clone() if place in leaves else x for place, x in enumerate(joint.traced.inputs)]
        ends = _ends(tree_leaves(joint.traced.module(*given)))
    return {place for place, leaf in leaves.items() if id(leaf) in ends}


def _ends(outputs: Sequence[Any]) -> set[int]:
    """Identities of the leaves that autograd's graph of some outputs leads to.

    Functions written in Python are not followed: what they give gradients to is theirs to say.
    """
    seen: set[Any] = set()
    ahead: list[Any] = [output.grad_fn for output in outputs if isinstance(output, Tensor)]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen or isinstance(node, BackwardCFunction):
            continue
        seen.add(node)
        ahead.extend(following for following, _ in node.next_functions)
    return {id(node.variable) for node in seen if hasattr(node, "variable")}
