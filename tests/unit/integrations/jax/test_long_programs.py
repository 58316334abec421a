"""Programs of 10,000 equations are captured in work that grows as their length, whatever reads what."""

import sys
from contextlib import contextmanager
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hcp import keep_everything
from hcp.integrations.fusion import clusters
from hcp.integrations.jax.emit import emit
from hcp.integrations.jax.flow import REPEATED
from hcp.integrations.jax.fusion import group
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.lower import lower
from tests.effort import some

X = jnp.linspace(-1, 1, 16).reshape(4, 4)
LENGTH = 10_000
# What was seen is up to 350, the same for 1,000 and for 10,000 equations.
CALLS_PER_EQUATION = 600


class TooMuchWork(Exception):
    pass


@contextmanager
def at_most(calls):
    """Stops what calls more Python functions; generators count each time they go on."""

    def heard(_, event, __):
        nonlocal calls
        calls -= event == "call"
        if calls < 0:
            raise TooMuchWork

    before = sys.getprofile()
    sys.setprofile(heard)
    try:
        yield
    finally:
        sys.setprofile(before)


def constant_arithmetic(length):
    def function(x):
        c = jnp.float32(0.5)
        for _ in range(length // 2):
            c = c * (1 - c)
        return x * c

    return function


def constants_read_all_along(length):
    def function(x):
        c = jnp.full((4, 4), 0.5)
        for _ in range(length // 4):
            c = c * (1 - c)
            x = lax.dot(x, c) + c
        return x

    return function


def elementwise(length):
    def function(x):
        for _ in range(length // 2):
            x = x * (1 - x)
        return x

    return function


def one_value_read_by_thousands(length):
    def function(x):
        y = lax.sin(x)
        made = [lax.mul(y, lax.mul(x, float(k))) for k in range(length // 4)]
        return made, [lax.dot(y, lax.mul(x, float(k))) for k in range(length // 4)]

    return function


def thousands_read_by_one_group(length):
    def function(x):
        made = [lax.dot(x, lax.mul(x, float(k))) for k in range(length // 3)]
        return reduce(lax.add, made)

    return function


def products(length):
    def function(x):
        for _ in range(length // 2):
            x = lax.tanh(lax.dot(x, x))
        return x

    return function


def views_of_views(length):
    def function(x):
        made = []
        for _ in range(length // 4):
            x = x.T.reshape(2, 8).reshape(4, 4)
            made.append(lax.dot(x, x))
        return made

    return function


def read_early_and_late(length):
    """Between the two readers of each factor lies a chain, so that they cannot be one group: a long search each."""

    def function(x):
        factors = [lax.mul(x, float(k)) for k in range(length // 3)]
        made = [x]
        for early, late in zip(factors, reversed(factors), strict=True):
            made.append(lax.add(lax.mul(made[-1], early), late))
        return made

    return function


@pytest.mark.parametrize(
    "shape",
    some(
        [
            constant_arithmetic,
            constants_read_all_along,
            elementwise,
            one_value_read_by_thousands,
            thousands_read_by_one_group,
            products,
            read_early_and_late,
            views_of_views,
        ],
        2,
    ),
)
def test_work_grows_as_the_length(shape):
    closed = jax.make_jaxpr(shape(LENGTH))(X)
    assert len(closed.jaxpr.eqns) > 0.8 * LENGTH
    with at_most(CALLS_PER_EQUATION * LENGTH):
        lowered = lower(flatten(closed), name="long", calibrate=False)
    # Nor does the program grow faster by what is repeated in readers.
    repeated = sum(len(each.equations) for each in lowered.groups.values())
    assert repeated <= (REPEATED + 1) * LENGTH


def test_constants_are_right_where_only_some_are_repeated():
    function = constants_read_all_along(6 * REPEATED)
    program = flatten(jax.make_jaxpr(function)(X))
    with at_most(CALLS_PER_EQUATION * LENGTH):
        lowered = lower(program, name="constants", calibrate=False)
    assert max(len(each.equations) for each in lowered.groups.values()) <= 2 * REPEATED
    (found,) = jax.jit(emit(lowered, keep_everything(lowered.graph)))(*program.constants, X)
    np.testing.assert_allclose(found, jax.jit(function)(X), rtol=1e-5)


def test_a_search_for_a_way_back_gives_up(monkeypatch):
    """The groups that an operation might have joined stay apart then."""
    function = read_early_and_late(LENGTH)
    monkeypatch.setattr(clusters, "FAR", 10)
    program = flatten(jax.make_jaxpr(function)(X))
    with at_most(CALLS_PER_EQUATION * LENGTH):
        groups = group(program)
    assert max(len(each.equations) for each in groups) <= 4
    assert sum(len(each.equations) for each in groups) == len(program.equations)
