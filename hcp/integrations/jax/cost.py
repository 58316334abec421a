"""What groups of operations cost: a roofline over their arithmetic and the bytes that they move.

A loop is its steps, and a step is what its own groups cost: each of them is launched and reads and writes its arrays,
every time.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from hcp.integrations.devices import Device
from hcp.integrations.jax.errors import CaptureError
from hcp.integrations.jax.flops import PRODUCTS, flops
from hcp.integrations.jax.fusion import group
from hcp.integrations.jax.internals import (
    COLLECTIVES,
    DYNAMIC_UPDATE_SLICE,
    ENTER,
    LEAVE,
    PLACED,
    ClosedJaxpr,
    Equation,
    Scan,
    equations_in,
    inner_jaxprs,
    is_scan,
    is_variable,
    operation_name,
)
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.program import size
from hcp.integrations.roofline import nanoseconds

# Bytes of a device's own memory that are read in the time in which one goes to another device, by order of magnitude.
LINK: Final = 4
# Steps whose costs are remembered; the parts of a loop share theirs.
_STEPS: Final = 64


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
    found = tuple(equations)
    loops = [Scan.of(equation) for equation in found if is_scan(equation)]
    plain = [equation for equation in found if not is_scan(equation)]
    # What steps read and write counts with them.
    within = {item for loop in loops for item in (*loop.equation.invars, *loop.equation.outvars) if is_variable(item)}
    moved = _moved(plain, (var for var in inputs if var not in within), (var for var in outputs if var not in within))
    inside = sum(loop.length * _step_cost(loop.body, platform) for loop in loops)
    done = sum(map(flops, plain))
    if isinstance(platform, Device):
        return inside + platform.nanoseconds(done, moved, _item_bytes(plain))
    return inside + nanoseconds(done, moved, platform)


def _moved(equations: Iterable[Equation], inputs: Iterable[Any], outputs: Iterable[Any]) -> int:
    """Bytes that a group reads and writes."""
    readers: dict[Any, list[Equation]] = {}
    maker: dict[Any, Equation] = {}
    for equation in equations:
        maker.update((var, equation) for var in equation.outvars)
        for var in dict.fromkeys(filter(is_variable, equation.invars)):
            readers.setdefault(var, []).append(equation)
    read = sum(_read(var, readers.get(var, ())) for var in inputs)
    written = sum(_written(var, maker.get(var)) for var in outputs)
    return read + written + LINK * sum(map(_exchanged, equations))


def _item_bytes(equations: Sequence[Equation]) -> int:
    """Of the numbers that the first product multiplies; without one, arithmetic is not what takes long."""
    within = (inner for equation in equations for jaxpr in inner_jaxprs(equation) for inner in equations_in(jaxpr))
    products = (each for each in (*equations, *within) if operation_name(each) in PRODUCTS)
    product = next(products, equations[-1] if equations else None)
    read = () if product is None else product.invars
    return int(max((getattr(getattr(item.aval, "dtype", None), "itemsize", 4) for item in read), default=4))


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


@lru_cache(_STEPS)
def _step_cost(body: ClosedJaxpr, platform: str | Device) -> int:
    """Nanoseconds of one step of a loop."""
    try:
        groups = group(flatten(body))
    except CaptureError:
        # It works on mutable references, which only a step of its own can tell apart.
        return group_cost(body.eqns, body.jaxpr.invars, body.jaxpr.outvars, platform)
    return sum(group_cost(each.equations, each.inputs, each.outputs, platform) for each in groups)


_PARTLY: Final = PLACED | {ENTER}
