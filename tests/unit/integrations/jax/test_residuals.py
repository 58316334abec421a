"""Loops that stack up less: the same results, fewer bytes, and nothing heavy computed again."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.integrations.jax.internals import Scan, is_scan, operation_name, run_jaxpr
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.program import size
from hcp.integrations.jax.residuals import rates
from tests.effort import examples

STEPS, ROWS, WIDTH = 40, 3, 4
KEYS = jax.random.split(jax.random.key(0), 4)
W = jax.random.normal(KEYS[0], (2 * WIDTH, 4 * WIDTH)) / 3
XS = jax.random.normal(KEYS[1], (STEPS, ROWS, WIDTH))
TABLE = jax.random.normal(KEYS[2], (ROWS, WIDTH))


def lstm(w, xs, *, reverse=False):
    def step(state, x):
        h, c = state
        i, f, g, o = jnp.split(jnp.concatenate([h, x], -1) @ w, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), c.sum()

    start = jnp.zeros((ROWS, WIDTH)), jnp.zeros((ROWS, WIDTH))
    (h, _), sums = jax.lax.scan(step, start, xs, reverse=reverse)
    return (h**2).sum() + (sums**2).sum()


def dropout(w, xs):
    """Random bits, constants of the step, and inputs that are made before the loop."""

    def step(state, x):
        x, key = x
        kept = jax.random.bernoulli(key, 0.7, x.shape)
        return jnp.tanh(jnp.where(kept, state, 0) @ w[:WIDTH, :WIDTH] + jnp.sin(x) * TABLE), state.mean()

    xs = jnp.cos(xs)
    state, means = jax.lax.scan(step, TABLE, (xs, jax.random.split(KEYS[3], STEPS)))
    return (state**2).sum() + means.var()


def checkpointed(w, xs):
    def step(state, x):
        return jax.checkpoint(lambda s: jnp.sin(jnp.tanh(s @ w[:WIDTH, :WIDTH]) + x))(state), None

    return (jax.lax.scan(step, TABLE, xs)[0] ** 2).sum()


def integers(w, xs):
    """Nothing but the carry, and numbers that have no gradients."""

    def step(state, x):
        place, held = state
        return (place + 1, held * jnp.where(place % 2 == 0, jnp.exp(x), x)), place

    (_, held), places = jax.lax.scan(step, (0, TABLE), xs)
    return (held**2).sum() * w.sum() + places.sum()


def layers(w, xs):
    """One loop after the other, each of which reads what the one before stacks up, and a loop the other way."""

    def step(state, x):
        state = jnp.tanh(jnp.concatenate([state, jnp.sin(x)], -1) @ w[:, :WIDTH]) * jax.nn.sigmoid(x)
        return state, jnp.exp(state)

    for _ in range(3):
        _, xs = jax.lax.scan(step, TABLE, xs)
    state, sums = jax.lax.scan(lambda c, x: (jnp.cos(c + x), c.sum()), TABLE, xs, reverse=True)
    return (state**2).sum() + jnp.tanh(sums).sum()


def whole_and_sliced(w, xs):
    """What the first loop stacks up goes into the second step by step, and as a whole."""
    _, ys = jax.lax.scan(lambda c, x: (jnp.sin(c + x), jnp.tanh(c * x)), TABLE, xs)
    out, _ = jax.lax.scan(lambda c, y: (jnp.cos(c * y) + ys.mean(), None), TABLE, ys, reverse=True)
    return (out**2).sum() * w.mean()


def programs(loss, *args, rates=(None, math.inf)):
    closed = jax.make_jaxpr(jax.value_and_grad(loss, argnums=(0, 1)))(*args)
    return [flatten(closed, slim=rate, most=10) for rate in rates]


def run(program, args):
    jaxpr = program.part(program.equations, program.sources, program.outvars)
    return jax.jit(lambda *given: run_jaxpr(jaxpr, (), *given))(*program.constants, *args)


def loops(program):
    return [Scan.of(equation) for equation in program.equations if is_scan(equation)]


def stacked(program):
    """Bytes that arrays of so many steps take."""
    scans = loops(program)
    made = [var for scan in scans for var in scan.equation.outvars]
    return sum(size(var) for var in made if var.aval.shape[:1] == (STEPS,))


def products(program):
    """How often a step of any loop has a product."""
    return sum(
        operation_name(each) == "dot_general" for scan in loops(program) for each in flatten(scan.body).equations
    )


LOSSES = [lstm, lambda w, xs: lstm(w, xs, reverse=True), dropout, checkpointed, integers, layers, whole_and_sliced]


@pytest.mark.parametrize("loss", LOSSES)
def test_results_are_the_same_and_nothing_heavy_is_computed_again(loss):
    whole, slim = programs(loss, W, XS)
    assert len(loops(whole)) == len(loops(slim)) >= 2
    assert stacked(slim) <= stacked(whole)
    assert products(slim) == products(whole)
    for ours, theirs in zip(run(slim, (W, XS)), run(whole, (W, XS)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6 * float(jnp.abs(theirs).max()))


def test_of_an_lstm_the_product_and_the_carry_are_stacked():
    whole, slim = programs(lstm, W, XS)
    # The product (four of the width), the carry (two); the sums, which the loss reads; and gradients of the inputs.
    assert stacked(slim) == 4 * STEPS * (ROWS * WIDTH * (4 + 2) + 1 + ROWS * WIDTH)
    assert stacked(whole) > 1.5 * stacked(slim)


@pytest.mark.parametrize("loss", LOSSES)
def test_heavy_operations_are_made_again_for_less(loss):
    whole, slim, least = programs(loss, W, XS, rates=(None, math.inf, 0.0))
    assert stacked(least) <= stacked(slim) <= stacked(whole)
    for ours, theirs in zip(run(least, (W, XS)), run(whole, (W, XS)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6 * float(jnp.abs(theirs).max()))


def test_of_an_lstm_the_carry_is_enough_where_the_product_is_made_again():
    whole, slim, least = programs(lstm, W, XS, rates=(None, math.inf, 0.0))
    assert stacked(least) == 4 * STEPS * (ROWS * WIDTH * 2 + 1 + ROWS * WIDTH)
    assert products(least) == products(slim) + 1
    # Its product holds four bytes for each of the two operations a row, twice as wide as the carry.
    found = rates(whole.long, flatten)
    assert 4 / (2 * 2 * WIDTH) in found
    assert found == sorted(found, reverse=True)
    just, below = programs(lstm, W, XS, rates=(4 / (4 * WIDTH), 4 / (4 * WIDTH) + 1e-9))
    assert (stacked(just), stacked(below)) == (stacked(least), stacked(slim))


def test_short_loops_stay_as_they_are():
    closed = jax.make_jaxpr(jax.grad(lstm))(W, XS)
    assert not flatten(closed).long
    assert str(flatten(closed, slim=math.inf).equations) == str(flatten(closed).equations)
    assert flatten(closed, most=10).long


OPERATIONS = [
    jnp.sin,
    jnp.tanh,
    jax.nn.sigmoid,
    lambda x: x * jnp.cos(x),
    lambda x: x @ W[:WIDTH, :WIDTH],
    lambda x: x - x.mean(),
]


@settings(max_examples=examples(60, least=3), deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(OPERATIONS) - 1), st.integers(0, 3)), min_size=1, max_size=6), st.booleans()
)
def test_random_steps(chosen, reverse):
    """Operations on the latest values of a step, some of them joined with others."""

    def loss(w, xs):
        def step(state, x):
            known = [state, x, x * state]
            for operation, other in chosen:
                made = OPERATIONS[operation](known[-1])
                known.append(made + known[other] if other < len(known) else made)
            return jnp.tanh(known[-1]) / 2, known[len(known) // 2].sum()

        state, sums = jax.lax.scan(step, TABLE, xs, reverse=reverse)
        return (state**2).sum() * w.mean() + jnp.tanh(sums).sum()

    whole, slim = programs(loss, W, XS)
    assert stacked(slim) <= stacked(whole)
    assert products(slim) == products(whole)
    for ours, theirs in zip(run(slim, (W, XS)), run(whole, (W, XS)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(1 + jnp.abs(theirs).max()))
