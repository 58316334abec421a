"""The way back of pooling is XLA's, with less memory that is there from the start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hcp import keep_everything, replay
from hcp.integrations.jax.emit import emit
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.lower import lower
from hcp.integrations.jax.measure import measure
from hcp.integrations.jax.placement import Placement

KEY = jax.random.key(0)
SHAPE = (2, 13, 12, 3)
# Many windows with several extremes.
TIED = jax.random.randint(KEY, SHAPE, 0, 4)


def pooled(x, window, stride, padding, largest):
    worst, extreme = (-jnp.inf, jax.lax.max) if largest else (jnp.inf, jax.lax.min)
    window, stride = (1, window, window, 1), (1, stride, stride, 1)
    return jax.lax.reduce_window(x, np.array(worst, x.dtype), extreme, window, stride, padding)


def run(closed, *args):
    lowered = lower(flatten(closed), name="pooled", calibrate=False)
    return emit(lowered, keep_everything(lowered.graph))(*lowered.program.constants, *args)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize(
    ("window", "stride", "padding"), [(2, 2, "VALID"), (3, 2, "SAME"), (3, 1, "SAME"), (2, 3, "VALID"), (1, 1, "VALID")]
)
@pytest.mark.parametrize("x", [jax.random.normal(KEY, SHAPE), TIED.astype(jnp.float32), TIED.astype(jnp.bfloat16)])
def test_gradients_go_where_xla_sends_them(x, window, stride, padding, largest):
    def loss(x):
        return (pooled(x, window, stride, padding, largest).astype(jnp.float32) ** 2).sum()

    closed = jax.make_jaxpr(jax.grad(loss))(x)
    assert "select_and_scatter_add" in str(closed)
    assert all(each.primitive.name != "select_and_scatter_add" for each in flatten(closed).equations)
    (found,) = run(closed, x)
    expected = jax.jit(jax.grad(loss))(x)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(
        found.astype(jnp.float32), expected.astype(jnp.float32), rtol=1e-2 * (x.dtype == jnp.bfloat16)
    )


def test_infinities_count_as_xla_counts_them():
    x = jnp.where(TIED == 0, -jnp.inf, TIED.astype(jnp.float32))

    def loss(x):
        return jnp.where(jnp.isfinite(found := pooled(x, 2, 2, "VALID", True)), found, 0).sum()

    (found,) = run(jax.make_jaxpr(jax.grad(loss))(x), x)
    np.testing.assert_array_equal(found, jax.jit(jax.grad(loss))(x))


def test_what_is_planned_is_what_the_program_takes():
    def loss(kernels, x):
        for kernel in kernels:
            x = jax.nn.silu(
                jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            )
            x = pooled(x, 2, 2, "VALID", True)
        return (x**2).sum()

    kernels = [jax.random.normal(key, (3, 3, 8, 8)) / 8 for key in jax.random.split(KEY, 3)]
    x = jax.random.normal(KEY, (4, 32, 32, 8))
    closed = jax.make_jaxpr(jax.grad(loss))(kernels, x)
    lowered = lower(flatten(closed), name="pooled")
    schedule = keep_everything(lowered.graph)
    shapes = [Placement().shape(var) for var in lowered.program.sources]
    taken = measure(emit(lowered, schedule), shapes).total
    assert taken <= 1.05 * replay(lowered.graph, schedule).peak
