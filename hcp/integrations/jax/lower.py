"""From a jaxpr to hcp's graph: groups of equations become nodes, what passes between them values."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import jax

from hcp.graph.ir import Graph, Node, Value
from hcp.integrations.devices import Device
from hcp.integrations.jax.cost import group_cost
from hcp.integrations.jax.fusion import Group, group
from hcp.integrations.jax.internals import ClosedJaxpr, is_variable, operation_name, source_of, without_addresses
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.placement import Placement
from hcp.integrations.jax.program import Program, size
from hcp.integrations.jax.regions import region_of
from hcp.integrations.jax.version import check_version
from hcp.integrations.jax.workspace import workspaces
from hcp.plans.cache import CacheOption

# XLA reserves the buffers of all results from the start to the end.
OUTPUTS: Final = "outputs"
# Beside each result's buffer there is a pointer to it; buffers of intermediate values, among them the tables of
# pointers that barriers take, begin at multiples of the alignment.
POINTER: Final = 8
ALIGNMENT: Final = 64
TABLES: Final = 2 * ALIGNMENT


@dataclass(frozen=True, eq=False)
class Lowered:
    """An hcp graph and what its nodes and values stand for.

    Attributes:
        graph: What is planned.
        program: What it was made from.
        groups: The equations behind each node.
        value_of: The name of each variable that is a value of the graph.
    """

    graph: Graph
    program: Program
    groups: Mapping[str, Group]
    value_of: Mapping[Any, str]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the program in words, the same for programs that compile to the same."""
        program = self.program
        text = without_addresses(program.part(program.equations, program.sources, program.outvars))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def variable_of(self) -> Mapping[str, Any]:
        """The variable behind each value."""
        return {name: var for var, name in self.value_of.items()}


def from_jaxpr(closed: ClosedJaxpr, *, name: str = "jaxpr", calibrate: bool = True) -> Graph:
    """The graph of a captured jaxpr, such as ``jax.make_jaxpr(jax.value_and_grad(loss))(params, batch)``.

    Memory is counted above the arguments and constants, which are no values of the graph: results, reserved from the
    start to the end as XLA does, and what is held between groups of operations that are compiled together. Costs are
    nanoseconds of a deterministic roofline.

    Args:
        closed: The jaxpr.
        name: Of the graph, for people.
        calibrate: Compile each distinct group of operations to learn how much workspace it needs; else it counts 0.

    Raises:
        CaptureError: If it holds an operation that cannot be planned, or none at all.
        JaxVersionError: If JAX is of a version that was not tested.
    """
    check_version()
    return lower(flatten(closed), name=name, calibrate=calibrate).graph


def lower(
    program: Program,
    *,
    name: str,
    calibrate: bool = True,
    placement: Placement | None = None,
    cache: CacheOption = False,
    platform: str | Device | None = None,
) -> Lowered:
    """Builds the graph that planners see.

    Args:
        program: The flat jaxpr.
        name: Of the graph.
        calibrate: Whether to compile groups for their workspace.
        placement: How arrays are spread over devices; memory is that of one device.
        cache: Where workspaces are kept.
        platform: What operations are priced for; the default backend where not given.
    """
    priced = jax.default_backend() if platform is None else platform
    return _Lowering(program, placement or Placement(regions=program.regions), cache, priced).run(name, calibrate)


@dataclass
class _Lowering:
    program: Program
    placement: Placement
    cache: CacheOption
    platform: str | Device
    value_of: dict[Any, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    returned: set[Any] = field(default_factory=set)

    def run(self, name: str, calibrate: bool) -> Lowered:
        groups = group(self.program)
        self.names = [f"{operation_name(each.main)}_{i}" for i, each in enumerate(groups)]
        for node, each in zip(self.names, groups, strict=True):
            single = len(each.outputs) == 1
            self.value_of.update((var, node if single else f"{node}:{k}") for k, var in enumerate(each.outputs))
        in_place = self.program.in_place
        self.returned = {in_place[item] for item in self.program.outvars if is_variable(item) and item in in_place}
        alone = workspaces(self.program, groups, self.placement, self.cache) if calibrate else [0] * len(groups)
        extra = [amount * self.placement.copied(own.outputs) for amount, own in zip(alone, groups, strict=True)]
        # What is returned twice has two buffers.
        results = TABLES + sum(self.placement.bytes(var) + POINTER for var in self.program.outvars)
        reserved = Value(OUTPUTS, results, "output", resident=True)
        nodes = tuple(self.nodes(groups, extra))
        graph = Graph(nodes, (reserved,), tuple(self.names), name, "ns")
        return Lowered(graph, self.program, dict(zip(self.names, groups, strict=True)), self.value_of)

    def nodes(self, groups: Sequence[Group], extra: Sequence[int]) -> Iterator[Node]:
        outvars = {item for item in self.program.outvars if is_variable(item)}
        before: str | None = None
        for name, each, workspace in zip(self.names, groups, extra, strict=True):
            reads = self.reads(each)
            outputs = [
                Value(self.value_of[var], 0, "output", resident=True)
                if var in outvars
                else Value(self.value_of[var], self.bytes(var))
                for var in each.outputs
            ]
            if each.effects:
                # Effects happen once, and in the program's order.
                reads += [] if before is None else [before]
                before = f"{name}:done"
                outputs.append(Value(before, 0))
            # What is written in place can't be written again once the next part is in it.
            once = each.effects or not self.program.in_place.keys().isdisjoint(each.outputs)
            cost = group_cost(each.equations, each.inputs, each.outputs, self.platform)
            cost = round(cost * self.placement.copied(each.outputs) * self.share(each))
            op = "+".join(dict.fromkeys(map(operation_name, each.equations)))
            source = source_of(each.main, *each.equations)
            yield Node(name, op, tuple(reads), tuple(outputs), cost, workspace, recomputable=not once, source=source)

    def reads(self, each: Group) -> list[str]:
        """Values that a group reads; of an array written in place, its storage as well."""
        values = [self.value_of[var] for var in each.inputs if var in self.value_of]
        storages = [self.value_of[self.program.in_place[var]] for var in each.inputs if var in self.program.in_place]
        return list(dict.fromkeys((*values, *storages)))

    def share(self, each: Group) -> float:
        """How much of a group one device computes, where other groups are one device's alone."""
        if not self.program.regions or region_of(self.program.regions, each.main) is not None:
            return 1
        return sum(map(self.placement.bytes, each.outputs)) / max(1, sum(map(size, each.outputs)))

    def bytes(self, var: Any) -> int:  # noqa: ANN401
        """Of a value: none where it is stored in what another one, or a result, has taken already."""
        storage = self.program.in_place.get(var, var)
        if storage is not var or storage in self.returned:
            return 0
        return -(-self.placement.bytes(var) // ALIGNMENT) * ALIGNMENT
