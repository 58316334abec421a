"""Jaxprs joined into one list of equations: calls inlined, constants collected, functions traced in between."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jax
from jax.extend import core

Atom = Any  # core.Var | core.Literal; JAX leaves the types of jaxprs open
Equation = Any

_INLINED: Final = frozenset(
    {
        core.primitives.jit_p,
        core.primitives.closed_call_p,
        core.primitives.call_p,
        core.primitives.custom_jvp_call_p,
        core.primitives.custom_vjp_call_p,
        core.primitives.remat_p,
    }
)

# Collectives carry the names of their axes as an "effect"; running them again is harmless.
_HARMLESS_EFFECTS: Final = frozenset({"NamedAxisEffect"})


def is_variable(atom: Atom) -> bool:
    """Whether an atom is a variable rather than a literal."""
    return isinstance(atom, core.Var)


def has_effects(equation: Equation) -> bool:
    """Whether running an equation again would be seen from outside."""
    return any(type(effect).__name__ not in _HARMLESS_EFFECTS for effect in equation.effects)


@dataclass
class Inliner:
    """Collects equations.

    Attributes:
        equations: So far.
        constants: Arrays that they close over.
        constvars: The variables of these.
        replaced: What stands for variables whose equations were rewritten.
    """

    equations: list[Equation] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    constvars: list[Any] = field(default_factory=list)
    replaced: dict[Any, Atom] = field(default_factory=dict)
    _known: dict[int, Any] = field(default_factory=dict)

    def fresh(self, var: Any) -> Any:  # noqa: ANN401
        """A new variable like another one."""
        return core.Var(var.aval)

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
                outputs = self.inline(inner, [self.constant(v, var) for var, v in values], inputs)
            else:
                outputs = [self.fresh(var) for var in equation.outvars]
                self.equations.append(equation.replace(invars=inputs, outvars=outputs))
            own.update(zip(equation.outvars, outputs, strict=True))
        return [atom(item) for item in jaxpr.outvars]

    def atoms(self, items: Sequence[Atom]) -> list[Atom]:
        """What stands for variables now."""
        return [self.replaced.get(item, item) if is_variable(item) else item for item in items]

    def add(self, equation: Equation) -> None:
        """Adds an equation as it is, reading what was rewritten."""
        self.equations.append(equation.replace(invars=self.atoms(equation.invars)))

    def closed(self, closed: core.ClosedJaxpr, arguments: Sequence[Atom]) -> list[Atom]:
        """Adds a closed jaxpr's equations."""
        return self.inline(closed.jaxpr, [self.constant(value, var) for var, value in constants_of(closed)], arguments)

    def call(self, function: Callable[..., Sequence[Any]], *arguments: Atom) -> list[Atom]:
        """Adds what a function does to some arrays."""
        return self.closed(jax.make_jaxpr(function)(*(atom.aval for atom in arguments)), arguments)


def callee(equation: Equation) -> tuple[Any, list[tuple[Any, Any]]] | None:
    """The jaxpr that an equation merely calls, with its constants; None where it has to stay."""
    if equation.primitive not in _INLINED or _pinned(equation.params):
        return None
    for name in ("jaxpr", "call_jaxpr"):
        inner = equation.params.get(name)
        if isinstance(inner, core.ClosedJaxpr):
            return inner.jaxpr, constants_of(inner)
        if isinstance(inner, core.Jaxpr):
            return inner, []
    return None


def _pinned(params: dict[str, Any]) -> bool:
    shardings = (*params.get("in_shardings", ()), *params.get("out_shardings", ()))
    return bool(params.get("compiler_options_kvs")) or any(isinstance(s, jax.sharding.Sharding) for s in shardings)


def constants_of(closed: core.ClosedJaxpr) -> list[tuple[Any, Any]]:
    """The variables that a jaxpr closes over, with their values."""
    return list(zip(closed.jaxpr.constvars, closed.consts, strict=True))
