"""Losses with their arguments, small, of many shapes: what the tests of the JAX integration plan and run."""

import jax
import jax.numpy as jnp

SIZE = 32
BATCH = 128


def keys(count, seed=0):
    return list(jax.random.split(jax.random.key(seed), count))


def scaled(key, *shape):
    return jax.random.normal(key, shape) / shape[0] ** 0.5


def _stack(body, layers=6):
    """A loss that applies ``body(weight, x)`` once a layer."""

    def loss(params, x):
        for weight in params:
            x = body(weight, x)
        return jnp.mean(x**2)

    params = [scaled(key, SIZE, SIZE) for key in keys(layers)]
    return loss, (params, jax.random.normal(jax.random.key(1), (BATCH, SIZE)))


def mlp():
    return _stack(lambda weight, x: jax.nn.relu(x @ weight), layers=10)


def small_mlp():
    return _stack(lambda weight, x: jax.nn.relu(x @ weight), layers=5)


def user_checkpointed():
    return _stack(jax.checkpoint(lambda weight, x: jax.nn.gelu(x @ weight)))


@jax.custom_vjp
def _clipped_sine(x):
    return jnp.sin(x)


_clipped_sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (jnp.clip(g, -1.0, 1.0) * jnp.cos(x),))


def custom_vjp():
    return _stack(lambda weight, x: _clipped_sine(x @ weight))


def scan_inside():
    def body(weight, x):
        def step(carry, _):
            return jnp.tanh(carry @ weight), None

        return jax.lax.scan(step, x, None, length=3)[0]

    return _stack(body, layers=3)


def cond_inside():
    def body(weight, x):
        x = x @ weight
        return jax.lax.cond(x[0, 0] > 0, jnp.sin, lambda x: 0.5 * x * x, x)

    return _stack(body)


def conv():
    layers = [scaled(key, 3, 3, 8, 8) for key in keys(5)]
    x = jax.random.normal(jax.random.key(1), (4, 12, 12, 8))

    def loss(params, x):
        for kernel in params:
            x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.nn.relu(x)
        return jnp.mean(x**2)

    return loss, (layers, x)


def _norm(x, scale):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale


def _dropout(key, x):
    return jnp.where(jax.random.bernoulli(key, 0.9, x.shape), x / 0.9, 0)


def _block(params, x, key, heads):
    batch, length, width = x.shape
    q, k, v = jnp.split(_norm(x, params["norm1"]) @ params["qkv"], 3, -1)
    q, k, v = (a.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3) for a in (q, k, v))
    scores = q @ k.transpose(0, 1, 3, 2) / (width // heads) ** 0.5
    scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -1e9)
    mixed = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(batch, length, width)
    first, second = jax.random.split(key)
    x = x + _dropout(first, mixed @ params["out"])
    return x + _dropout(second, jax.nn.gelu(_norm(x, params["norm2"]) @ params["up"]) @ params["down"])


def transformer(layers=1, width=16, heads=2, length=24, batch=4, words=50):
    def block(key):
        made = dict(zip(("qkv", "out", "up", "down"), jax.random.split(key, 4), strict=True))
        shapes = {
            "qkv": (width, 3 * width),
            "out": (width, width),
            "up": (width, 4 * width),
            "down": (4 * width, width),
        }
        weights = {name: scaled(made[name], *shape) for name, shape in shapes.items()}
        return weights | {"norm1": jnp.ones(width), "norm2": jnp.ones(width)}

    params = {"words": scaled(jax.random.key(9), words, width), "blocks": [block(key) for key in keys(layers)]}
    tokens = jax.random.randint(jax.random.key(1), (batch, length + 1), 0, words)

    def loss(params, tokens, key):
        x = params["words"][tokens[:, :-1]]
        for i, block in enumerate(params["blocks"]):
            x = _block(block, x, jax.random.fold_in(key, i), heads)
        scores = jax.nn.log_softmax(x @ params["words"].T)
        return -jnp.take_along_axis(scores, tokens[:, 1:, None], -1).mean()

    return loss, (params, tokens, jax.random.key(2))


def scan_over_layers(layers=6):
    """Residual blocks with dropout, their weights stacked, in one scan."""

    def loss(weights, x, key):
        def layer(x, given):
            weight, own = given
            return x + _dropout(own, jax.nn.gelu(x @ weight)), None

        x, _ = jax.lax.scan(layer, x, (weights, jax.random.split(key, layers)))
        return jnp.mean(x**2)

    weights = jnp.stack([scaled(key, SIZE, SIZE) for key in keys(layers)])
    return loss, (weights, jax.random.normal(jax.random.key(1), (BATCH, SIZE)), jax.random.key(2))


def scan_over_time(steps=900):
    """Too many steps for single ones to be planned."""

    def loss(weight, x):
        def step(x, _):
            return 1.01 * jnp.tanh(x @ weight), x.mean()

        x, means = jax.lax.scan(step, x, None, length=steps)
        return jnp.mean(x**2) + 1e-3 * means.sum()

    return loss, (scaled(jax.random.key(0), SIZE, SIZE), jax.random.normal(jax.random.key(1), (BATCH, SIZE)))


STEPS = {
    step.__name__: step
    for step in (
        mlp,
        transformer,
        conv,
        custom_vjp,
        user_checkpointed,
        scan_inside,
        scan_over_layers,
        cond_inside,
    )
}
