"""Groups the equations of a flat jaxpr into the kernels-to-be that a plan treats as one node each.

What is stored between the nodes of a plan is stored for certain (barriers see to it), so the groups decide what a plan
can store at all. Views (reshape, transpose, broadcast, iota, short constant arithmetic: see ``flow``) are repeated in
each reader; ``hcp.integrations.fusion`` joins the rest.
"""

from dataclasses import dataclass
from typing import Any

from hcp.integrations.fusion import Cluster, joined, ordered
from hcp.integrations.jax.flow import JaxprFlow
from hcp.integrations.jax.internals import (
    BROADCAST,
    FUSIBLE,
    PLACED,
    Equation,
    has_effects,
    is_variable,
    literal_variable,
    operation_name,
    rewired,
)
from hcp.integrations.jax.program import Program


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
    flow = JaxprFlow.of(program)
    clusters = joined(flow, flow.returned.union(program.in_place), epilogues=True)
    return [_Assembly(flow).run(cluster) for cluster in ordered(clusters)]


class _Assembly:
    """Puts the equations of a group together, views repeated."""

    def __init__(self, flow: JaxprFlow) -> None:
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
        stand_ins = {k: literal_variable(equation.invars[k]) for k in _held_literals(equation, read_by_heavy)}
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
