"""Jaxprs made flat: calls inlined, dead equations removed, equal ones merged. Public modules of JAX alone are used.

What stays opaque: control flow (scan, while, cond), shard_map, foreign calls, and jits that pin shardings or compiler
options, since inlining these would lose what they pin.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jax
import numpy as np
from jax.extend import core

from hcp.integrations.jax.errors import CaptureError
from hcp.integrations.jax.loops import carried, stacks
from hcp.integrations.jax.platform import is_key, shape

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


@dataclass(frozen=True, eq=False)
class Program:
    """A flat jaxpr.

    Attributes:
        jaxpr: What it was made from; carries JAX's debugging information.
        constants: Values of the variables that the jaxpr closes over.
        constvars: These variables.
        invars: Its arguments.
        equations: In execution order; none of them is a plain call.
        outvars: What it returns, variables or literals.
    """

    jaxpr: Any
    constants: tuple[Any, ...]
    constvars: tuple[Any, ...]
    invars: tuple[Any, ...]
    equations: tuple[Equation, ...]
    outvars: tuple[Atom, ...]

    @property
    def sources(self) -> tuple[Any, ...]:
        """The variables that exist before the first equation."""
        return (*self.constvars, *self.invars)

    def part(self, equations: Sequence[Equation], invars: Sequence[Any], outvars: Sequence[Atom]) -> Any:  # noqa: ANN401
        """Some of the equations as a jaxpr of its own."""
        effects: frozenset[Any] = frozenset().union(*(equation.effects for equation in equations))
        return self.jaxpr.replace(
            constvars=[], invars=list(invars), outvars=list(outvars), eqns=list(equations), effects=effects
        )


def flatten(closed: core.ClosedJaxpr) -> Program:
    """Inlines calls, removes what no output needs, and merges equations that compute the same.

    Raises:
        CaptureError: If an equation reads or writes a mutable reference.
    """
    inliner = _Inliner()
    jaxpr = closed.jaxpr
    invars = tuple(inliner.fresh(var) for var in jaxpr.invars)
    outvars = inliner.inline(jaxpr, [inliner.constant(value, var) for var, value in _constants(closed)], invars)
    equations, outvars = _merged(_live(inliner.equations, outvars), outvars)
    equations = inliner.with_carried_stacks(equations, outvars)
    for equation in equations:
        _check(equation)
    return Program(jaxpr, tuple(inliner.constants), tuple(inliner.constvars), invars, tuple(equations), tuple(outvars))


def is_variable(atom: Atom) -> bool:
    """Whether an atom is a variable rather than a literal."""
    return isinstance(atom, core.Var)


def size(var: Atom) -> int:
    """Bytes of an array; of a typed key, those of its words."""
    aval = var.aval
    extent = int(np.prod(getattr(aval, "shape", ()), dtype=np.int64))
    dtype = getattr(aval, "dtype", None)
    if dtype is None:
        return 0
    if is_key(dtype):
        # Keys of all implementations at hand have at most four 32-bit words; the common one has two.
        words = int(np.prod(jax.eval_shape(jax.random.key_data, shape((), dtype)).shape))
        return extent * 4 * words
    return extent * int(np.dtype(dtype).itemsize)


def has_effects(equation: Equation) -> bool:
    """Whether running an equation again would be seen from outside."""
    return any(type(effect).__name__ not in _HARMLESS_EFFECTS for effect in equation.effects)


def inner_jaxprs(equation: Equation) -> list[Any]:
    """The jaxprs among an equation's parameters, such as the body of a loop."""
    return list(core.jaxprs_in_params(equation.params))


