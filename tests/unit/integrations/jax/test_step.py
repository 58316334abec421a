"""One step of a scan as functions of lists: what closes over arrays, holds keys, or has no cotangent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hcp.integrations.jax.errors import CaptureError
from hcp.integrations.jax.step import capture_step, is_smooth, smooth

W = jnp.arange(4.0).reshape(2, 2)
XS = jnp.arange(6.0).reshape(3, 2)


def body(carry, x):
    count, h = carry
    h = jnp.tanh(h @ W + x)
    return (count + 1, h), h.sum()


INIT = (jnp.int32(0), jnp.ones(2))


def test_a_step_is_the_functions():
    step = capture_step(body, INIT, XS, None)
    (count, h), y = body(INIT, XS[0])
    found, stacked = step.body(step.constants, step.init, [XS[0]])
    assert (step.name, step.length, len(step.constants)) == ("body", 3, 1)
    np.testing.assert_array_equal(found[1], h)
    np.testing.assert_array_equal(stacked[0], y)
    assert step.carry(found)[0] == count


def test_its_transpose_is_jaxs():
    step = capture_step(body, INIT, XS, None)
    of_h, of_y = jnp.array([1.0, 2.0]), jnp.float32(3)

    def whole(w, h, x):
        made = jnp.tanh(h @ w + x)
        return made, made.sum()

    expected = jax.vjp(whole, W, INIT[1], XS[0])[1]((of_h, of_y))
    found = step.back(step.constants, step.init, [XS[0]], [of_h], [of_y])
    for (one,), other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other)
    # Counters have none.
    assert step.all_cotangents(*found)[1][0] is None


def test_keys_are_carried_as_words():
    def draws(key, _):
        key, own = jax.random.split(key)
        return key, jax.random.uniform(own)

    key = jax.random.key(1)
    step = capture_step(draws, key, None, 2)
    assert not any(jnp.issubdtype(a.dtype, jax.dtypes.prng_key) for a in step.init)
    made, (drawn,) = step.body(step.constants, step.init, [])
    expected, number = draws(key, None)
    assert drawn == number
    assert jnp.array_equal(jax.random.key_data(step.carry(made)), jax.random.key_data(expected))


@pytest.mark.parametrize(
    ("function", "init", "xs", "length", "message"),
    [
        (body, INIT, XS, 4, r"lengths \[3, 4\]"),
        (body, INIT, jnp.float32(1), None, r"lengths \[-1\]"),
        (lambda c, x: (c.astype(jnp.int32), x), jnp.ones(2), XS, None, r"leaf 0 of its carry from float32\[2\]"),
        (lambda c, x: ((c, c), x), jnp.ones(2), XS, None, "return the same structure"),
        (lambda c, x: (jax.debug.print("{}", c) or c, x), jnp.ones(2), XS, None, "has the effect of"),
    ],
    ids=["lengths", "scalar", "type", "structure", "effect"],
)
def test_what_cannot_be_a_step(function, init, xs, length, message):
    with pytest.raises(CaptureError, match=message):
        capture_step(function, init, xs, length)


def test_cotangents():
    arrays = [jnp.ones(2), jnp.ones(2, jnp.int32), jnp.ones(2, jnp.complex64), jnp.ones(2, bool)]
    assert [is_smooth(a) for a in arrays] == [True, False, True, False]
    assert len(smooth(arrays)) == 2
    step = capture_step(body, INIT, XS, None)
    assert [a.shape for a in step.carry_cotangent()] == [(2,)]
    assert [a.shape for a in step.stack_cotangent()] == [()]
    assert step.empty_stacks().shape == (0,)
