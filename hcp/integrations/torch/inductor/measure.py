"""What a compiled step really takes, seen before the user's first call of it."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from hcp.integrations.torch.capture import Joint
from hcp.integrations.torch.internals import FakeTensor, input_place, outside_modes, tree_leaves
from hcp.integrations.torch.measure import measure_peak
from hcp.integrations.torch.program import writes_input
from hcp.integrations.torch.rng import random_state_kept


def can_run(inputs: Sequence[Any]) -> bool:
    """Whether a step's inputs hold values."""
    return not any(isinstance(item, FakeTensor) or (isinstance(item, Tensor) and item.is_meta) for item in inputs)


def written_inputs(joint: Joint) -> frozenset[int]:
    """Which inputs of the forward a step changes."""
    primals = {primal for primal in joint.mutated if primal is not None}
    operations = joint.module.graph.nodes
    primals.update(node.args[0] for node in operations if node.op == "call_function" and writes_input(node))
    return frozenset(place for primal in primals if (place := input_place(primal)) is not None)


def step_peak(compiled: Callable[..., Any], inputs: Sequence[Any], written: Collection[int]) -> int:
    """Most bytes that a forward and a backward hold above what is there before; nothing is left changed.

    It runs twice, on the inputs at hand: the first run loads libraries. Inputs that it writes to are copies. Hooks on
    parameters do not see it, and no gradient is kept.

    Args:
        compiled: The forward; autograd knows its backward.
        inputs: Of the forward.
        written: Places of the inputs that it changes.
    """
    with outside_modes(), random_state_kept(), torch.enable_grad():
        given = [_stand_in(item, place in written) for place, item in enumerate(inputs)]
        leaves = [item for item in given if isinstance(item, Tensor) and item.requires_grad]

        def run() -> object:
            outputs = [out for out in tree_leaves(compiled(*given)) if isinstance(out, Tensor)]
            ends = [out for out in outputs if out.requires_grad]
            starts = [torch.ones_like(out) for out in ends]
            return outputs, torch.autograd.grad(ends, leaves, starts, allow_unused=True)

        run()
        return measure_peak(run)


def _stand_in(item: Any, written: bool) -> Any:  # noqa: ANN401 - whatever is an input
    if not isinstance(item, Tensor):
        return item
    own = item.detach()
    if written:
        own = torch.empty_strided(item.shape, item.stride(), dtype=item.dtype, device=item.device).copy_(own)
    return own.requires_grad_(item.requires_grad)
