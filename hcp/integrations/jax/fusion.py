"""Groups the equations of a flat jaxpr into the kernels-to-be that a plan treats as one node each.

A plan that counted every equation's result as memory would be wrong by far, since XLA fuses. What is stored between the
nodes of a plan is stored for certain (barriers see to it), so the groups decide what a plan can store at all:

- Views (reshape, transpose, broadcast, iota) are repeated in each reader.
- An operation that can be fused joins its readers where they are all one group and nothing larger has to be kept for
  it, or where they lie in the same stretch between two heavy operations.
- A heavy operation (product, convolution, loop, ...) takes up the fusible operations behind it as long as one value
  comes out, so that a bias or an activation needs no store of its own. No group has two heavy operations.
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from jax.extend import core

from hcp.integrations.jax.inline import Equation, has_effects, is_variable
from hcp.integrations.jax.jaxpr import Program, size
from hcp.integrations.jax.primitives import FUSIBLE, PLACED, VIEWS


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
        heavy = (equation for equation in self.equations if equation.primitive.name not in FUSIBLE)
        return next(heavy, self.equations[-1])


def group(program: Program) -> list[Group]:
    """The groups of a program, in an order that can be executed and is close to the program's own."""
    return _Grouping(program).run()


@dataclass
class _Grouping:
    program: Program
    views: dict[Any, Equation] = field(default_factory=dict)
    operations: list[Equation] = field(default_factory=list)
    producer: dict[Any, int] = field(default_factory=dict)
    reads: list[set[Any]] = field(default_factory=list)
    readers: dict[Any, list[int]] = field(default_factory=dict)
    returned: set[Any] = field(default_factory=set)
    stored: set[Any] = field(default_factory=set)
    sources: set[Any] = field(default_factory=set)
    heavy_at: list[int] = field(default_factory=list)
    leader: list[int] = field(default_factory=list)
    members: dict[int, list[int]] = field(default_factory=dict)

    def run(self) -> list[Group]:
        self.index()
        self.leader = list(range(len(self.operations)))
        self.members = {i: [i] for i in self.leader}
        # Backwards, so that an operation's readers have found their group before it is asked to join.
        for i in reversed(range(len(self.operations))):
            self.join(i)
        return [self.group(members) for members in self.ordered()]

    def index(self) -> None:
        """Views, operations, and who reads what through views."""
        self.returned = {item for item in self.program.outvars if is_variable(item)}
        self.stored = self.returned.union(self.program.in_place)
        self.sources = set(self.program.sources)
        for equation in self.program.equations:
            view = equation.primitive.name in VIEWS or self.constant(equation) or self.argument(equation)
            if view and not self.returned.intersection(equation.outvars):
                self.views.update((var, equation) for var in equation.outvars)
                continue
            i = len(self.operations)
            self.operations.append(equation)
            if equation.primitive.name not in FUSIBLE:
                self.heavy_at.append(i)
            self.producer.update((var, i) for var in equation.outvars)
            self.reads.append(set(self.bases(equation)))
            for var in self.reads[i]:
                self.readers.setdefault(var, []).append(i)

    def constant(self, equation: Equation) -> bool:
        """Whether an operation that can be fused depends on nothing: it is repeated in its readers as views are."""
        return equation.primitive.name in FUSIBLE and not list(self.bases(equation))

    def argument(self, equation: Equation) -> bool:
        """Whether an equation reads a known part of an array that is there all along."""
        array = equation.invars[0] if equation.primitive.name == "dynamic_slice" else None
        return is_variable(array) and array in self.sources and set(self.bases(equation)) == {array}

    def bases(self, equation: Equation) -> Iterable[Any]:
        """The stored variables that an equation reads, views seen through."""
        stack = [item for item in equation.invars if is_variable(item)]
        while stack:
            var = stack.pop()
            if var in self.views:
                stack.extend(item for item in self.views[var].invars if is_variable(item))
            else:
                yield var

    def join(self, i: int) -> None:
        """Lets an operation join the group or groups of its readers, where that serves."""
        outputs = self.operations[i].outvars
        if has_effects(self.operations[i]) or self.stored.intersection(outputs):
            return
        found = [j for var in outputs for j in self.readers.get(var, ())]
        groups = sorted({self.leader[j] for j in found})
        if not groups or any(has_effects(self.operations[m]) for g in groups for m in self.members[g]):
            return
        near = self.near(i, max(found))
        if self.is_heavy(i):
            if len(groups) == 1 and near and self.light(groups[0]) and len(self.outputs(self.members[groups[0]])) == 1:
                self.merge(i, groups)
        elif len(groups) == 1:
            if self.takes_part(i, groups[0]) and (near or self.smaller_inputs(i)):
                self.merge(i, groups)
        elif self.in_one_stretch(i, groups) and not self.cycles(groups):
            self.merge(i, groups)

    def is_heavy(self, i: int) -> bool:
        return self.operations[i].primitive.name not in FUSIBLE

    def light(self, leader: int) -> bool:
        return not any(self.is_heavy(m) for m in self.members[leader])

    def takes_part(self, i: int, leader: int) -> bool:
        """Whether an operation can be fused into a group: behind its heavy operation, or where there is none."""
        heavy = [m for m in self.members[leader] if self.is_heavy(m)]
        return not any(self.reads[m].intersection(self.operations[i].outvars) for m in heavy)

    def near(self, first: int, last: int) -> bool:
        """Whether no heavy operation lies strictly between two."""
        place = bisect_left(self.heavy_at, first + 1)
        return place == len(self.heavy_at) or self.heavy_at[place] >= last

    def in_one_stretch(self, i: int, groups: Sequence[int]) -> bool:
        """Whether no heavy operation lies in groups or between an operation and their ends."""
        return all(self.light(g) and self.near(i, max(self.members[g])) for g in groups)

    def stretch(self, i: int) -> int:
        """The number of heavy operations before an operation."""
        return bisect_left(self.heavy_at, i)

    def smaller_inputs(self, i: int) -> bool:
        """Whether keeping what an operation reads, until its reader runs, takes no more than keeping its result."""
        kept = sum(size(var) for var in self.reads[i] if var in self.producer)
        return kept <= sum(size(var) for var in self.operations[i].outvars)

    def cycles(self, groups: Sequence[int]) -> bool:
        """Whether a path leads from one of these groups over others back into one of them."""
        # What a group yields comes from one stretch, its last; so nothing leads back from groups of later stretches.
        last = max(self.stretch(m) for g in groups for m in self.members[g])
        wanted = set(groups)
        stack = [r for g in groups for r in self.group_readers(g) if r not in wanted]
        seen: set[int] = set()
        while stack:
            at = stack.pop()
            if at in seen or self.stretch(max(self.members[at])) > last:
                continue
            seen.add(at)
            for reader in self.group_readers(at):
                if reader in wanted:
                    return True
                stack.append(reader)
        return False

    def group_readers(self, leader: int) -> set[int]:
        outputs = (var for m in self.members[leader] for var in self.operations[m].outvars)
        return {self.leader[j] for var in outputs for j in self.readers.get(var, ())} - {leader}

    def merge(self, i: int, groups: Sequence[int]) -> None:
        target = groups[-1]
        for leader in (self.leader[i], *groups[:-1]):
            for member in self.members.pop(leader):
                self.leader[member] = target
                self.members[target].append(member)
        self.members[target].sort()

    def outputs(self, members: Sequence[int]) -> list[Any]:
        """The variables of a group that others read or that are returned."""
        inside = set(members)
        return [
            var
            for m in members
            for var in self.operations[m].outvars
            if var in self.returned or not inside.issuperset(self.readers.get(var, ()))
        ]

    def ordered(self) -> list[list[int]]:
        """Groups in topological order; where there is a choice, the one that ends first in the program."""
        waits = {leader: len(self.sources_of(leader)) for leader in self.members}
        ready = [(max(self.members[leader]), leader) for leader, count in waits.items() if not count]
        heapq.heapify(ready)
        found = []
        while ready:
            _, leader = heapq.heappop(ready)
            found.append(self.members[leader])
            for reader in self.group_readers(leader):
                waits[reader] -= 1
                if not waits[reader]:
                    heapq.heappush(ready, (max(self.members[reader]), reader))
        return found

    def sources_of(self, leader: int) -> set[int]:
        read = {var for m in self.members[leader] for var in self.reads[m] if var in self.producer}
        return {self.leader[self.producer[var]] for var in read} - {leader}

    def group(self, members: Sequence[int]) -> Group:
        equations: list[Equation] = []
        made: set[Any] = set()
        inputs: dict[Any, None] = {}
        literals: dict[Any, Any] = {}

        def emit(equation: Equation, held: bool) -> None:
            for var in filter(is_variable, equation.invars):
                if var in made:
                    continue
                if var in self.views:
                    emit(self.views[var], held)
                else:
                    inputs.setdefault(var)
            made.update(equation.outvars)
            stand_ins = {k: core.Var(equation.invars[k].aval) for k in _held_literals(equation, held)}
            literals.update((var, equation.invars[k].val) for k, var in stand_ins.items())
            equation = equation.replace(invars=[stand_ins.get(k, item) for k, item in enumerate(equation.invars)])
            equations.append(equation)

        for m in members:
            emit(self.operations[m], self.is_heavy(m))
        return Group(tuple(equations), tuple(inputs), tuple(self.outputs(members)), tuple(literals.items()))


def _held_literals(equation: Equation, read_by_heavy: bool) -> list[int]:
    """Which inputs are literals that a node gets as inputs.

    A constant array that a heavy operation reads would be made long before if the compiler knew it. And nodes that
    differ in places alone, such as the steps of a loop, are then the same to the compiler.
    """
    name = equation.primitive.name
    if name in PLACED or (name == "broadcast_in_dim" and read_by_heavy):
        return [k for k, item in enumerate(equation.invars) if not is_variable(item)]
    return []
