"""Loops inside of what is differentiated: budgets that they could not keep as one operation each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hcp import InfeasibleBudget
from hcp.integrations.jax import from_jaxpr, grad, jit, value_and_grad
from tests.integration.jax_steps import SIZE, scaled, scan_over_time

QUICK = {"compiler_options": {"xla_backend_optimization_level": 0}}


def close(ours, theirs):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max()))


def taken(compiled):
    analysis = compiled.memory_analysis()
    return analysis.temp_size_in_bytes + analysis.output_size_in_bytes


def test_a_long_scan_keeps_budgets_that_it_could_not_as_one_operation():
    loss, args = scan_over_time()
    function = value_and_grad(loss, budget="12%", solver="eviction")
    compiled = jit(function, **QUICK).lower(*args).compile()
    plan = function.plan
    assert taken(compiled) <= plan.budget_bytes
    close(compiled(*args), jax.jit(jax.value_and_grad(loss))(*args))
    # The program stays small.
    assert len(plan.graph.nodes) < 200
    whole = from_jaxpr(jax.make_jaxpr(jax.value_and_grad(loss))(*args))
    assert whole.index.floor.max() > 2 * plan.budget_bytes


def test_stacked_results_that_the_loss_reads_and_returns():
    keys = jax.random.split(jax.random.key(0), 3)
    weights, x = scaled(keys[0], 6, SIZE, SIZE), jax.random.normal(keys[1], (64, SIZE))

    def loss(weights, x):
        def layer(carry, weight):
            carry = jnp.tanh(carry @ weight)
            return carry, (carry.mean(), carry[0])

        x, (means, rows) = jax.lax.scan(layer, x, weights)
        _, backwards = jax.lax.scan(lambda c, r: (c + r, c * r), jnp.zeros(SIZE), rows, reverse=True)
        return (x**2).mean() + means.var() + (backwards**2).sum(), rows

    function = value_and_grad(loss, has_aux=True, budget="42%", solver="eviction")
    compiled = jit(function, **QUICK).lower(weights, x).compile()
    assert taken(compiled) <= function.plan.budget_bytes
    assert function.plan.overhead > 0
    close(compiled(weights, x), jax.value_and_grad(loss, has_aux=True)(weights, x))


def test_a_loop_within_vmap_and_within_a_scanned_training_loop():
    weights, x = scaled(jax.random.key(0), 5, SIZE, SIZE), jax.random.normal(jax.random.key(1), (2, 64, SIZE))

    def loss(weights, x):
        return (jax.lax.fori_loop(0, 5, lambda i, x: jnp.tanh(x @ weights[i]), x) ** 2).mean()

    planned = grad(loss, budget="46%", solver="eviction")

    def train(gradient):
        def one(weights, _):
            return weights - 0.1 * jax.vmap(gradient, (None, 0))(weights, x).mean(0), None

        return lambda weights: jax.lax.scan(one, weights, None, length=2)[0]

    close(jit(train(planned), **QUICK)(weights), jax.jit(train(jax.grad(loss)))(weights))
    assert planned.plan.measured_bytes <= planned.plan.budget_bytes < planned.plan.plain_bytes


def test_a_budget_below_what_a_step_takes_says_so():
    def loss(x):
        return (jax.lax.scan(lambda x, _: (jnp.sin(x), None), x, length=3)[0] ** 2).sum()

    with pytest.raises(InfeasibleBudget, match="smallest budget known to work is"):
        grad(loss, budget="1%", solver="eviction")(jnp.ones((64, SIZE)))
