"""Jaxprs joined into one list: variables of their own, constants once."""

import jax
import jax.numpy as jnp
import numpy as np

from hcp.integrations.jax.inline import Inliner
from hcp.integrations.jax.internals import operation_name
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.program import size

X = jnp.ones((2, 2))
C = jax.device_put(np.full((2, 2), 3.0, np.float32))


def test_one_array_is_one_constant():
    closed = [jax.make_jaxpr(function)(X) for function in (lambda x: x + C, lambda x: x * C)]
    inliner = Inliner()
    x = inliner.fresh(closed[0].jaxpr.invars[0])
    for each in closed:
        (x,) = inliner.closed(each, [x])
    assert len(inliner.constants) == len(inliner.constvars) == 1
    assert [operation_name(equation) for equation in inliner.equations] == ["add", "mul"]


def test_what_was_rewritten_is_read_in_its_place():
    closed = jax.make_jaxpr(jnp.sin)(X)
    inliner = Inliner()
    old, new = (inliner.fresh(closed.jaxpr.invars[0]) for _ in range(2))
    inliner.replaced[old] = new
    assert inliner.atoms([old, new]) == [new, new]
    (made,) = inliner.call(lambda x: [jnp.sin(x)], old)
    assert inliner.atoms([made]) == [made]


def test_sizes():
    arrays = [jax.random.split(jax.random.key(0), 3), X, X[:0]]
    keys, numbers, nothing = jax.make_jaxpr(lambda *given: given)(*arrays).jaxpr.outvars
    assert size(keys) == 3 * 2 * 4
    assert size(numbers) == 16
    assert size(nothing) == 0
    assert size(flatten(jax.make_jaxpr(lambda x: x.astype(jnp.bfloat16))(X)).outvars[0]) == 8
