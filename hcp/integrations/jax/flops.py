"""How much arithmetic operations are: formulas of JAX's primitives."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

from hcp.integrations.jax.internals import (
    BRANCH,
    CONVOLUTION,
    DYNAMIC_UPDATE_SLICE,
    INDEXED,
    MOVEMENT,
    PRODUCT,
    RANDOM,
    TRANSCENDENTAL,
    Equation,
    Scan,
    contracted_axes,
    inner_jaxprs,
    is_scan,
    kernel_axes,
    operation_name,
)

# Operations per element, by order of magnitude.
TRANSCENDENTAL_FLOPS: Final = 10
RANDOM_FLOPS: Final = 60


def flops(equation: Equation) -> int:
    """Arithmetic operations of one execution; a scan counts its body as often as it runs.

    A ``while`` whose trip count is unknown counts once, and a ``cond`` as much as its most expensive branch.
    """
    name = operation_name(equation)
    inner = [_jaxpr_flops(jaxpr.eqns) for jaxpr in inner_jaxprs(equation)]
    if name in PRODUCTS:
        return 2 * _produced(equation) * PRODUCTS[name](equation)
    if is_scan(equation):
        return int(Scan.of(equation).length) * sum(inner)
    if inner:
        return max(inner) if name == BRANCH else sum(inner)
    # What picks or changes some elements of an array does not go through all of it.
    if name == DYNAMIC_UPDATE_SLICE:
        return _elements(equation.invars[1])
    read = 0 if name in INDEXED else max(map(_elements, equation.invars), default=0)
    return _per_element(name) * max(_produced(equation), read)


def _per_element(name: str) -> int:
    if name in MOVEMENT:
        return 0
    if name in RANDOM:
        return RANDOM_FLOPS
    return TRANSCENDENTAL_FLOPS if name in TRANSCENDENTAL else 1


def _jaxpr_flops(equations: Iterable[Equation]) -> int:
    return sum(flops(equation) for equation in equations)


def _elements(item: Any) -> int:  # noqa: ANN401
    return int(math.prod(getattr(item.aval, "shape", ())))


def _produced(equation: Equation) -> int:
    return sum(_elements(var) for var in equation.outvars)


def _contracted(equation: Equation) -> int:
    """Products per output element of a ``dot_general``."""
    return int(math.prod(equation.invars[0].aval.shape[axis] for axis in contracted_axes(equation)))


def _taps(equation: Equation) -> int:
    """Products per output element of a convolution: the kernel's extent times the input channels of its group."""
    kernel = equation.invars[1].aval.shape
    return int(math.prod(kernel[axis] for axis in kernel_axes(equation)))


# Multiplications and additions of each element of a result.
PRODUCTS: Final[dict[str, Callable[[Equation], int]]] = {PRODUCT: _contracted, CONVOLUTION: _taps}
