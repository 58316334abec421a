"""Jaxprs made flat: calls inlined, dead equations removed, equal ones merged.

What stays opaque: control flow (scan, while, cond), foreign calls, and jits that pin shardings or compiler options,
since inlining these would lose what they pin. A shard_map is gone into (see ``regions``) where that is possible.
"""

from collections import Counter
from collections.abc import Container, Hashable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from hcp.integrations.jax.errors import CaptureError
from hcp.integrations.jax.inline import Inliner
from hcp.integrations.jax.internals import (
    COLLECTIVES,
    LEAVE,
    Atom,
    ClosedJaxpr,
    Equation,
    inner_mesh,
    is_kept_unread,
    is_reference,
    is_variable,
    operation_key,
    operation_name,
    pooling_of,
    rewired,
)
from hcp.integrations.jax.loops import carried, stacks
from hcp.integrations.jax.pooling import scattered
from hcp.integrations.jax.program import Program
from hcp.integrations.jax.regions import Regions
from hcp.integrations.jax.residuals import slimmed
from hcp.integrations.jax.unroll import MOST_EQUATIONS, PARTS, Cutter


def flatten(
    closed: ClosedJaxpr,
    *,
    again: bool = False,
    slim: float | None = None,
    cut: bool = False,
    parts: int = PARTS[-1],
    most: int = MOST_EQUATIONS,
    regions: Regions | None = None,
) -> Program:
    """Inlines calls, removes what no output needs, and merges equations that compute the same.

    Args:
        closed: The jaxpr.
        again: Whether what ``jax.checkpoint`` computes again stays, rather than be merged with the first time.
        slim: Where given, loops that are too long to be written out stack up less: they make again in their steps what
            is made for nothing, and what holds so many bytes for a floating-point operation (see ``residuals``).
        cut: Whether to cut up the loops that hand stacks to one another (see ``unroll``).
        parts: Into how many loops a longer one is cut.
        most: Equations that the program may come to by cutting loops into single steps.
        regions: Where it may be computed, as far as that is known.

    Raises:
        CaptureError: If an equation reads or writes a mutable reference.
    """
    inliner = Inliner(regions=dict(regions or {}))
    jaxpr = closed.jaxpr
    invars = tuple(inliner.fresh(var) for var in jaxpr.invars)
    outvars = inliner.closed(closed, invars)
    merged = partial(_merged, apart=inliner.apart if again else {})
    equations, outvars = merged(live(inliner.equations, outvars), outvars)
    cutter = Cutter(inliner, most, parts)
    long = cutter.longer(equations)
    if slim is not None:
        flat = partial(flatten, regions=inliner.regions)
        less, outvars = slimmed(inliner, equations, outvars, long, flat=flat, rate=slim)
        equations, outvars = merged(live(less, outvars), outvars)
    if cut:
        found, outvars = cutter.run(equations, outvars)
        equations, outvars = merged(live(found, outvars), outvars, cutter.in_place)
    equations, outvars = _allocated_late(inliner, equations, outvars)
    equations = _early(equations) if inliner.regions else equations
    for equation in equations:
        _check(equation)
    sources = tuple(inliner.constants), tuple(inliner.constvars), invars
    made = tuple(equations), tuple(outvars), _leaving(equations, cutter.in_place)
    loops = tuple(chain.from_iterable(long))
    return Program(jaxpr, *sources, *made, cut=cutter.cuts > 0, long=loops, regions=inliner.regions)


def _allocated_late(
    inliner: Inliner, equations: Sequence[Equation], outvars: Sequence[Atom]
) -> tuple[list[Equation], list[Atom]]:
    """Rewrites what XLA would allocate long before it runs; results that are not read are no longer computed."""
    inliner.equations = []
    read = {item for equation in equations for item in equation.invars if is_variable(item)}
    read.update(item for item in outvars if is_variable(item))
    for equation in equations:
        if stacks(equation):
            scan, kept = carried(equation, read)
            made = inliner.call(scan, *inliner.atoms(equation.invars))
            inliner.replaced.update(zip(kept, made, strict=True))
        elif (pooling := pooling_of(equation)) is not None:
            made = inliner.call(partial(scattered, pooling), *inliner.atoms(equation.invars))
            inliner.replaced.update(zip(equation.outvars, made, strict=True))
        else:
            inliner.add(equation)
    outvars = inliner.atoms(outvars)
    return live(inliner.equations, outvars), outvars


