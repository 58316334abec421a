"""Groups the equations of a flat jaxpr into the kernels-to-be that a plan treats as one node each.

A plan that counted every equation's result as memory would be wrong by far, since XLA fuses. What is stored between the
nodes of a plan is stored for certain (barriers see to it), so the groups decide what a plan can store at all:

- Views (reshape, transpose, broadcast, iota, short constant arithmetic: see ``flow``) are repeated in each reader.
- An operation that can be fused joins its readers where they are all one group and nothing larger has to be kept for
  it, or where they lie in the same segment between two heavy operations.
- A heavy operation (product, convolution, loop, ...) takes up the fusible operations behind it as long as one value
  comes out, so that a bias or an activation needs no store of its own. No group has two heavy operations.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hcp.integrations.jax.clusters import Cluster, Clusters
from hcp.integrations.jax.flow import Flow
from hcp.integrations.jax.internals import (
    BROADCAST,
    FUSIBLE,
    PLACED,
    Equation,
    has_effects,
    is_variable,
    new_variable,
    operation_name,
    rewired,
)
from hcp.integrations.jax.jaxpr import Program, size


@dataclass(frozen=True, eq=False)
class Group:
    """Equations that run together.

    Attributes:
        equations: In execution order, with the views that they read through.
        inputs: Variables read from outside, arguments and constants of the program included.
        outputs: Variables that others read or that the program returns.
        literals: Variables that stand for literals, with these.
    """

    equations: tuple[Equation, ...]
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    literals: tuple[tuple[Any, Any], ...] = ()

    @property
    def effects(self) -> bool:
        """Whether running it again would be seen from outside."""
        return any(has_effects(equation) for equation in self.equations)

    @property
    def main(self) -> Equation:
        """The equation that it is named after: the heavy one, or the last."""
        heavy = (equation for equation in self.equations if operation_name(equation) not in FUSIBLE)
        return next(heavy, self.equations[-1])


def group(program: Program) -> list[Group]:
    """The groups of a program, in an order that can be executed and is close to the program's own."""
    flow = Flow.of(program)
    clusters = Clusters(flow)
    fusion = _Fusion(flow, clusters, flow.returned.union(program.in_place))
    # Backwards, so that an operation's readers have found their group before it is asked to join.
    for i in reversed(range(len(flow.operations))):
        fusion.join(i)
    return [_Assembly(flow).run(cluster) for cluster in _ordered(clusters)]


@dataclass(frozen=True)
class _Fusion:
    """Which operations join the groups of their readers.

    Attributes:
        flow: What reads what.
        clusters: The groups so far.
        stored: Variables that are stored in any case.
    """

    flow: Flow
    clusters: Clusters
    stored: frozenset[Any]

    def join(self, i: int) -> None:
        """Lets an operation join the group or groups of its readers, where that serves."""
        readers = self.flow.readers_of(i)
        groups = list(dict.fromkeys(self.clusters.of[j] for j in readers))
        if self.can_join(i, groups) and self.serves(i, readers, groups):
            self.clusters.join([self.clusters.of[i], *groups])

    def can_join(self, i: int, groups: Sequence[Cluster]) -> bool:
        """Whether nothing keeps an operation and its readers apart: effects, or that its result is stored anyway."""
        if not groups or not self.stored.isdisjoint(self.flow.operations[i].outvars):
            return False
        return not any(group.effects for group in (self.clusters.of[i], *groups))

    def serves(self, i: int, readers: Sequence[int], groups: Sequence[Cluster]) -> bool:
        """Whether less is stored where an operation is in one group with its readers."""
        if len(groups) > 1:
            return self.in_one_segment(i, groups) and not self.clusters.leads_back(groups)
        (only,) = groups
        near = self.flow.near(i, max(readers))
        if self.flow.is_heavy(i):
            return near and only.heavy is None and len(only.outputs) == 1
        return self.takes_part(i, only) and (near or self.smaller_inputs(i))

    def in_one_segment(self, i: int, groups: Sequence[Cluster]) -> bool:
        """Whether no operation is heavy: this one, those of the groups, and those between it and their ends."""
        return not self.flow.is_heavy(i) and all(
            group.heavy is None and self.flow.near(i, group.last) for group in groups
        )

    def takes_part(self, i: int, group: Cluster) -> bool:
        """Whether an operation can be fused into a group: behind its heavy operation, or where there is none."""
        return group.heavy is None or self.flow.reads[group.heavy].isdisjoint(self.flow.operations[i].outvars)

    def smaller_inputs(self, i: int) -> bool:
        """Whether keeping what an operation reads, until its reader runs, takes no more than keeping its result."""
        kept = sum(size(var) for var in self.flow.reads[i] if var in self.flow.producer)
        return kept <= sum(size(var) for var in self.flow.operations[i].outvars)


def _ordered(clusters: Clusters) -> Iterator[Cluster]:
    """Groups in topological order; where there is a choice, the one that ends first in the program."""
    waits = {cluster: len(clusters.sources(cluster)) for cluster in dict.fromkeys(clusters.of)}
    ready = [cluster.last for cluster, count in waits.items() if not count]
    heapq.heapify(ready)
    while ready:
        cluster = clusters.of[heapq.heappop(ready)]
        yield cluster
        for reader in set(clusters.readers(cluster)) - {cluster}:
            waits[reader] -= 1
            if not waits[reader]:
                heapq.heappush(ready, reader.last)


class _Assembly:
    """Puts the equations of a group together, views repeated."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.equations: list[Equation] = []
        self.made: set[Any] = set()
        self.inputs: dict[Any, None] = {}
        self.literals: dict[Any, Any] = {}

    def run(self, cluster: Cluster) -> Group:
        members = sorted(cluster.members)
        for m in members:
            self.emit(self.flow.operations[m], self.flow.is_heavy(m))
        made = (var for m in members for var in self.flow.operations[m].outvars)
        outputs = tuple(var for var in made if var in cluster.outputs)
        return Group(tuple(self.equations), tuple(self.inputs), outputs, tuple(self.literals.items()))

    def emit(self, equation: Equation, read_by_heavy: bool) -> None:
        for var in filter(is_variable, equation.invars):
            if var in self.made:
                continue
            # As deep as views are repeated at most.
            if var in self.flow.views:
                self.emit(self.flow.views[var].equation, read_by_heavy)
            else:
                self.inputs.setdefault(var)
        self.made.update(equation.outvars)
        stand_ins = {k: new_variable(equation.invars[k].aval) for k in _held_literals(equation, read_by_heavy)}
        self.literals.update((var, equation.invars[k].val) for k, var in stand_ins.items())
        invars = [stand_ins.get(k, item) for k, item in enumerate(equation.invars)]
        self.equations.append(rewired(equation, invars))


def _held_literals(equation: Equation, read_by_heavy: bool) -> list[int]:
    """Which inputs are literals that a node gets as inputs.

    A constant array that a heavy operation reads would be made long before if the compiler knew it. And nodes that
    differ in places alone, such as the steps of a loop, are then the same to the compiler.
    """
    name = operation_name(equation)
    if name in PLACED or (name == BROADCAST and read_by_heavy):
        return [k for k, item in enumerate(equation.invars) if not is_variable(item)]
    return []
