"""A planned ``vjp`` with a loss between its halves: memory, gradients and where it can stand."""

import jax
import jax.numpy as jnp
import pytest

from hcp.integrations.jax import jit, vjp
from hcp.integrations.jax.measure import memory_of
from tests.integration.jax_steps import keys, scaled

WEIGHTS = [scaled(key, 32, 32) for key in keys(5)]
BATCH = jax.random.normal(jax.random.key(1), (256, 32))


def layers(weights, x):
    for weight in weights:
        x = jnp.tanh(x @ weight)
    return x


def loss(outputs):
    return jnp.mean((outputs - 1) ** 2)


def stepping(budget=None):
    """A step with a loss in between, and the pullbacks of its traces."""
    pullbacks = []

    def step(weights, x):
        if budget is None:
            outputs, pullback = jax.vjp(layers, weights, x)
        else:
            outputs, pullback = vjp(
                layers, weights, x, budget=budget, solver="eviction", time_limit=10, cache=False, quiet=True
            )
        pullbacks.append(pullback)
        value, cotangent = jax.value_and_grad(loss)(outputs)
        return value, pullback(cotangent)

    return step, pullbacks


def check(ours, theirs):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert jnp.allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("budget", ["90%", "100%"])
def test_a_loss_lies_between_the_halves(budget):
    step, pullbacks = stepping(budget)
    compiled = jit(step).lower(WEIGHTS, BATCH).compile()
    plan = pullbacks[-1].plan
    assert plan.measured_bytes <= plan.budget_bytes
    # The loss takes the place of what stands for it.
    assert memory_of(compiled).total <= plan.budget_bytes
    assert plan.plain == (budget == "100%")
    assert (plan.overhead > 0) == (budget == "90%")
    reference = jax.jit(stepping()[0])(WEIGHTS, BATCH)
    check(compiled(WEIGHTS, BATCH), reference)
    # And so in two programs, whose arrays go from one to the other.
    check(step(WEIGHTS, BATCH), reference)
    sizes = sum(leaf.nbytes for leaf in jax.tree.leaves(pullbacks[-1]))
    assert sizes <= plan.memory_bytes + sum(leaf.nbytes for leaf in jax.tree.leaves((WEIGHTS, BATCH)))


def test_under_vmap_the_budget_is_for_all_copies():
    step, pullbacks = stepping("90%")
    batches = jnp.stack([BATCH, 2 * BATCH])
    compiled = jit(jax.vmap(step, (None, 0))).lower(WEIGHTS, batches).compile()
    assert memory_of(compiled).total <= pullbacks[-1].plan.budget_bytes
    check(compiled(WEIGHTS, batches), jax.jit(jax.vmap(stepping()[0], (None, 0)))(WEIGHTS, batches))


def test_within_a_scanned_training_loop():
    def train(step):
        def update(weights, _):
            value, (gradients, _) = step(weights, BATCH)
            return jax.tree.map(lambda w, g: w - g, weights, gradients), value

        return lambda weights: jax.lax.scan(update, weights, length=2)

    check(jit(train(stepping("90%")[0]))(WEIGHTS), jax.jit(train(stepping()[0]))(WEIGHTS))


def test_long_loops_that_stack_up_less():
    """What is measured is what the jit takes."""

    def layers(ws, x):
        return jax.lax.scan(lambda x, w: (x + jnp.tanh(jax.nn.gelu(x @ w)) / 9, None), x, ws)[0]

    ws, x = jax.random.normal(jax.random.key(0), (1200, 8, 8)) / 3, jnp.ones((32, 8))

    def both(ws, x):
        outputs, pullback = vjp(layers, ws, x, budget="70%", time_limit=5, cache=False, quiet=True)
        plans.append(pullback.plan)
        return pullback(outputs)

    plans = []
    compiled = jit(both).lower(ws, x).compile()
    assert plans[0].slim
    assert memory_of(compiled).total <= plans[0].budget_bytes
    outputs, pullback = jax.vjp(layers, ws, x)
    for ours, theirs in zip(compiled(ws, x), pullback(outputs), strict=True):
        assert jnp.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
