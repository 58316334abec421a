"""What operations cost: formulas of JAX's primitives for arithmetic, bytes moved, and a roofline over both."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from hcp.integrations.devices import Device
from hcp.integrations.jax.internals import (
    BRANCH,
    COLLECTIVES,
    CONVOLUTION,
    DYNAMIC_UPDATE_SLICE,
    ENTER,
    INDEXED,
    LEAVE,
    MOVEMENT,
    PLACED,
    PRODUCT,
    RANDOM,
    TRANSCENDENTAL,
    Equation,
    Scan,
    contracted_axes,
    equations_in,
    inner_jaxprs,
    is_scan,
    is_variable,
    kernel_axes,
    operation_name,
)
from hcp.integrations.jax.program import size
from hcp.integrations.roofline import nanoseconds

# Operations per element, by order of magnitude.
TRANSCENDENTAL_FLOPS: Final = 10
RANDOM_FLOPS: Final = 60
# Bytes of a device's own memory that are read in the time in which one goes to another device, likewise.
LINK: Final = 4


def flops(equation: Equation) -> int:
    """Arithmetic operations of one execution; a scan counts its body as often as it runs.

    A ``while`` whose trip count is unknown counts once, and a ``cond`` as much as its most expensive branch.
    """
    name = operation_name(equation)
    inner = [_jaxpr_flops(jaxpr.eqns) for jaxpr in inner_jaxprs(equation)]
    if name in _PRODUCTS:
        return 2 * _produced(equation) * _PRODUCTS[name](equation)
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


def group_cost(
    equations: Iterable[Equation], inputs: Iterable[Any], outputs: Iterable[Any], platform: str | Device
) -> int:
    """Nanoseconds of a group by the roofline: a launch, and the larger of arithmetic and traffic.

    Args:
        equations: What runs.
        inputs: Variables read from memory.
        outputs: Variables written to memory.
        platform: JAX's name of it, such as ``"cpu"``, or a device.
    """
    equations = tuple(equations)
    readers: dict[Any, list[Equation]] = {}
    maker: dict[Any, Equation] = {}
    for equation in equations:
        maker.update((var, equation) for var in equation.outvars)
        for var in dict.fromkeys(filter(is_variable, equation.invars)):
            readers.setdefault(var, []).append(equation)
    moved = sum(_read(var, readers.get(var, ())) for var in inputs)
    moved += sum(_written(var, maker.get(var)) for var in outputs)
    moved += LINK * sum(map(_exchanged, equations))
    done = sum(flops(equation) for equation in equations)
    if isinstance(platform, Device):
        return platform.nanoseconds(done, moved, _item_bytes(equations))
    return nanoseconds(done, moved, platform)


def _item_bytes(equations: Sequence[Equation]) -> int:
    """Of the numbers that the first product multiplies; without one, arithmetic is not what takes long."""
    within = (inner for equation in equations for jaxpr in inner_jaxprs(equation) for inner in equations_in(jaxpr))
    products = (each for each in (*equations, *within) if operation_name(each) in _PRODUCTS)
    product = next(products, equations[-1])
    return int(max((getattr(getattr(item.aval, "dtype", None), "itemsize", 4) for item in product.invars), default=4))


def _read(var: Any, readers: Sequence[Equation]) -> int:  # noqa: ANN401
    """Bytes of an input that are read: of one that is only read or changed in places, no more than these.

    So of one that a device has a part of.
    """
    if not all(operation_name(equation) in _PARTLY and equation.invars[0] is var for equation in readers):
        return size(var)
    read = (equation for equation in readers if operation_name(equation) != DYNAMIC_UPDATE_SLICE)
    return sum(size(equation.outvars[0]) for equation in read)


def _written(var: Any, maker: Equation | None) -> int:  # noqa: ANN401
    """Bytes of an output that are written: of one that is changed in a place, no more than this."""
    name = None if maker is None else operation_name(maker)
    if maker is None or name not in {DYNAMIC_UPDATE_SLICE, LEAVE}:
        return size(var)
    return size(maker.invars[1] if name == DYNAMIC_UPDATE_SLICE else maker.invars[0])


def _exchanged(equation: Equation) -> int:
    """Bytes that a device sends to others, or gets from them."""
    if operation_name(equation) not in COLLECTIVES:
        return 0
    return max(sum(map(size, equation.invars)), sum(map(size, equation.outvars)))


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


_PARTLY: Final = PLACED | {ENTER}
_PRODUCTS: Final[dict[str, Callable[[Equation], int]]] = {PRODUCT: _contracted, CONVOLUTION: _taps}
