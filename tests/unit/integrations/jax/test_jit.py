"""``jit`` with the platform's option: at the outermost one alone, and with the user's options kept."""

import jax
import jax.numpy as jnp
import pytest

from hcp.integrations.jax import ExecutionError, jit
from hcp.integrations.jax.platform import compiler_options

X = jnp.ones(3)


def doubled(x, times=1):
    """Twice."""
    return 2 * x * times


def test_it_is_as_jaxs():
    made = jit(doubled, static_argnames="times")
    assert (made.__name__, made.__doc__) == ("doubled", "Twice.")
    assert jnp.array_equal(made(X, times=3), 6 * X)
    assert made.eval_shape(X).shape == X.shape
    assert "mul" in str(made.trace(X).jaxpr)
    assert jnp.array_equal(made.lower(X).compile()(X), 2 * X)


@pytest.mark.skipif(compiler_options() is None, reason="no option is needed")
def test_it_is_the_outermost_one():
    inner = jit(doubled)
    assert jnp.array_equal(jit(lambda x: inner(x) + 1)(X), 2 * X + 1)
    with pytest.raises(ExecutionError, match=r"doubled, under hcp's jit, is called within a jax\.jit"):
        jax.jit(lambda x: inner(x) + 1)(X)


def test_donated_arrays_are_taken():
    given = jnp.ones(3)
    jit(doubled, donate_argnums=0)(given)
    assert given.is_deleted()
