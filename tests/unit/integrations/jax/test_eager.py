"""Arrays outside of the device and back, and callbacks that let go at once."""

import jax
import jax.numpy as jnp
import pytest

from hcp import keep_everything
from hcp.integrations.jax.eager import JaxCallbacks, JaxCodec
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.lower import lower
from hcp.runtime import HeightCompressedExecutor

X = jnp.linspace(0, 1, 12).reshape(3, 4)


@pytest.mark.parametrize(
    "array",
    [X, X.astype(jnp.bfloat16), X > 0.5, jnp.int8(3), X[:0], jax.random.split(jax.random.key(3), 2)],
    ids=["float", "bfloat16", "bool", "scalar", "empty", "keys"],
)
def test_round_trip(array):
    found = JaxCodec().decode(JaxCodec().encode(array))
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        found, array = map(jax.random.key_data, (found, array))
    assert jnp.array_equal(found, array)


def test_arrays_are_deleted_when_the_plan_frees_them():
    def loss(x):
        return jnp.sum(jnp.sin(x @ x.T) @ x)

    program = flatten(jax.make_jaxpr(jax.grad(loss))(X))
    lowered = lower(program, name="loss")
    callbacks = JaxCallbacks(lowered, (*program.constants, X))
    executor = HeightCompressedExecutor()
    executor.configure(lowered.graph, plan=keep_everything(lowered.graph))
    seen = []
    free = callbacks.free
    callbacks.free = lambda value: seen.append(callbacks.held.get(value)) or free(value)
    (found,) = callbacks.results(executor.run(callbacks).results)
    assert jnp.allclose(found, jax.grad(loss)(X), rtol=1e-5)
    assert any(array is not None for array in seen)
    assert all(array is None or array.is_deleted() for array in seen)
    # The next run compiles nothing.
    again = JaxCallbacks(lowered, (*program.constants, X), callbacks.compiled)
    assert again.compiled.keys() == {node.name for node in lowered.graph.nodes}
