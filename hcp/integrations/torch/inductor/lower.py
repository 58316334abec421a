"""From a joint graph as Inductor lowers it to hcp's graph: kernels become nodes, what they write becomes values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from torch import fx

from hcp.graph.ir import Graph, Node, Value
from hcp.integrations.measurements import Measurements
from hcp.integrations.torch.calibration import measurements_of
from hcp.integrations.torch.capture import Joint
from hcp.integrations.torch.cost import Cost, device_of
from hcp.integrations.torch.gradients import check_gradients
from hcp.integrations.torch.inductor.cost import kernel_costs
from hcp.integrations.torch.inductor.internals import relaid_bytes
from hcp.integrations.torch.inductor.kernels import Kernel, Kernels, kernels_of
from hcp.integrations.torch.inductor.program import program_of
from hcp.integrations.torch.inductor.timing import kernel_times
from hcp.integrations.torch.internals import is_operation, source_of
from hcp.integrations.torch.lower import BOUNDARY, Lowered, op_name, token
from hcp.integrations.torch.probe import Footprint, probe_calls
from hcp.integrations.torch.program import Program, tensor_bytes
from hcp.plans.cache import CacheOption, folder_of

# Kinds of operations that a fused kernel is named after at most.
_NAMED: Final = 3


def lower_fused(joint: Joint, cost: Cost, name: str, cache: CacheOption) -> Lowered:
    """The graph of a step whose joint graph Inductor is about to cut.

    Memory is counted above what exists when the step starts. What a kernel passes on inside itself takes none. How much
    library calls take besides their results is measured, on stand-ins.

    Raises:
        CaptureError: If the step lacks gradients, or an operation does not run by itself.
    """
    check_gradients(joint)
    program = program_of(joint)
    kernels = kernels_of(program)
    return _Lowering(program, kernels, *_measured(program, kernels, cost, cache)).run(name)


def structure_of(joint: Joint, name: str) -> Lowered:
    """The same without costs and workspace: which kernels there are, and what they read and make."""
    program = program_of(joint)
    kernels = kernels_of(program)
    return _Lowering(program, kernels, {}, dict.fromkeys(kernels.kernels, 0)).run(name)


def same_structure(graph: Graph, other: Graph) -> bool:
    """Whether two graphs differ in costs and workspace alone."""
    return len(graph.nodes) == len(other.nodes) and all(
        (a.name, a.op, a.inputs, a.outputs) == (b.name, b.op, b.inputs, b.outputs)
        for a, b in zip(graph.nodes, other.nodes, strict=True)
    )


def _measured(
    program: Program, kernels: Kernels, cost: Cost, cache: CacheOption
) -> tuple[dict[fx.Node, int], dict[Kernel, int]]:
    """The workspace of library calls, and the cost of each kernel."""
    relaid = relaid_bytes(program.joint.module)
    times = measurements_of(device_of(program.joint.primals), "times", folder_of(cache)) if cost == "measured" else None
    calls = [kernel.main for kernel in kernels.kernels if kernel.calls_library]
    # What is no operation of ATen's or a library's takes graphs, which have no stand-ins.
    calls = [node for node in calls if is_operation(node.target) and node not in program.once]
    footprints = probe_calls(calls, relaid, times)
    workspace = {node: footprint.workspace + relaid.get(node, 0) for node, footprint in footprints.items()}
    return workspace, kernel_costs(cost, kernels.kernels, _times(kernels, footprints, times), cache)


def _times(kernels: Kernels, footprints: Mapping[fx.Node, Footprint], times: Measurements | None) -> dict[Kernel, int]:
    """Measured times of kernels, where they are asked for."""
    if times is None:
        return {}
    running = [kernel for kernel in kernels.kernels if kernel.operations]
    found = {kernel: footprints[kernel.main].nanoseconds for kernel in running if kernel.main in footprints}
    found |= kernel_times([kernel for kernel in running if not kernel.calls_library], times)
    times.save()
    return found


@dataclass
class _Lowering:
    program: Program
    kernels: Kernels
    workspace: Mapping[fx.Node, int]
    cost: Mapping[Kernel, int]
    maker: dict[fx.Node, Kernel] = field(default_factory=dict)
    kinds: dict[fx.Node, str] = field(default_factory=dict)
    awaited: set[fx.Node] = field(default_factory=set)

    def run(self, name: str) -> Lowered:
        kernels = self.kernels.kernels
        self.maker = {node: kernel for kernel in kernels for node in kernel.operations}
        self.awaited = {earlier for befores in self.program.after.values() for earlier in befores}
        self.awaited.update(self.kernels.before)
        self._classify()
        graph = Graph(tuple(map(self._node, kernels)), name=name, cost_unit="ns")
        return Lowered(
            graph,
            self.program,
            {kernel.main.name: kernel.operations for kernel in kernels if kernel.operations},
            set(self.kernels.sources),
            {tensor: tensor.name for kernel in kernels for tensor in self._made(kernel)},
            libraries=frozenset(kernel.main.name for kernel in kernels if kernel.calls_library),
        )

    def _classify(self) -> None:
        joint, sources = self.program.joint, self.kernels.sources
        for returned, kind in ((joint.gradients, "gradient"), (joint.outputs, "output")):
            for node in returned:
                if isinstance(node, fx.Node):
                    self.kinds.update(dict.fromkeys(sources.get(node, (node,)), kind))

    def _node(self, kernel: Kernel) -> Node:
        if not kernel.operations:
            return self._boundary(kernel)
        outputs = [
            Value(
                tensor.name, tensor_bytes(tensor), self.kinds.get(tensor, "activation"), resident=tensor in self.kinds
            )
            for tensor in self._made(kernel)
        ]
        outputs += [Value(token(node), 0) for node in kernel.operations if node in self.awaited]
        return Node(
            kernel.main.name,
            _op_name(kernel),
            (*self._reads(kernel), *self._waits(kernel)),
            tuple(outputs),
            self.cost[kernel],
            max(self.workspace.get(node, 0) for node in kernel.operations),
            recomputable=self.program.once.isdisjoint(kernel.operations),
            source=source_of(kernel.main, *kernel.operations),
        )

    def _made(self, kernel: Kernel) -> list[fx.Node]:
        """The tensors that a kernel leaves behind; writes into inputs leave none."""
        return [tensor for tensor in kernel.outputs if kernel.operations and tensor not in self.program.effects]

    def _reads(self, kernel: Kernel) -> list[str]:
        """The values that a kernel reads; inputs of the step are none."""
        tangents = self.program.joint.tangents
        return [tensor.name for tensor in kernel.reads if tensor.op == "call_function" or tensor in tangents]

    def _waits(self, kernel: Kernel) -> list[str]:
        """Tokens of the operations that a kernel has to come after."""
        earlier = (e for node in kernel.operations for e in self.program.after.get(node, ()))
        return list(dict.fromkeys(token(e) for e in earlier if self.maker[e] is not kernel))

    def _boundary(self, kernel: Kernel) -> Node:
        reads = (*self._reads(kernel), *map(token, self.kernels.before))
        tangents = (
            Value(tangent.name, tensor_bytes(tangent), "gradient", resident=True)
            for tangent in self.program.joint.tangents
        )
        return Node(BOUNDARY, "boundary", reads, tuple(tangents), recomputable=False)


def _op_name(kernel: Kernel) -> str:
    if len(kernel.operations) == 1:
        return op_name(kernel.main)
    names = list(dict.fromkeys(op_name(node).removeprefix("aten.").partition(".")[0] for node in kernel.operations))
    return "fused " + "+".join(names[:_NAMED]) + ("..." if len(names) > _NAMED else "")
