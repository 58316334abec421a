"""What operations read of one another, views seen through."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from hcp.integrations.jax.flow import REPEATED, JaxprFlow
from hcp.integrations.jax.internals import operation_name
from hcp.integrations.jax.jaxpr import flatten

X = jnp.ones((4, 4))


def of(function, *args):
    return JaxprFlow.of(flatten(jax.make_jaxpr(function)(*args or (X,))))


def names(flow):
    return [operation_name(equation) for equation in flow.operations]


def test_views_are_no_operations():
    flow = of(lambda x: lax.sin(lax.sin(x).T.reshape(2, 8)))
    assert names(flow) == ["sin", "sin"]
    assert flow.reads[1] == frozenset(flow.operations[0].outvars)
    assert flow.readers_of(0) == [1]


def test_a_view_that_is_returned_is_one():
    assert names(of(lambda x: lax.sin(x).T)) == ["sin", "transpose"]


def test_parts_of_arguments_are_views_and_parts_of_others_are_not():
    def part(x, i):
        return lax.sin(lax.dynamic_slice(x, (i, 0), (1, 4)))

    assert names(of(lambda x: part(x, 1))) == ["sin"]
    assert names(of(lambda x: part(lax.cos(x), 1))) == ["cos", "dynamic_slice", "sin"]


@pytest.mark.parametrize(("length", "stored"), [(REPEATED // 2, False), (REPEATED * 2, True)])
def test_long_arithmetic_on_constants_is_stored(length, stored):
    def function(x):
        c = jnp.float32(0.5)
        for _ in range(length // 2):
            c = c * (1 - c)
        return x * c

    assert (len(of(function).operations) > 1) == stored


def test_stretches_lie_between_heavy_operations():
    flow = of(lambda x: lax.sin(lax.dot(lax.sin(lax.dot(lax.sin(x), x)), x)))
    assert names(flow) == ["sin", "dot_general", "sin", "dot_general", "sin"]
    assert flow.heavy_at == [1, 3]
    assert [flow.segment(i) for i in range(5)] == [0, 0, 1, 1, 2]
    assert flow.near(1, 3)
    assert not flow.near(0, 2)
    assert flow.near(3, 4)
