"""One process plans for all that run the same step under DistributedDataParallel; the others take its plan."""

from typing import Any

import torch.distributed as dist

from hcp.graph.errors import HcpError
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.inductor.step import Chosen, FusedStep
from hcp.integrations.torch.internals import data_parallel_group


def choose_once(step: FusedStep) -> Chosen | None:
    """The plan for a step: chosen here, or by the first of the processes that share it.

    Raises:
        HcpError: See ``FusedStep.choose``; where another process chooses, with its message.
    """
    group = data_parallel_group()
    if group is None or dist.get_world_size(group) < 2:
        return step.choose()
    first = dist.get_global_rank(group, 0)
    message: list[Any] = [None]
    if dist.get_rank() == first:
        message = [_outcome(step)]
    dist.broadcast_object_list(message, src=first, group=group)
    outcome = message[0]
    if isinstance(outcome, str):
        raise TorchError(outcome)
    return outcome  # type: ignore[no-any-return]


def _outcome(step: FusedStep) -> Chosen | str | None:
    """The choice, or why there is none: the others wait for it either way."""
    try:
        return step.choose()
    except HcpError as error:
        return str(error)
