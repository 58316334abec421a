"""What a framework gives the executor: how to run a node, and what to do where values come and go."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from hcp.graph.ir import Node
from hcp.runtime.codec import Content


class ExecutionCallbacks(ABC):
    """The framework's side of a run. Only ``compute`` has to be there."""

    @abstractmethod
    def compute(self, node: Node, inputs: Mapping[str, Any], *, again: bool) -> Mapping[str, Any]:
        """Runs a node.

        Args:
            node: What to run.
            inputs: Contents of the values that it reads, by name.
            again: Whether it has run before: draws of random numbers must then repeat, and effects must not.

        Returns:
            Contents of all values that it creates, by name.
        """

    def inputs(self, loss: Content) -> Mapping[str, Any]:  # noqa: ARG002 - for callbacks that need it
        """Contents of the graph's own inputs, asked for at the start of a run; ``loss`` is what ``backward`` got."""
        return {}

    def free(self, value: str) -> None:  # noqa: B027 - most frameworks free by reference count
        """Called when a value's live instance goes, after the executor has dropped it."""

    def stored(self, value: str) -> None:  # noqa: B027
        """Called when a value has been put into storage instead of staying at hand."""
