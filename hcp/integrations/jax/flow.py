"""What the operations of a flat jaxpr read of one another, views seen through.

A view is an equation that its readers repeat instead of reading a stored result: a re-indexing, an operation that
depends on nothing, or a known part of an array that is there all along.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, Final

from hcp.integrations.jax.internals import DYNAMIC_SLICE, FUSIBLE, VIEWS, Equation, is_variable, operation_name
from hcp.integrations.jax.jaxpr import Program

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
class Flow:
    """The operations of a program and who reads what.

    Attributes:
        program: The flat jaxpr.
        views: By the variables that they make.
        operations: The equations that are no views, in execution order; others are called by their places here.
        producer: The operation that makes a stored variable; arguments and constants have none.
        reads: The stored variables that each operation reads.
        readers: The operations that read a stored variable, ascending.
        returned: What the program returns.
        heavy_at: The operations that can't be fused, ascending.
    """

    program: Program
    views: dict[Any, View] = field(default_factory=dict)
    operations: list[Equation] = field(default_factory=list)
    producer: dict[Any, int] = field(default_factory=dict)
    reads: list[frozenset[Any]] = field(default_factory=list)
    readers: dict[Any, list[int]] = field(default_factory=dict)
    returned: frozenset[Any] = frozenset()
    heavy_at: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, program: Program) -> "Flow":
        """Goes through a program once."""
        flow = cls(program, returned=frozenset(filter(is_variable, program.outvars)))
        sources = frozenset(program.sources)
        for place, equation in enumerate(program.equations):
            view = flow.view(place, equation)
            if flow.repeatable(view, sources):
                flow.views.update((var, view) for var in equation.outvars)
            else:
                flow.add(equation, view.bases)
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

    def add(self, equation: Equation, bases: frozenset[Any]) -> None:
        """Adds an operation that reads some stored variables."""
        i = len(self.operations)
        self.operations.append(equation)
        self.reads.append(bases)
        if operation_name(equation) not in FUSIBLE:
            self.heavy_at.append(i)
        self.producer.update((var, i) for var in equation.outvars)
        for var in bases:
            self.readers.setdefault(var, []).append(i)

    def readers_of(self, i: int) -> list[int]:
        """The operations that read what an operation makes; those that read several results are there as often."""
        return [j for var in self.operations[i].outvars for j in self.readers.get(var, ())]

    def is_heavy(self, i: int) -> bool:
        """Whether an operation is a kernel of its own, rather than one that can be fused."""
        return operation_name(self.operations[i]) not in FUSIBLE

    def near(self, first: int, last: int) -> bool:
        """Whether no heavy operation lies strictly between two."""
        place = bisect_left(self.heavy_at, first + 1)
        return place == len(self.heavy_at) or self.heavy_at[place] >= last

    def segment(self, i: int) -> int:
        """The segment that an operation is in: the number of heavy operations before it."""
        return bisect_left(self.heavy_at, i)
