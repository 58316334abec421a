"""The way back of pooling, written so that it is allocated when it runs.

XLA finds where each window's extreme is by one array of places for every axis. These depend on nothing, so that it
makes them at the very start of the program, all of them, and no barrier holds them back. Here there is one array, of
places in the whole, and it is made to depend on what is pooled.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hcp.integrations.jax.internals import Pooling


def scattered(pooling: Pooling, source: Any, operand: Any) -> list[Any]:  # noqa: ANN401
    """Each cotangent of a window's extreme, added where that is; of equal ones the first counts, as XLA has it.

    Args:
        pooling: How it was pooled.
        source: Cotangents, one for each window.
        operand: What was pooled.
    """
    none = operand.size
    places = jax.lax.iota(jnp.int32, none).reshape(operand.shape)
    # No less than any place, but that takes a look at the operand.
    places = jnp.minimum(places, jnp.where(operand == operand, none - 1, none))  # noqa: PLR0124 - not so where not a number
    worst = jnp.array(-jnp.inf if pooling.largest else jnp.inf, operand.dtype)

    def better(one: Sequence[Any], other: Sequence[Any]) -> tuple[Any, Any]:
        (a, i), (b, j) = one, other
        beats = a > b if pooling.largest else a < b
        first = beats | ((a == b) & (i < j))
        return jnp.where(first, a, b), jnp.where(first, i, j)

    _, chosen = jax.lax.reduce_window(
        (operand, places),
        (worst, jnp.int32(none)),
        better,
        pooling.window,
        pooling.strides,
        pooling.padding,
    )
    flat = jnp.zeros(none, source.dtype).at[chosen.reshape(-1)].add(source.reshape(-1), mode="drop")
    return [flat.reshape(operand.shape)]
