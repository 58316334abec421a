"""A step captured with symbols for its sizes, made concrete: as if it had been captured with the sizes at hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import fx

from hcp.integrations.torch.capture import Joint, Traced
from hcp.integrations.torch.errors import CaptureError
from hcp.integrations.torch.internals import FakeTensorMode, evaluated, is_symbolic, outside_modes

# The symbols of a step with the numbers that a call gives them.
Sizes = Mapping[Any, int]


def concrete(joint: Joint, sizes: Sizes) -> Joint:
    """The joint graph for some sizes, with a graph of its own, which planning changes.

    Raises:
        CaptureError: If an operation does not run on tensors of these sizes.
    """
    if not sizes:
        return _copied(joint)
    # Who compiles or calls has modes of its own; examples of several do not mix.
    with outside_modes(), FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        return _Concrete(joint, sizes).run()


def _copied(joint: Joint) -> Joint:
    """The same with a graph of its own."""
    graph, found = fx.Graph(), dict[fx.Node, fx.Node]()
    returned = graph.output(graph.graph_copy(joint.module.graph, found))
    (output,) = joint.module.graph.find_nodes(op="output")
    returned.meta.update(output.meta)
    return replace(
        joint,
        module=fx.GraphModule(joint.module, graph),
        primals=tuple(map(found.__getitem__, joint.primals)),
        tangents=tuple(map(found.__getitem__, joint.tangents)),
        mutated=tuple(None if primal is None else found[primal] for primal in joint.mutated),
    )


@dataclass
class _Concrete:
    """Replaces the symbols of a joint graph by numbers, and finds its examples anew, on fake tensors."""

    joint: Joint
    sizes: Sizes
    graph: fx.Graph = field(default_factory=fx.Graph)
    # What stands for each node: a node, or a number that is known now.
    found: dict[fx.Node, Any] = field(default_factory=dict)

    def run(self) -> Joint:
        joint = self.joint
        for node in joint.module.graph.nodes:
            if node.op != "output":
                self.found[node] = self._visit(node)
        gradients = [g for primal, g in zip(joint.primals, joint.gradients, strict=True) if self._stays(primal)]
        (output,) = joint.module.graph.find_nodes(op="output")
        returned = self.graph.output(fx.node.map_arg((*joint.outputs, *gradients), self.found.__getitem__))
        returned.meta.update(output.meta)
        return Joint(
            self._traced(),
            fx.GraphModule(joint.module, self.graph),
            tuple(self.found[node] for node in joint.primals if self._stays(node)),
            tuple(self.found[node] for node in joint.tangents),
            tuple(None if primal is None else self.found[primal] for primal in joint.mutated),
        )

    def _stays(self, primal: fx.Node) -> bool:
        return isinstance(self.found[primal], fx.Node)

    def _visit(self, node: fx.Node) -> Any:  # noqa: ANN401 - a node or a number
        value = node.meta.get("val")
        if is_symbolic(value):
            return evaluated(value, self.sizes)
        args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), self.found.__getitem__)
        made = self.graph.create_node(node.op, node.target, args, kwargs, name=node.name)
        made.meta.update(node.meta)
        if node.op == "call_function":
            made.meta["val"] = self._result(node, args, kwargs)
        elif isinstance(value, torch.Tensor):
            made.meta["val"] = self._sized(value)
        return made

    def _result(self, node: fx.Node, args: Any, kwargs: Any) -> object:  # noqa: ANN401
        args, kwargs = fx.node.map_arg((args, kwargs), lambda source: source.meta["val"])
        target: Any = node.target
        try:
            return target(*args, **kwargs)
        except Exception as error:
            raise CaptureError(
                f"operation {node.target} ({node.name}) does not run on tensors of other sizes than it was captured "
                f"with ({error}); give checkpoint(..., dynamic=False), which captures every shape by itself"
            ) from error

    def _sized(self, like: torch.Tensor) -> torch.Tensor:
        """A tensor of the sizes that are known now; what its storage holds besides is there as well."""
        size, stride = ([evaluated(each, self.sizes) for each in layout] for layout in (like.shape, like.stride()))
        amount = evaluated(like.untyped_storage().nbytes(), self.sizes) // like.dtype.itemsize
        base = torch.empty(amount, dtype=like.dtype, device=like.device)
        return base.as_strided(size, stride, evaluated(like.storage_offset(), self.sizes))

    def _traced(self) -> Traced:
        traced = self.joint.traced
        inputs = []
        for given in traced.inputs:
            if isinstance(given, torch.Tensor):
                inputs.append(self._sized(given).requires_grad_(given.requires_grad))
            else:
                inputs.append(evaluated(given, self.sizes))
        return Traced(traced.module, tuple(inputs), traced.names)
