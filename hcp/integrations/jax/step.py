"""One step of a scan as pure functions of lists of arrays: what it closes over made explicit, and its transpose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import tree_util

from hcp.integrations.jax.errors import CaptureError
from hcp.integrations.jax.internals import has_effects, operation_name, run_jaxpr
from hcp.integrations.jax.platform import is_key, shape
from hcp.integrations.jax.version import check_version

Arrays = list[Any]


@dataclass(frozen=True, eq=False)
class Step:
    """A captured step and what it is scanned over; carries hold the words of random keys in place of keys.

    Attributes:
        name: Of the step's function, for people.
        body: ``body(constants, carry, x) -> (carry, y)``.
        back: ``back(constants, carry, x, cotangent of the next carry, of y)`` -> cotangents of the first three. Only
            floating-point and complex arrays have cotangents.
        length: Number of steps.
        constants: Arrays that the function closes over.
        init: The first carry.
        xs: The scanned arrays.
        y_shapes: Of one step's stacked results.
        carry: From a list of arrays to the caller's carry.
        stacks: From a list of arrays to the caller's stacked results.
    """

    name: str
    body: Callable[[Arrays, Arrays, Arrays], tuple[Arrays, Arrays]]
    back: Callable[..., tuple[Arrays, Arrays, Arrays]]
    length: int
    constants: Arrays
    init: Arrays
    xs: Arrays
    y_shapes: Arrays
    carry: Callable[[Arrays], Any]
    stacks: Callable[[Arrays], Any]

    def with_planned_back(self, back: Callable[..., Any]) -> "Step":
        """The same step with another transpose."""
        return replace(self, back=back)

    def first_x(self) -> Arrays:
        """What one step gets of ``xs``, in shape."""
        return [jnp.zeros(x.shape[1:], x.dtype) for x in self.xs]

    def carry_cotangent(self) -> Arrays:
        """Zeros as cotangents of a carry."""
        return [jnp.zeros_like(a) for a in smooth(self.init)]

    def stack_cotangent(self) -> Arrays:
        """Zeros as cotangents of one step's stacked results."""
        return [jnp.zeros(a.shape, a.dtype) for a in smooth(self.y_shapes)]

    def empty_stacks(self) -> Any:  # noqa: ANN401
        """The stacked results of no steps."""
        return self.stacks([jnp.zeros((0, *a.shape), a.dtype) for a in self.y_shapes])

    def smooth_cotangents(self, of_carry: Arrays, of_stacks: Arrays) -> tuple[Arrays, Arrays]:
        """The cotangents that there are, of all that JAX hands over."""
        return _where_smooth(self.init, of_carry), _where_smooth(self.y_shapes, of_stacks)

    def all_cotangents(self, constants: Arrays, carry: Arrays, xs: Arrays) -> tuple[Arrays, Arrays, Arrays]:
        """The reverse: None for arrays that have no cotangents."""
        return _everywhere(self.constants, constants), _everywhere(self.init, carry), _everywhere(self.xs, xs)


def capture_step(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: int | None) -> Step:  # noqa: ANN401
    """Captures the step of a scan.

    Raises:
        CaptureError: If lengths do not agree, or the step changes its carry's structure or types, or has effects.
        JaxVersionError: If JAX is of a version that was not tested.
    """
    check_version()
    name = str(getattr(f, "__name__", type(f).__name__))
    carry_leaves = tree_util.tree_leaves(init)
    carry_tree: Any = tree_util.tree_structure(init)
    carry_leaves = [jnp.asarray(leaf) if not is_array(leaf) else leaf for leaf in carry_leaves]
    keys = [jax.random.key_impl(leaf) if is_key(leaf.dtype) else None for leaf in carry_leaves]
    x_leaves, x_tree = tree_util.tree_flatten(xs)
    x_leaves = [jnp.asarray(leaf) if not is_array(leaf) else leaf for leaf in x_leaves]
    count = _length(name, x_leaves, length)

    def typed(leaves: Sequence[Any]) -> Any:  # noqa: ANN401
        found = [a if k is None else jax.random.wrap_key_data(a, impl=k) for a, k in zip(leaves, keys, strict=True)]
        return tree_util.tree_unflatten(carry_tree, found)

    def raw_step(carry: Arrays, x: Arrays) -> tuple[Arrays, Any]:
        made, y = f(typed(carry), tree_util.tree_unflatten(x_tree, x))
        if tree_util.tree_structure(made) != carry_tree:
            raise CaptureError(
                f"{name} returns a carry of structure {tree_util.tree_structure(made)}, but was given {carry_tree}; "
                "return the same structure"
            )
        return _raw(tree_util.tree_leaves(made)), y

    raw_init = _raw(carry_leaves)
    slices = [shape(x.shape[1:], x.dtype) for x in x_leaves]
    closed, (_, y_tree_shapes) = jax.make_jaxpr(raw_step, return_shape=True)(raw_init, slices)
    _check(name, closed, raw_init)
    y_tree = tree_util.tree_structure(y_tree_shapes)
    width = len(raw_init)

    def body(constants: Arrays, carry: Arrays, x: Arrays) -> tuple[Arrays, Arrays]:
        found = run_jaxpr(closed.jaxpr, constants, *carry, *x)
        return found[:width], found[width:]

    return Step(
        name=name,
        body=body,
        back=_transpose(body),
        length=count,
        constants=list(closed.consts),
        init=raw_init,
        xs=x_leaves,
        y_shapes=tree_util.tree_leaves(y_tree_shapes),
        carry=typed,
        stacks=lambda leaves: tree_util.tree_unflatten(y_tree, leaves),
    )