def _early(equations: Sequence[Equation]) -> list[Equation]:
    """Sums over devices, and ways out of a ``shard_map``, each right behind what makes what nobody else reads.

    JAX has them at the end of a ``shard_map``: until there, each gradient would take its room twice.
    """
    behind = _behind(equations)
    moved = {id(equation) for each in behind.values() for equation in each}
    stack = [equation for equation in reversed(equations) if id(equation) not in moved]
    found = []
    while stack:
        found.append(stack.pop())
        stack += reversed(behind.get(id(found[-1]), ()))
    return found


def _behind(equations: Sequence[Equation]) -> dict[int, list[Equation]]:
    """By equation, what of these can follow it at once."""
    readers = Counter(item for equation in equations for item in filter(is_variable, equation.invars))
    maker = {var: equation for equation in equations for var in equation.outvars}
    found: dict[int, list[Equation]] = {}
    for equation in equations:
        made = [maker[item] for item in filter(is_variable, equation.invars) if item in maker]
        alone = operation_name(equation) in COLLECTIVES and readers[equation.invars[0]] == 1
        if len(made) == 1 and (alone or operation_name(equation) == LEAVE):
            found.setdefault(id(made[0]), []).append(equation)
    return found


def _leaving(equations: Sequence[Equation], in_place: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Arrays that are written in place, with those that they are outside of the region where that is done."""
    ways = (equation for equation in equations if operation_name(equation) == LEAVE)
    out = {each.outvars[0]: in_place[each.invars[0]] for each in ways if each.invars[0] in in_place}
    return {**in_place, **out}


def live(equations: Sequence[Equation], outvars: Sequence[Atom]) -> list[Equation]:
    """The equations that some results need, and those that have effects."""
    needed = {item for item in outvars if is_variable(item)}
    kept = []
    for equation in reversed(equations):
        if is_kept_unread(equation) or not needed.isdisjoint(equation.outvars):
            kept.append(equation)
            needed.update(item for item in equation.invars if is_variable(item))
    return kept[::-1]


def _merged(
    equations: Sequence[Equation], outvars: Sequence[Atom], in_place: Container[Any] = (), *, apart: Mapping[Any, int]
) -> tuple[list[Equation], list[Atom]]:
    """Keeps the first of equations that compute the same, such as a user's checkpoint leaves behind.

    Arrays that are written in place stay apart: what begins alike may go on differently.

    Args:
        equations: In execution order.
        outvars: What is returned.
        in_place: The variables of arrays that are written in place.
        apart: For variables that are computed apart from all else, where.
    """
    first: dict[Hashable, Equation] = {}
    stands_for: dict[Any, Any] = {}

    def atom(item: Atom) -> Atom:
        return stands_for.get(item, item) if is_variable(item) else item

    kept = []
    for equation in equations:
        renamed = rewired(equation, [atom(item) for item in equation.invars])
        own = None if any(var in in_place for var in renamed.outvars) else equation_key(renamed)
        key = None if own is None else (own, *{apart.get(var) for var in renamed.outvars})
        if key is not None and key in first:
            stands_for.update(zip(equation.outvars, first[key].outvars, strict=True))
            continue
        if key is not None:
            first[key] = renamed
        kept.append(renamed)
    return kept, [atom(item) for item in outvars]


def equation_key(equation: Equation) -> tuple[Hashable, ...] | None:
    """What equal equations agree in; None where that is unknown, or where the equation has effects."""
    operation = operation_key(equation)
    if operation is None:
        return None
    # What reads nothing is another array where each device has its own.
    where = [inner_mesh(var.aval) for var in equation.outvars[:1]]
    key = (operation, str(where), tuple(item if is_variable(item) else literal_key(item) for item in equation.invars))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def literal_key(literal: Any) -> Hashable:  # noqa: ANN401
    """What equal literals agree in."""
    value = np.asarray(literal.val)
    return (str(literal.aval), value.dtype.str, value.tobytes())


def _check(equation: Equation) -> None:
    for item in equation.invars:
        # References are the one kind of value that an equation may change.
        if is_reference(item.aval):
            raise CaptureError(
                f"operation {operation_name(equation)} works on a mutable reference, which cannot be replayed; "
                "return the new contents from the function instead"
            )
