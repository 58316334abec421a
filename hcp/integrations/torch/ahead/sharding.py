"""A step of which each device holds a share of the parameters, as FSDP2 has it: gathers and scatters are nodes.

The parameters of a unit are gathered by one node before their first reader. That node can run again like any other, so
that the plan decides which units are resharded after the forward. The gradients of a unit are reduced and scattered by
another, once all are there; what stays of each is a share.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Final

from torch import fx

from hcp.graph.ir import Graph, Node, Value
from hcp.integrations.devices import LAUNCH_NANOSECONDS, Device
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.internals import input_place
from hcp.integrations.torch.lower import Lowered
from hcp.integrations.torch.program import tensor_bytes

GATHER: Final = "GATHER"
SCATTER: Final = "SCATTER"
AXES: Final = ("fsdp", "dp")


def ranks_of(mesh: Mapping[str, int] | int | None) -> int:
    """Over how many devices parameters are sharded.

    Args:
        mesh: Sizes by axis: ``"fsdp"`` shards, ``"dp"`` replicates; a number is that of ``"fsdp"``.

    Raises:
        TorchError: If it is anything else.
    """
    axes = {"fsdp": 1 if mesh is None else mesh} if not isinstance(mesh, Mapping) else mesh
    for axis, size in axes.items():
        if axis not in AXES:
            raise TorchError(
                f"mesh axis {axis!r} is not known; give {' and '.join(map(repr, AXES))} (parameters sharded as FSDP2 "
                "does, and replicas)"
            )
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise TorchError(f"mesh axis {axis!r} of size {size!r} is not understood; give a number of one or more")
    return axes.get("fsdp", 1)


def shard_shape(shape: tuple[int, ...], ranks: int) -> tuple[int, ...]:
    """What the first of some devices holds of a parameter: an equal share of its rows, or one more."""
    return (-(-shape[0] // ranks), *shape[1:]) if shape else shape


def unit_of(name: str) -> str:
    """The unit that a parameter is gathered with: the outermost numbered module that holds it, else the root."""
    parts = name.split(".")
    numbered = next((i for i, part in enumerate(parts) if part.isdigit()), None)
    return "" if numbered is None else ".".join(parts[: numbered + 1])


def sharded(lowered: Lowered, parameters: frozenset[str], ranks: int, device: Device) -> Graph:
    """The graph of a step on one of several devices that each hold a share of the parameters.

    Args:
        lowered: The step on one device.
        parameters: Names of the parameters, as ``Traced`` has them.
        ranks: How many devices there are.
        device: What they are.
    """
    return lowered.graph if ranks == 1 else _Sharding(lowered, parameters, ranks, device).run()


@dataclass
class _Sharding:
    lowered: Lowered
    parameters: frozenset[str]
    ranks: int
    device: Device
    # The parameters that each tensor looks at.
    looks: dict[fx.Node, frozenset[fx.Node]] = field(default_factory=dict)
    unit: dict[fx.Node, str] = field(default_factory=dict)

    def run(self) -> Graph:
        joint, graph = self.lowered.program.joint, self.lowered.graph
        for primal in joint.primals:
            place = input_place(primal)
            if place is not None and joint.traced.names[place] in self.parameters:
                self.unit[primal] = unit_of(joint.traced.names[place])
                self.looks[primal] = frozenset({primal})
        for node in self.lowered.program.operations:
            if node in self.lowered.views:
                self.looks[node] = self._seen(node)
        return Graph(tuple(self._nodes()), graph.inputs, name=graph.name, cost_unit=graph.cost_unit)

    def _seen(self, node: fx.Node) -> frozenset[fx.Node]:
        again = self.lowered.program.again.get(node)
        sources = list(node.all_input_nodes)
        if again is not None:
            fx.node.map_arg((again.args, again.kwargs), sources.append)
        return frozenset[fx.Node]().union(*(self.looks.get(source, frozenset()) for source in sources))

    def _nodes(self) -> Iterator[Node]:
        gathered: set[str] = set()
        waiting = self._gradients()
        unit_of_gradient = {name: unit for unit, names in waiting.items() for name in names}
        for node in self.lowered.graph.nodes:
            units = self._read(node)
            yield from (self._gather(unit) for unit in units if unit not in gathered)
            gathered.update(units)
            reads = (*node.inputs, *(f"{GATHER}:{unit}" for unit in units))
            made = [value.name for value in node.outputs if value.name in unit_of_gradient]
            yield replace(node, inputs=reads, outputs=tuple(_let_go(value, made) for value in node.outputs))
            for name in made:
                unit = unit_of_gradient[name]
                del waiting[unit][name]
                if not waiting[unit]:
                    yield self._scatter(unit, [each for each, its in unit_of_gradient.items() if its == unit])

    def _read(self, node: Node) -> list[str]:
        """The units whose parameters a node looks at."""
        seen = (self._seen(compute) for compute in self.lowered.computes.get(node.name, ()))
        return sorted({self.unit[primal] for primals in seen for primal in primals})

    def _gradients(self) -> dict[str, dict[str, None]]:
        """The values that are gradients of each unit's parameters, in the parameters' order in every process."""
        joint, value_of = self.lowered.program.joint, self.lowered.value_of
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for primal, gradient in zip(joint.primals, joint.gradients, strict=True):
            if primal in self.unit and isinstance(gradient, fx.Node):
                value = value_of.get(_stored(gradient, self.lowered.views))
                if value is not None:
                    found[self.unit[primal]].setdefault(value)
        return found

    def _trained(self, primal: fx.Node) -> bool:
        joint = self.lowered.program.joint
        return isinstance(joint.gradients[joint.primals.index(primal)], fx.Node)

    def _gather(self, unit: str) -> Node:
        size = sum(tensor_bytes(primal) for primal, its in self.unit.items() if its == unit)
        # They arrive in one buffer, and are copied out of it.
        return Node(f"{GATHER}:{unit}", "all_gather", (), (Value(f"{GATHER}:{unit}", size),), self._moved(size), size)

    def _scatter(self, unit: str, gradients: list[str]) -> Node:
        values = self.lowered.graph.values
        size = sum(values[name].bytes for name in gradients)
        primals = [primal.meta["val"] for primal, its in self.unit.items() if its == unit and self._trained(primal)]
        shares = (prod(shard_shape(tuple(each.shape), self.ranks)) * each.element_size() for each in primals)
        kept = Value(f"{SCATTER}:{unit}", sum(shares), "gradient", resident=True)
        # They leave from one buffer, into which they are copied.
        return Node(f"{SCATTER}:{unit}", "reduce_scatter", tuple(gradients), (kept,), self._moved(size), size)

    def _moved(self, size: int) -> int:
        return round(LAUNCH_NANOSECONDS + size * (self.ranks - 1) / self.ranks / self.device.link)


def _let_go(value: Value, made: list[str]) -> Value:
    """Of whole gradients only shares stay."""
    return replace(value, kind="activation", resident=False) if value.name in made else value


def _stored(node: fx.Node, views: set[fx.Node]) -> fx.Node:
    """What a tensor's storage was made by: itself, or the end of a chain of views."""
    while node in views:
        node = node.all_input_nodes[0]
    return node