def smooth(arrays: Sequence[Any]) -> Arrays:
    """Those arrays that have cotangents."""
    return [a for a in arrays if is_smooth(a)]


def is_smooth(array: Any) -> bool:  # noqa: ANN401
    """Whether an array is of real or complex numbers."""
    return bool(jnp.issubdtype(array.dtype, jnp.inexact))


def is_array(leaf: object) -> bool:
    """Whether a leaf is an array already, random keys included."""
    return isinstance(leaf, jax.Array)


def _transpose(body: Callable[[Arrays, Arrays, Arrays], tuple[Arrays, Arrays]]) -> Callable[..., Any]:
    def back(constants: Arrays, carry: Arrays, x: Arrays, of_carry: Arrays, of_y: Arrays) -> Any:  # noqa: ANN401
        given = (constants, carry, x)

        def smooth_part(*parts: Arrays) -> tuple[Arrays, Arrays]:
            merged = [_merged(all_of, part) for all_of, part in zip(given, parts, strict=True)]
            made, y = body(*merged)
            return smooth(made), smooth(y)

        _, pull = jax.vjp(smooth_part, *(smooth(part) for part in given))
        return pull((of_carry, of_y))

    return back


def _merged(arrays: Arrays, part: Arrays) -> Arrays:
    source = iter(part)
    return [next(source) if is_smooth(a) else a for a in arrays]


def _where_smooth(like: Sequence[Any], cotangents: Sequence[Any]) -> Arrays:
    return [c for a, c in zip(like, cotangents, strict=True) if is_smooth(a)]


def _everywhere(like: Sequence[Any], cotangents: Sequence[Any]) -> Arrays:
    source = iter(cotangents)
    return [next(source) if is_smooth(a) else None for a in like]


def _raw(leaves: Sequence[Any]) -> Arrays:
    return [jax.random.key_data(a) if is_key(a.dtype) else a for a in map(jnp.asarray, leaves)]


def _length(name: str, xs: Sequence[Any], length: int | None) -> int:
    found = {int(x.shape[0]) if x.ndim else -1 for x in xs} | (set() if length is None else {int(length)})
    if len(found) != 1 or min(found) < 0:
        raise CaptureError(
            f"the scan over {name} got lengths {sorted(found)}; give xs one common first axis, or a length"
        )
    return found.pop()


def _check(name: str, closed: Any, carry: Sequence[Any]) -> None:  # noqa: ANN401
    for place, (var, array) in enumerate(zip(closed.jaxpr.outvars, carry, strict=False)):
        if (var.aval.shape, var.aval.dtype) != (array.shape, array.dtype):
            raise CaptureError(
                f"{name} turns leaf {place} of its carry from {array.dtype}{list(array.shape)} into "
                f"{var.aval.dtype}{list(var.aval.shape)}; return it with the same shape and type"
            )
    effect = next((equation for equation in closed.jaxpr.eqns if has_effects(equation)), None)
    if effect is not None:
        raise CaptureError(
            f"{name} has the effect of {operation_name(effect)}, which a scan that computes steps again cannot replay; "
            "take it out of the step, or use jax.lax.scan"
        )
