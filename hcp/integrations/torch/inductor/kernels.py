"""Groups the operations of a joint graph into the kernels that Inductor is expected to make of them.

Besides views, readers repeat what is nearly free inside their own kernels: fusible operations that hold no more than
they read, where every reader is fusible as well and they lie in different parts of the program. So a normalised
activation, say, is no value of its own: the backward computes it again from what it was normalised from, which is how
Inductor's own partitioner has it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import getitem
from typing import Final

from torch import fx

from hcp.integrations.fusion import Cluster, Flow, joined, ordered
from hcp.integrations.torch.inductor.internals import fuses, is_view
from hcp.integrations.torch.inductor.program import draws
from hcp.integrations.torch.program import Program, tensor_bytes, writes_input

# Most operations that each reader of a view repeats.
REPEATED: Final = 64
# How much more than it makes an operation may read to be repeated: statistics beside what they are of.
_SLACK: Final = 1.25


@dataclass(frozen=True, eq=False)
class Kernel:
    """Operations that run together; none where it stands for all that happens between the forward and the backward.

    Attributes:
        operations: In program order, without views.
        reads: The inputs of the step and stored tensors that are read from outside.
        outputs: The tensors that others read or that the program returns.
    """

    operations: tuple[fx.Node, ...]
    reads: tuple[fx.Node, ...]
    outputs: tuple[fx.Node, ...]

    @property
    def main(self) -> fx.Node:
        """The operation that it is named after: the last, or its only one where that cannot be fused."""
        return self.operations[-1]

    @property
    def calls_library(self) -> bool:
        """Whether it is one operation that Inductor leaves to a library."""
        return bool(self.operations) and not fuses(self.main)


@dataclass(frozen=True, eq=False)
class Kernels:
    """A program as kernels.

    Attributes:
        kernels: In an order that can be executed and is close to the program's own.
        sources: What readers repeat, each with what they then read: inputs of the step and stored tensors.
        before: The operations that have to be done before the backward, whoever reads them.
    """

    kernels: list[Kernel]
    sources: dict[fx.Node, tuple[fx.Node, ...]]
    before: list[fx.Node]


def kernels_of(program: Program) -> Kernels:
    """The kernels of a program."""
    return _Grouping(program).run()


@dataclass
class _Grouping:
    program: Program
    # What readers see through, and what they then read: inputs and stored tensors.
    sources: dict[fx.Node, tuple[fx.Node, ...]] = field(default_factory=dict)
    repeated: dict[fx.Node, int] = field(default_factory=dict)
    operations: list[fx.Node | None] = field(default_factory=list)
    # What has to be done before the backward.
    before: list[fx.Node] = field(default_factory=list)

    def run(self) -> Kernels:
        joint = self.program.joint
        returned = [node for node in (*joint.outputs, *joint.gradients) if isinstance(node, fx.Node)]
        folded = _foldable(self.program, frozenset(returned))
        for node in self.program.operations:
            if is_view(node) or node in folded or (node.target is getitem and node.args[0] in self.sources):
                self._see_through(node)
        stored = frozenset(self.read(*returned))
        flow = Flow(tensor_bytes, stored)
        for operation in self._execution_order():
            if operation is None:
                self._cross(flow)
            elif operation not in self.sources and operation.target is not getitem:
                self._append(flow, operation)
        clusters = joined(flow, stored, epilogues=False)
        kernels = [self._kernel(flow, cluster) for cluster in ordered(clusters)]
        return Kernels(kernels, self.sources, self.before)

    def _execution_order(self) -> Iterator[fx.Node | None]:
        """The operations; None is the boundary, behind all that the forward does besides returning values."""
        backward = self.program.depends_on_tangents()
        self.before = [node for node in self.program.operations if _acts(self.program, node) and node not in backward]
        forward = _ancestors(self.program, self.before)
        operations = list(self.program.operations)
        first = next((i for i, node in enumerate(operations) if node in backward), len(operations))
        yield from (node for i, node in enumerate(operations) if i < first or node in forward)
        yield None
        yield from (node for i, node in enumerate(operations) if i >= first and node not in forward)

    def _kernel(self, flow: Flow, cluster: Cluster) -> Kernel:
        places = sorted(cluster.members)
        made = {tensor for m in places for tensor in flow.made[m]}
        operations = tuple(node for m in places if (node := self.operations[m]) is not None)
        sources = [source for node in operations for source in node.all_input_nodes] if operations else self._returned()
        reads = tuple(tensor for tensor in self.read(*sources) if tensor not in made)
        return Kernel(operations, reads, tuple(cluster.outputs))

    def _see_through(self, node: fx.Node) -> None:
        """Makes a node a view, unless its readers would have to repeat too much."""
        amount = 1 + sum(self.repeated.get(source, 0) for source in node.all_input_nodes)
        if amount > REPEATED and not is_view(node) and node.target is not getitem:
            return
        self.sources[node] = tuple(self.read(*node.all_input_nodes))
        self.repeated[node] = amount

    def read(self, *nodes: fx.Node) -> list[fx.Node]:
        """What is read of the memory where some nodes are read."""
        return list(dict.fromkeys(base for node in nodes for base in self.sources.get(node, (node,))))

    def _returned(self) -> list[fx.Node]:
        return [node for node in self.program.joint.outputs if isinstance(node, fx.Node)]

    def _append(self, flow: Flow, node: fx.Node) -> None:
        # Who waits for an operation comes after it as if it read it.
        awaited = (result for earlier in self.program.after.get(node, ()) for result in _results(earlier))
        alone = node in self.program.once or node in self.program.effects
        self.operations.append(node)
        reads = {*self.read(*node.all_input_nodes), *awaited}
        flow.append(_results(node), reads, heavy=not fuses(node), alone=alone)

    def _cross(self, flow: Flow) -> None:
        """Adds what happens between forward and backward: it reads the outputs, and makes the tangents."""
        done = (result for node in self.before for result in _results(node))
        self.operations.append(None)
        reads = {*self.read(*self._returned()), *done}
        flow.append(self.program.joint.tangents, reads, heavy=True, alone=True)


def _acts(program: Program, node: fx.Node) -> bool:
    """Whether a node has to run in its own pass, whoever reads it."""
    return node in program.effects or (node in program.once and draws(node))


def _ancestors(program: Program, nodes: Iterable[fx.Node]) -> set[fx.Node]:
    found: set[fx.Node] = set()
    ahead = list(nodes)
    while ahead:
        node = ahead.pop()
        if node not in found:
            found.add(node)
            ahead += [*node.all_input_nodes, *program.after.get(node, ())]
    return found


def _results(node: fx.Node) -> tuple[fx.Node, ...]:
    """The tensors that a node makes: itself, or the items that are taken of it."""
    if isinstance(node.meta.get("val"), list | tuple):
        return tuple(node.users)
    return (node,)


def _foldable(program: Program, returned: frozenset[fx.Node]) -> set[fx.Node]:
    """The operations that readers repeat, as far as what reads them tells."""
    segment = _segments(program)
    folded: set[fx.Node] = set()
    # The operations that read a node in the end, views and folded ones seen through.
    readers: dict[fx.Node, set[fx.Node]] = {}
    for node in reversed(list(program.operations)):
        seen = _seen_through(node, readers, folded)
        readers[node] = seen
        if _may_fold(program, node, returned) and _serves(node, seen, segment):
            folded.add(node)
    return folded


def _seen_through(node: fx.Node, readers: dict[fx.Node, set[fx.Node]], folded: set[fx.Node]) -> set[fx.Node]:
    found: set[fx.Node] = set()
    for user in node.users:
        through = user in folded or is_view(user) or user.target is getitem
        found |= readers[user] if through and user in readers else {user}
    return found


def _may_fold(program: Program, node: fx.Node, returned: frozenset[fx.Node]) -> bool:
    alone = node in program.once or node in program.effects or node in program.after
    if alone or not fuses(node) or is_view(node) or isinstance(node.meta.get("val"), list | tuple):
        return False
    views = [node]
    while views:
        at = views.pop()
        if at in returned:
            return False
        views += [user for user in at.users if is_view(user)]
    return True


def _serves(node: fx.Node, readers: set[fx.Node], segment: dict[fx.Node, int]) -> bool:
    """Whether repeating a node in its readers is cheap and saves memory."""
    read = {_base(source) for source in node.all_input_nodes}
    if not read:
        return True
    if any(reader.op != "call_function" or not fuses(reader) or writes_input(reader) for reader in readers):
        return False
    if len({segment[reader] for reader in readers}) < 2:
        return False
    # Inputs of the step are there all along.
    held = sum(tensor_bytes(base) for base in read if base.op == "call_function")
    return held <= _SLACK * tensor_bytes(node)


def _base(node: fx.Node) -> fx.Node:
    """The tensor that a view looks at."""
    while is_view(node) or (node.target is getitem and is_view(node.all_input_nodes[0])):
        node = node.all_input_nodes[0]
    return node


def _segments(program: Program) -> dict[fx.Node, int]:
    """The number of heavy operations before each."""
    found: dict[fx.Node, int] = {}
    count = 0
    for node in program.operations:
        found[node] = count
        count += not fuses(node) and not is_view(node) and node.target is not getitem
    return found
