"""From a prepared joint graph to hcp's graph: storages become values, operations nodes, views vanish."""

import operator
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, cast

from torch import fx

from hcp.graph.ir import Graph, Node, Value
from hcp.integrations.torch import rng
from hcp.integrations.torch.boundary import Boundary
from hcp.integrations.torch.errors import CaptureError
from hcp.integrations.torch.internals import is_operation, source_of
from hcp.integrations.torch.probe import Footprint, Layout
from hcp.integrations.torch.program import Program, is_random, tensor_bytes, writes_input

BOUNDARY: Final = "BOUNDARY"
# Before it, where the program lets go of outputs before the backward begins.
LOSS: Final = "LOSS"
# Under which name the nodes of emitted kernels note their place in the plan.
PLACE: Final = "hcp_place"


class Place(NamedTuple):
    """Where a plan has an operation of a kernel.

    Attributes:
        kernel: The number of kernels before its own.
        segment: The number of library calls before its own kernel.
    """

    kernel: int = 0
    segment: int = 0


@dataclass
class Lowered:
    """An hcp graph and how its nodes and values correspond to the program's.

    Attributes:
        graph: What is planned.
        program: What is run.
        computes: The operations behind each node, in their order, save the boundary.
        views: Operations that only look at a storage, or that readers repeat; they are run anew wherever their result
            is read.
        value_of: The value that a tensor is a fresh storage of, by the operation or item that yields the tensor.
        returned: The values that each output of the forward looks at.
        libraries: Where nodes are kernels in the making, which share nothing but values: those that call libraries.
    """

    graph: Graph
    program: Program
    computes: dict[str, tuple[fx.Node, ...]]
    views: set[fx.Node]
    value_of: dict[fx.Node, str]
    libraries: frozenset[str] | None = None
    returned: tuple[tuple[str, ...], ...] = ()

    @property
    def output_bytes(self) -> int:
        """Bytes of the values that the forward returns."""
        values = self.graph.values
        return sum(values[name].bytes for name in {name for names in self.returned for name in names})

    @property
    def tangent_bytes(self) -> int:
        """Bytes of the gradients that the backward is given."""
        return sum(tensor_bytes(tangent) for tangent in self.program.joint.tangents)

    def between(self, boundary: Boundary) -> "Lowered":
        """The same with what was seen to happen between forward and backward."""
        return replace(self, graph=_with_boundary(self.graph, boundary, self.returned))


def lower(
    program: Program,
    footprints: Mapping[fx.Node, Footprint],
    cost: Mapping[fx.Node, int],
    views: Set[fx.Node],
    name: str,
) -> Lowered:
    """Builds the graph that planners see.

    Memory is counted above what exists when the step starts, so parameters and inputs are no values of it. The loss
    may lie outside the module: the node ``BOUNDARY`` stands for all that happens between forward and backward.
    """
    return _Lowering(program, footprints, cost, set(views)).run(name)


