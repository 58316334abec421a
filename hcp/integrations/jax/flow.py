"""What the operations of a flat jaxpr read of one another, views seen through.

A view is an equation that its readers repeat instead of reading a stored result: a re-indexing, an operation that
depends on nothing, or a known part of an array that is there all along.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from hcp.integrations.fusion import Flow
from hcp.integrations.jax.internals import (
    DYNAMIC_SLICE,
    FUSIBLE,
    VIEWS,
    Equation,
    has_effects,
    is_variable,
    operation_name,
)
from hcp.integrations.jax.program import Program, size

# Most equations that each reader of a view repeats. What takes more, such as constants made by long arithmetic, is made
# once and stored: else programs would grow with the square of their length.
REPEATED: Final = 64


@dataclass(frozen=True, eq=False)
class View:
    """An equation that is repeated in its readers.

    Attributes:
        equation: It.
        bases: The stored variables that it depends on.
        repeated: Places of the equations that a reader repeats for it, its own included.
    """

    equation: Equation
    bases: frozenset[Any]
    repeated: frozenset[int]


@dataclass
class JaxprFlow(Flow):
    """The flow of a flat jaxpr.

    Attributes:
        program: The flat jaxpr.
        views: By the variables that they make.
        operations: The equations that are no views, in execution order.
    """

    program: Program = field(kw_only=True)
    views: dict[Any, View] = field(default_factory=dict)
    operations: list[Equation] = field(default_factory=list)

    @classmethod
    def of(cls, program: Program) -> "JaxprFlow":
        """Goes through a program once."""
        flow = cls(size, frozenset(filter(is_variable, program.outvars)), program=program)
        sources = frozenset(program.sources)
        for place, equation in enumerate(program.equations):
            view = flow.view(place, equation)
            if flow.repeatable(view, sources):
                flow.views.update((var, view) for var in equation.outvars)
            else:
                flow.operations.append(equation)
                heavy = operation_name(equation) not in FUSIBLE
                flow.append(equation.outvars, view.bases, heavy=heavy, alone=has_effects(equation))
        return flow

    def view(self, place: int, equation: Equation) -> View:
        """An equation as a view, whether or not it is one."""
        read = list(filter(is_variable, equation.invars))
        seen_through = [self.views[var] for var in read if var in self.views]
        stored = frozenset(var for var in read if var not in self.views)
        bases = stored.union(*(view.bases for view in seen_through))
        return View(equation, bases, frozenset({place}).union(*(view.repeated for view in seen_through)))

    def repeatable(self, view: View, sources: frozenset[Any]) -> bool:
        """Whether the readers of an equation can repeat it."""
        equation = view.equation
        if len(view.repeated) > REPEATED or not self.returned.isdisjoint(equation.outvars):
            return False
        name = operation_name(equation)
        if name == DYNAMIC_SLICE:
            array = equation.invars[0]
            return is_variable(array) and array in sources and view.bases == {array}
        return name in VIEWS or (name in FUSIBLE and not view.bases)
