"""Jaxprs joined into one list of equations: calls inlined, constants collected, functions traced in between."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax

from hcp.integrations.jax.internals import (
    ENTER,
    LEAVE,
    Atom,
    ClosedJaxpr,
    Equation,
    Mapped,
    callee,
    constants_of,
    inner_mesh,
    is_asked_again,
    is_variable,
    new_variable,
    passes_on,
    rewired,
    varying_axes,
)
from hcp.integrations.jax.regions import Region


@dataclass
class Inliner:
    """Collects equations.

    Attributes:
        equations: So far.
        constants: Arrays that they close over.
        constvars: The variables of these.
        replaced: What stands for variables whose equations were rewritten.
        apart: For variables that ``jax.checkpoint`` has computed apart from all else, which of its calls does.
        regions: Where devices have arrays of their own, by the mesh that types there name.
    """

    equations: list[Equation] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    constvars: list[Any] = field(default_factory=list)
    replaced: dict[Any, Atom] = field(default_factory=dict)
    apart: dict[Any, int] = field(default_factory=dict)
    _call: int | None = None
    _calls: int = 0
    regions: dict[Any, Region] = field(default_factory=dict)
    _known: dict[int, Any] = field(default_factory=dict)
    # Of a variable that has come from the other side, how, and which one it is there.
    _crossed: dict[Any, tuple[Region, Any, Any]] = field(default_factory=dict)

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
                before = self._call
                if is_asked_again(equation):
                    self._call, self._calls = self._calls, self._calls + 1
                outputs = self.inline(inner, [self.constant(v, var) for var, v in values], inputs)
                self._call = before
            elif (mapped := self._region(equation)) is not None:
                outputs = self._within(mapped, inputs)
            elif passes_on(equation):
                outputs = inputs
            else:
                outputs = [self.fresh(var) for var in equation.outvars]
                self.equations.append(rewired(equation, inputs, outputs))
                if self._call is not None:
                    self.apart.update(dict.fromkeys(outputs, self._call))
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
        avals = [atom.aval for atom in arguments]
        region = next((self.regions[mesh] for mesh in map(inner_mesh, avals) if mesh in self.regions), None)
        made = jax.make_jaxpr(function)(*avals) if region is None else region.trace(function, avals)
        return self.closed(made, arguments)

    def _region(self, equation: Equation) -> Mapped | None:
        """An equation that is seen into; types inside have to tell regions apart."""
        mapped = Mapped.of(equation)
        if mapped is None:
            return None
        region = Region(mapped.mesh, mapped.checked)
        return mapped if self.regions.setdefault(mapped.inner, region) == region else None

    def _within(self, mapped: Mapped, inputs: Sequence[Atom]) -> list[Atom]:
        """Adds what a region computes, with the ways in and out."""
        ways = zip(mapped.sources, inputs, mapped.body.invars, strict=True)
        made = self.inline(mapped.body, [], [self._cross(mapped, ENTER, *way) for way in ways])
        ways = zip(mapped.results, made, mapped.equation.outvars, strict=True)
        return [self._cross(mapped, LEAVE, *way) for way in ways]

    def _cross(self, mapped: Mapped, name: str, spec: Any, item: Atom, like: Any) -> Atom:  # noqa: ANN401
        """A variable on the other side of a region's border: the one that it has come from, if in the same way."""
        # Constants go in unnamed: types there do not tell of the mesh.
        if not is_variable(item) or (name == ENTER and inner_mesh(like.aval) is None):
            return item
        region = self.regions[mapped.inner]
        if item in self._crossed and self._crossed[item][:2] == (region, spec):
            # Inside, arrays may differ over more axes than before they went out.
            before = self._crossed[item][2]
            more = tuple(varying_axes(like.aval) - varying_axes(before.aval)) if name == ENTER else ()
            return self.call(lambda array: [jax.lax.pcast(array, more, to="varying")], before)[0] if more else before
        found = self.fresh(like)
        self.equations.append(mapped.crossing(name, spec, item, found))
        self._crossed[found] = region, spec, item
        return found
