"""The joint graph, with what a planner and an executor have to know beyond it; ``prepare`` fills it in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from hcp.integrations.torch import rng
from hcp.integrations.torch.capture import Joint
from hcp.integrations.torch.internals import argument_names, changes_input, is_operation


@dataclass(frozen=True)
class Call:
    """One way to run a node."""

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class Program:
    """A joint graph with what a planner and an executor have to know beyond the graph.

    Attributes:
        joint: The graph, rewritten.
        again: How to run a node at a recomputation, where that differs from its first execution.
        after: Nodes whose first execution has to come before a node's.
        once: Nodes that must not run again.
        effects: Nodes run for what they do to an input; they create no value.
    """

    joint: Joint
    again: dict[fx.Node, Call] = field(default_factory=dict)
    after: dict[fx.Node, list[fx.Node]] = field(default_factory=dict)
    once: set[fx.Node] = field(default_factory=set)
    effects: set[fx.Node] = field(default_factory=set)

    @property
    def graph(self) -> fx.Graph:
        """The rewritten graph."""
        return self.joint.module.graph

    @property
    def operations(self) -> Iterator[fx.Node]:
        """Everything that is called, in program order."""
        return (node for node in self.graph.nodes if node.op == "call_function")

    def drop_dead(self, acts: Callable[[fx.Node], bool]) -> None:
        """Erases what nobody reads, save operations that do something besides, as ``acts`` says."""
        for node in reversed(list(self.operations)):
            if not node.users and not writes_input(node) and not acts(node):
                self.graph.erase_node(node)

    def order(self, node: fx.Node, *earlier: fx.Node) -> None:
        """Asks that ``node`` first runs after each of ``earlier``."""
        self.after.setdefault(node, []).extend(earlier)

    def depends_on_tangents(self) -> set[fx.Node]:
        """The nodes that can only run in the backward pass."""
        found = set(self.joint.tangents)
        for node in self.operations:
            if any(source in found for source in node.all_input_nodes):
                found.add(node)
        return found


def tensor_bytes(node: fx.Node) -> int:
    """Bytes of all tensors that a node returns, by their shapes."""
    return sum(value.numel() * value.element_size() for value in tensors_of(node))


def tensors_of(node: fx.Node) -> list[torch.Tensor]:
    """The example tensors that a node returns."""
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else (value,)
    return [item for item in values if isinstance(item, torch.Tensor)]


def is_random(node: fx.Node) -> bool:
    """Whether a node draws random numbers."""
    if node.target is rng.draw:
        return True
    target = node.target
    if not is_operation(target) or torch.Tag.nondeterministic_seeded not in target.tags:
        return False
    names = argument_names(target)
    given = dict(zip(names, node.args, strict=False)) | node.kwargs
    # Fused attention carries the tag whether or not it drops anything.
    return not ("dropout_p" in names and given.get("dropout_p", 0.0) == 0.0)


def writes_input(node: fx.Node) -> bool:
    """Whether a node changes one of its inputs."""
    return is_operation(node.target) and changes_input(node.target)
