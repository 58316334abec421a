"""Scans whose stacks are carried compute the same, and what nobody reads is left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hcp.integrations.jax.loops import carried, stacks

XS = jnp.arange(12.0).reshape(4, 3)


def body(carry, x):
    carry = jnp.sin(carry + x)
    return carry, (carry * 2, carry + x)


def scan_of(reverse=False, function=body, length=4):
    closed = jax.make_jaxpr(lambda c, xs: lax.scan(function, c, xs, length, reverse))(XS[0], XS[:length])
    (equation,) = (each for each in closed.jaxpr.eqns if each.primitive.name == "scan")
    return closed, equation


@pytest.mark.parametrize("reverse", [False, True])
def test_stacks_in_the_carry(reverse):
    closed, equation = scan_of(reverse)
    assert stacks(equation)
    made, outvars = carried(equation, set(equation.outvars))
    assert outvars == list(equation.outvars)
    expected = jax.core.eval_jaxpr(closed.jaxpr, closed.consts, XS[0], XS)
    for one, other in zip(made(XS[0], XS), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_what_nobody_reads():
    _, equation = scan_of()
    carry, first, second = equation.outvars
    assert carried(equation, {second})[1] == [carry, second]
    assert carried(equation, {first})[1] == [carry, first]


def test_what_stays_as_it_is():
    assert not stacks(scan_of(function=lambda c, x: (c + x, None))[1])
    assert not stacks(scan_of(length=0)[1])
    assert not stacks(scan_of(function=lambda c, x: (jax.debug.print("") or c, x))[1])
    assert not stacks(jax.make_jaxpr(jnp.sin)(XS).jaxpr.eqns[0])
