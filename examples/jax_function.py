"""Keep a JAX training step within a memory budget; needs the extra ``jax``."""

import jax
import jax.numpy as jnp

from hcp.integrations.jax import checkpoint_plan, jit, value_and_grad


def loss(weights: list[jax.Array], x: jax.Array) -> jax.Array:
    """A deep multi-layer perceptron's loss."""
    for weight in weights:
        x = jnp.tanh(x @ weight)
    return jnp.mean(x * x)


def main() -> None:
    """Plans a step at 60 % of its memory, runs it, and compares the gradients with JAX's own."""
    keys = jax.random.split(jax.random.key(0), 10)
    weights = [jax.random.normal(key, (128, 128)) / 12 for key in keys]
    x = jax.random.normal(jax.random.key(1), (256, 128))
    plan = checkpoint_plan(loss, weights, x, budget="60%", time_limit=1)
    print(plan)
    step = jit(value_and_grad(loss, budget="60%", time_limit=1))
    _, gradients = step(weights, x)
    _, expected = jax.jit(jax.value_and_grad(loss))(weights, x)
    same = all(jnp.allclose(a, b, atol=1e-6) for a, b in zip(gradients, expected, strict=True))
    print(f"planned peak {plan.memory_bytes} bytes, gradients equal to jax.grad's: {same}")


if __name__ == "__main__":
    main()