@dataclass
class _Lowering:
    program: Program
    footprints: Mapping[fx.Node, Footprint]
    cost: Mapping[fx.Node, int]
    views: set[fx.Node]
    reads: dict[fx.Node, tuple[str, ...]] = field(default_factory=dict)
    value_of: dict[fx.Node, str] = field(default_factory=dict)
    outputs: dict[fx.Node, list[tuple[str, int]]] = field(default_factory=dict)

    def run(self, name: str) -> Lowered:
        joint = self.program.joint
        self.reads = dict.fromkeys(joint.primals, ())
        self.reads |= {tangent: (tangent.name,) for tangent in joint.tangents}
        for node in self.program.graph.nodes:
            if node.op == "get_attr":
                self.reads[node] = ()
            elif node.op == "call_function":
                self._classify(node)
        kinds = self._kinds()
        awaited = {earlier for befores in self.program.after.values() for earlier in befores}
        before_boundary = self._before_boundary()
        awaited |= before_boundary
        backward = self.program.depends_on_tangents()
        nodes = [self._node(node, kinds, node in awaited) for node in self.outputs]
        first_backward = next((i for i, node in enumerate(self.outputs) if node in backward), len(nodes))
        nodes.insert(first_backward, self._boundary(before_boundary))
        return Lowered(
            Graph(tuple(nodes), name=name, cost_unit="ns"),
            self.program,
            {node.name: (node,) for node in self.outputs},
            self.views,
            self.value_of,
            returned=tuple(self.reads[out] if isinstance(out, fx.Node) else () for out in joint.outputs),
        )

    def _classify(self, node: fx.Node) -> None:
        sources = tuple(dict.fromkeys(name for source in node.all_input_nodes for name in self.reads[source]))
        if node.target is operator.getitem:
            self._classify_item(node, sources)
            return
        if node in self.views:
            self.reads[node] = sources
            return
        footprint = self.footprints[node]
        names = [node.name if len(footprint.sizes) == 1 else f"{node.name}:{i}" for i in range(len(footprint.sizes))]
        self.outputs[node] = list(zip(names, footprint.sizes, strict=True))
        self.reads[node] = tuple(names)
        if not isinstance(node.meta["val"], list | tuple) and names:
            self.value_of[node] = names[0]

    def _classify_item(self, node: fx.Node, sources: tuple[str, ...]) -> None:
        producer: Any = node.args[0]
        if producer in self.views:
            self.views.add(node)
            self.reads[node] = sources
            return
        footprint, place = self.footprints[producer], cast(int, node.args[1])
        storage = footprint.outputs[place]
        if storage is None:
            if isinstance(footprint.layouts[place], Layout):
                raise CaptureError(
                    f"operation {producer.target} ({producer.name}) returns new tensors and views of its inputs at "
                    "once; hcp cannot plan it"
                )
            # No tensor: a number that capture knows already, or nothing.
            self.reads[node] = ()
            return
        self.value_of[node] = self.outputs[producer][storage][0]
        self.reads[node] = (self.value_of[node],)

    def _kinds(self) -> dict[str, str]:
        joint = self.program.joint
        kinds = {name: "gradient" for out in joint.gradients if isinstance(out, fx.Node) for name in self.reads[out]}
        kinds |= {name: "output" for out in joint.outputs if isinstance(out, fx.Node) for name in self.reads[out]}
        return kinds

    def _before_boundary(self) -> set[fx.Node]:
        """What the forward does besides returning values; every draw that needs no tangent belongs to it."""
        backward = self.program.depends_on_tangents()
        effects = set(self.program.effects) | {node for node in self.outputs if is_random(node)}
        effects |= {node for node in self.outputs if writes_input(node)}
        return {node for node in effects if node not in backward}

    def _boundary(self, effects: set[fx.Node]) -> Node:
        joint = self.program.joint
        reads = [name for out in joint.outputs if isinstance(out, fx.Node) for name in self.reads[out]]
        reads += [token(node) for node in self.outputs if node in effects]
        # Who calls the backward may hold them, as ``loss.backward()`` does with its gradient of one.
        tangents = tuple(
            Value(tangent.name, tensor_bytes(tangent), "gradient", resident=True) for tangent in joint.tangents
        )
        return Node(BOUNDARY, "boundary", tuple(reads), tangents, recomputable=False)

    def _node(self, node: fx.Node, kinds: Mapping[str, str], awaited: bool) -> Node:
        footprint = self.footprints[node]
        again = self.program.again.get(node)
        sources = list(node.all_input_nodes)
        if again is not None:
            fx.node.map_arg((again.args, again.kwargs), sources.append)
        reads = [name for source in sources for name in self.reads[source]]
        reads += [token(earlier) for earlier in self.program.after.get(node, ()) if earlier not in sources]
        outputs = [
            Value(name, size, kinds.get(name, "activation"), resident=name in kinds)
            for name, size in self.outputs[node]
        ]
        if awaited:
            outputs.append(Value(token(node), 0))
        return Node(
            node.name,
            op_name(node),
            tuple(reads),
            tuple(outputs),
            self.cost[node],
            footprint.workspace,
            recomputable=node not in self.program.once,
            source=source_of(node),
        )


def _with_boundary(graph: Graph, boundary: Boundary, returned: Sequence[Sequence[str]]) -> Graph:
    values = graph.values
    gone = {name for place in boundary.dropped for name in returned[place] if values[name].kind == "output"}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name == BOUNDARY:
            nodes.extend(_boundary_nodes(node, boundary, gone))
        elif gone.isdisjoint(value.name for value in node.outputs):
            nodes.append(node)
        else:
            outputs = [replace(value, resident=False) if value.name in gone else value for value in node.outputs]
            nodes.append(replace(node, outputs=tuple(outputs)))
    return Graph(tuple(nodes), graph.inputs, name=graph.name, cost_unit=graph.cost_unit)


def _boundary_nodes(node: Node, boundary: Boundary, gone: Set[str]) -> Iterator[Node]:
    kept = (Value(f"{BOUNDARY}:kept", boundary.kept, "output", resident=True),) if boundary.kept else ()
    reads = tuple(name for name in node.inputs if name not in gone)
    if gone:
        held = Value(f"{LOSS}:held", boundary.held)
        read = tuple(name for name in node.inputs if name in gone)
        yield Node(LOSS, "loss", read, (held,), 0, boundary.before, recomputable=False)
        reads = (*reads, held.name)
    tangents = tuple(replace(value, kind="activation", resident=False) for value in node.outputs)
    outputs = (*(tangents if boundary.passed else node.outputs), *kept)
    yield replace(node, inputs=reads, outputs=outputs, workspace=boundary.after)


def gradient_bytes(graph: Graph) -> int:
    """Bytes of the gradients that a backward leaves behind; those that it is given are not among them."""
    made = (value for node in graph.nodes if node.name != BOUNDARY for value in node.outputs)
    return sum(value.bytes for value in made if value.kind == "gradient")


def token(node: fx.Node) -> str:
    """The zero-byte value that says a node has run."""
    return f"{node.name}:done"


def op_name(node: fx.Node) -> str:
    """What a node calls, for people."""
    target = node.args[1] if node.target is rng.draw else node.target
    if is_operation(target):
        return str(target)
    return getattr(target, "__name__", str(target))
