"""Scans rewritten so that what they stack up is allocated when they run, not long before.

JAX lowers the stacked results of a scan to buffers of zeros that depend on nothing; XLA makes them, all copies of them
included, at the very start of the program, and no barrier holds them back. Here the buffers are carried, and begin as a
broadcast that the emitter ties to the scan's turn. What is computed is the same.
"""

from collections.abc import Callable, Sequence, Set
from typing import Any

import jax
import jax.numpy as jnp

from hcp.integrations.jax.host import on_host
from hcp.integrations.jax.internals import Scan, has_effects, is_scan, run_jaxpr
from hcp.integrations.jax.platform import is_key, zeros


def stacks(equation: Any) -> bool:  # noqa: ANN401
    """Whether an equation is a scan with stacked results that can all be carried instead."""
    if not is_scan(equation) or has_effects(equation) or not Scan.of(equation).length:
        return False
    stacked = Scan.of(equation).stacks
    # On the host they are allocated elsewhere.
    return bool(stacked) and not any(is_key(var.aval.dtype) or on_host(var) for var in stacked)


def carried(equation: Any, read: Set[Any]) -> tuple[Callable[..., list[Any]], list[Any]]:  # noqa: ANN401
    """The same scan with its stacked results in its carry.

    Args:
        equation: The scan.
        read: Variables that are needed; stacks that are not among them are left out.

    Returns:
        A function of the equation's inputs, and the variables of the equation that it returns.
    """
    found = Scan.of(equation)
    body, length, reverse = found.body, found.length, found.reverse
    constants, carry = found.constants, found.carries
    kept = [k for k, var in enumerate(equation.outvars) if k >= carry and var in read]
    stacked = [equation.outvars[k].aval for k in kept]

    def scan(*inputs: Any) -> list[Any]:  # noqa: ANN401
        def step(state: Any, slices: Sequence[Any]) -> tuple[Any, None]:  # noqa: ANN401
            turn, held, buffers = state
            outputs = run_jaxpr(body.jaxpr, body.consts, *inputs[:constants], *held, *slices)
            place = length - 1 - turn if reverse else turn
            filled = [
                jax.lax.dynamic_update_index_in_dim(buffer, piece, place, 0)
                for buffer, piece in zip(buffers, (outputs[k] for k in kept), strict=True)
            ]
            return (turn + 1, outputs[:carry], filled), None

        empty = list(map(zeros, stacked))
        start = (jnp.int32(0), list(inputs[constants : found.unsliced]), empty)
        slices = list(inputs[found.unsliced :])
        (_, held, filled), _ = jax.lax.scan(step, start, slices, length=length, reverse=reverse, unroll=found.unroll)
        return [*held, *filled]

    return scan, [equation.outvars[k] for k in (*range(carry), *kept)]
