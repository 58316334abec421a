"""Jaxprs joined into one list of equations: calls inlined, constants collected, functions traced in between."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax

from hcp.integrations.jax.internals import (
    Atom,
    ClosedJaxpr,
    Equation,
    callee,
    constants_of,
    is_asked_again,
    is_variable,
    new_variable,
    passes_on,
    rewired,
)


@dataclass
class Inliner:
    """Collects equations.

    Attributes:
        equations: So far.
        constants: Arrays that they close over.
        constvars: The variables of these.
        replaced: What stands for variables whose equations were rewritten.
        apart: For variables that ``jax.checkpoint`` has computed apart from all else, which of its calls does.
    """

    equations: list[Equation] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    constvars: list[Any] = field(default_factory=list)
    replaced: dict[Any, Atom] = field(default_factory=dict)
    apart: dict[Any, int] = field(default_factory=dict)
    _within: int | None = None
    _calls: int = 0
    _known: dict[int, Any] = field(default_factory=dict)

    def fresh(self, var: Any) -> Any:  # noqa: ANN401
        """A new variable like another one."""
        return new_variable(var.aval)

    def constant(self, value: Any, var: Any) -> Any:  # noqa: ANN401
        """The variable of a constant; one and the same array becomes one variable."""
        if id(value) not in self._known:
            self._known[id(value)] = self.fresh(var)
            self.constants.append(value)
            self.constvars.append(self._known[id(value)])
        return self._known[id(value)]

    def inline(self, jaxpr: Any, constants: Sequence[Atom], arguments: Sequence[Atom]) -> list[Atom]:  # noqa: ANN401
        """Adds a jaxpr's equations, with variables of their own since a jaxpr may be called twice."""
        own: dict[Any, Atom] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *arguments), strict=True))

        def atom(item: Atom) -> Atom:
            return own[item] if is_variable(item) else item

        for equation in jaxpr.eqns:
            inputs = [atom(item) for item in equation.invars]
            called = callee(equation)
            if called is not None:
                inner, values = called
                before = self._within
                if is_asked_again(equation):
                    self._within, self._calls = self._calls, self._calls + 1
                outputs = self.inline(inner, [self.constant(v, var) for var, v in values], inputs)
                self._within = before
            elif passes_on(equation):
                outputs = inputs
            else:
                outputs = [self.fresh(var) for var in equation.outvars]
                self.equations.append(rewired(equation, inputs, outputs))
                if self._within is not None:
                    self.apart.update(dict.fromkeys(outputs, self._within))
            own.update(zip(equation.outvars, outputs, strict=True))
        return [atom(item) for item in jaxpr.outvars]

    def atoms(self, items: Sequence[Atom]) -> list[Atom]:
        """What stands for variables now."""
        return [self.replaced.get(item, item) if is_variable(item) else item for item in items]

    def add(self, equation: Equation) -> None:
        """Adds an equation as it is, reading what was rewritten."""
        self.equations.append(rewired(equation, self.atoms(equation.invars)))

    def closed(self, closed: ClosedJaxpr, arguments: Sequence[Atom]) -> list[Atom]:
        """Adds a closed jaxpr's equations."""
        return self.inline(closed.jaxpr, [self.constant(value, var) for var, value in constants_of(closed)], arguments)

    def call(self, function: Callable[..., Sequence[Any]], *arguments: Atom) -> list[Atom]:
        """Adds what a function does to some arrays."""
        return self.closed(jax.make_jaxpr(function)(*(atom.aval for atom in arguments)), arguments)