@dataclass
class _Inliner:
    equations: list[Equation] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    constvars: list[Any] = field(default_factory=list)
    known: dict[int, Any] = field(default_factory=dict)

    def fresh(self, var: Any) -> Any:  # noqa: ANN401
        return core.Var(var.aval)

    def constant(self, value: Any, var: Any) -> Any:  # noqa: ANN401
        """The variable of a constant; one and the same array becomes one variable."""
        if id(value) not in self.known:
            self.known[id(value)] = self.fresh(var)
            self.constants.append(value)
            self.constvars.append(self.known[id(value)])
        return self.known[id(value)]

    def inline(self, jaxpr: Any, constants: Sequence[Atom], arguments: Sequence[Atom]) -> list[Atom]:  # noqa: ANN401
        """Adds a jaxpr's equations, with variables of their own since a jaxpr may be called twice."""
        own: dict[Any, Atom] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *arguments), strict=True))

        def atom(item: Atom) -> Atom:
            return own[item] if is_variable(item) else item

        for equation in jaxpr.eqns:
            inputs = [atom(item) for item in equation.invars]
            inner = _callee(equation)
            if inner is not None:
                callee, values = inner
                outputs = self.inline(callee, [self.constant(v, var) for var, v in values], inputs)
            else:
                outputs = [self.fresh(var) for var in equation.outvars]
                self.equations.append(equation.replace(invars=inputs, outvars=outputs))
            own.update(zip(equation.outvars, outputs, strict=True))
        return [atom(item) for item in jaxpr.outvars]

    def with_carried_stacks(self, equations: Sequence[Equation], outvars: Sequence[Atom]) -> list[Equation]:
        """Rewrites scans that stack results; what nobody reads of these is no longer computed."""
        self.equations = []
        read = {item for equation in equations for item in equation.invars if is_variable(item)}
        read.update(item for item in outvars if is_variable(item))
        for equation in equations:
            if not stacks(equation):
                self.equations.append(equation)
                continue
            closed, replaced = carried(equation, read)
            constants = [self.constant(value, var) for var, value in _constants(closed)]
            outputs = self.inline(closed.jaxpr, constants, equation.invars)
            self.equations = _renamed(self.equations, dict(zip(outputs, replaced, strict=True)))
        return _live(self.equations, outvars)


def _renamed(equations: Sequence[Equation], names: dict[Any, Any]) -> list[Equation]:
    return [
        equation.replace(outvars=[names.get(var, var) for var in equation.outvars])
        if not names.keys().isdisjoint(equation.outvars)
        else equation
        for equation in equations
    ]


def _callee(equation: Equation) -> tuple[Any, list[tuple[Any, Any]]] | None:
    """The jaxpr that an equation merely calls, with its constants; None where it has to stay."""
    if equation.primitive not in _INLINED or _pinned(equation.params):
        return None
    for name in ("jaxpr", "call_jaxpr"):
        inner = equation.params.get(name)
        if isinstance(inner, core.ClosedJaxpr):
            return inner.jaxpr, _constants(inner)
        if isinstance(inner, core.Jaxpr):
            return inner, []
    return None


def _pinned(params: dict[str, Any]) -> bool:
    shardings = (*params.get("in_shardings", ()), *params.get("out_shardings", ()))
    return bool(params.get("compiler_options_kvs")) or any(isinstance(s, jax.sharding.Sharding) for s in shardings)


def _constants(closed: core.ClosedJaxpr) -> list[tuple[Any, Any]]:
    return list(zip(closed.jaxpr.constvars, closed.consts, strict=True))


def _live(equations: Sequence[Equation], outvars: Sequence[Atom]) -> list[Equation]:
    needed = {item for item in outvars if is_variable(item)}
    kept = []
    for equation in reversed(equations):
        if equation.effects or not needed.isdisjoint(equation.outvars):
            kept.append(equation)
            needed.update(item for item in equation.invars if is_variable(item))
    return kept[::-1]


def _merged(equations: Sequence[Equation], outvars: Sequence[Atom]) -> tuple[list[Equation], list[Atom]]:
    """Keeps the first of equations that compute the same, such as a user's checkpoint leaves behind."""
    first: dict[Hashable, Equation] = {}
    stands_for: dict[Any, Any] = {}

    def atom(item: Atom) -> Atom:
        return stands_for.get(item, item) if is_variable(item) else item

    kept = []
    for equation in equations:
        renamed = equation.replace(invars=[atom(item) for item in equation.invars])
        key = _key(renamed)
        if key is not None and key in first:
            stands_for.update(zip(equation.outvars, first[key].outvars, strict=True))
            continue
        if key is not None:
            first[key] = renamed
        kept.append(renamed)
    return kept, [atom(item) for item in outvars]


def _key(equation: Equation) -> Hashable | None:
    """What equal equations agree in; None where that is unknown, or where the equation has effects."""
    if equation.effects:
        return None
    inputs = tuple(item if is_variable(item) else _literal_key(item) for item in equation.invars)
    key = (equation.primitive, inputs, tuple(sorted(equation.params.items(), key=lambda pair: pair[0])))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _literal_key(literal: Any) -> Hashable:  # noqa: ANN401
    value = np.asarray(literal.val)
    return (str(literal.aval), value.dtype.str, value.tobytes())


def _check(equation: Equation) -> None:
    for item in equation.invars:
        # References are the one kind of value that an equation may change.
        if "Ref" in type(item.aval).__name__:
            raise CaptureError(
                f"operation {equation.primitive.name} works on a mutable reference, which cannot be replayed; "
                "return the new contents from the function instead"
            )
