"""Flat programs: what is inlined, merged, and left alone."""

import jax
import jax.numpy as jnp

from tests.unit.integrations.jax.programs import flat, names

X = jnp.ones((8, 16))


def test_calls_are_inlined_and_dead_equations_removed():
    @jax.custom_vjp
    def doubled(x):
        return 2 * x

    doubled.defvjp(lambda x: (2 * x, None), lambda _, g: (2 * g,))

    def function(x):
        jnp.cos(x)
        return jax.jit(jax.checkpoint(lambda x: jnp.sin(doubled(jax.nn.relu(x)))))(x)

    assert names(flat(function, X)) == ["max", "mul", "sin"]


def test_what_a_users_checkpoint_computes_again_is_merged():
    def loss(x):
        return jax.checkpoint(lambda x: jnp.sin(jnp.sin(x)))(x).sum()

    program = flat(jax.grad(loss), X)
    assert names(program).count("sin") == 1
    assert flat(lambda x: (jnp.sin(x), jnp.sin(x), jnp.sin(x + 1)), X).outvars[0] is not None
    assert names(flat(lambda x: (jnp.sin(x), jnp.sin(x)), X)) == ["sin"]


def test_one_jaxpr_called_twice_gets_variables_of_its_own():
    inner = jax.jit(lambda x: x * 3 + 1)
    program = flat(lambda x: inner(inner(x)), X)
    assert names(program) == ["mul", "add", "mul", "add"]
    made = [var for equation in program.equations for var in equation.outvars]
    assert len(set(made)) == 4


def test_a_jit_with_shardings_stays_one_operation():
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    assert names(flat(lambda x: jax.jit(jnp.sin, in_shardings=here)(x) + 1, X)) == ["jit", "add"]
