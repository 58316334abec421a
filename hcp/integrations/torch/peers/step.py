"""A training step as it was captured, as it was lowered, and as it can be run: what peers' schedules are made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import nn

from hcp.graph.ir import Graph
from hcp.integrations.torch.capture import Joint
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.internals import copied, partitioned
from hcp.integrations.torch.lower import Lowered
from hcp.integrations.torch.peers.executed import Executed
from hcp.integrations.torch.peers.recorded import recorded
from hcp.integrations.torch.peers.signatures import Signatures, signatures_of


@dataclass(frozen=True)
class Step:
    """A captured training step.

    Attributes:
        module: What was captured.
        args: Of the call.
        kwargs: Of the call.
        joint: The joint graph as it was captured.
        lowered: The graph that is planned, made of another copy of it.
        real: Whether the module and its inputs hold memory, so that they can be run.
    """

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    joint: Joint
    lowered: Lowered
    real: bool

    @property
    def graph(self) -> Graph:
        """What is planned."""
        return self.lowered.graph

    @cached_property
    def signatures(self) -> Signatures:
        """Of the operations as they were captured."""
        return signatures_of(self.joint, self.graph.node.keys())

    def partitioned(self, share: float) -> Executed:
        """What PyTorch's partitioner has run with a setting of ``activation_memory_budget``."""
        forward, backward = partitioned(self.joint.module, len(self.joint.mutated), share)
        return Executed(tuple(forward), tuple(backward))

    def recorded(self, call: Callable[..., Any]) -> Executed:
        """What a program runs that is called in the module's place.

        Raises:
            TorchError: If the step cannot be run, or the program does not run the captured operations.
        """
        if not self.real:
            raise TorchError(
                f"it has to be run to be recorded, and {type(self.module).__name__} or its inputs hold no memory; "
                "make them on a device"
            )
        return recorded(self.joint, self.signatures, call, self.args, self.kwargs)


def twin(joint: Joint) -> Joint:
    """A copy of a joint graph, which stays as it is when the other is made fit for planning."""
    module = copied(joint.module)
    node = {each.name: each for each in module.graph.nodes}
    return replace(
        joint,
        module=module,
        primals=tuple(node[each.name] for each in joint.primals),
        tangents=tuple(node[each.name] for each in joint.tangents),
        mutated=tuple(None if each is None else node[each.name] for each in joint.mutated),
    )
