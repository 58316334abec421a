"""Models for the executed JAX comparison, made of equal blocks, and the ways of checkpointing them by hand."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp

Block = Callable[[Any, Any], Any]
Chain = Callable[[Block, list[Any], Any], Any]


@dataclass(frozen=True)
class Work:
    """A model: blocks between an entrance and a loss.

    Attributes:
        params: ``{"blocks": [...], ...}``; all blocks alike.
        batch: What the loss is of.
        enter: From parameters and batch to what the first block gets.
        block: One block.
        leave: From parameters, the last block's output and the batch to the loss.
    """

    params: Any
    batch: Any
    enter: Callable[[Any, Any], Any]
    block: Block
    leave: Callable[[Any, Any, Any], Any]

    def loss(self, chain: Chain) -> Callable[[Any, Any], Any]:
        """The loss of parameters and batch, with the blocks applied in some way."""

        def loss(params: Any, batch: Any) -> Any:  # noqa: ANN401
            x = chain(self.block, params["blocks"], self.enter(params, batch))
            return self.leave(params, x, batch)

        return loss


def mlp(layers: int, width: int, rows: int) -> Work:
    """Matrix products with ReLU."""
    keys = jax.random.split(jax.random.key(0), layers + 1)
    blocks = [(jax.random.normal(k, (width, width)) / width**0.5, jnp.zeros(width)) for k in keys[1:]]
    return Work(
        {"blocks": blocks},
        jax.random.normal(keys[0], (rows, width)),
        lambda params, x: x,  # noqa: ARG005
        lambda p, x: jax.nn.relu(x @ p[0] + p[1]),
        lambda params, x, batch: jnp.mean(x**2),  # noqa: ARG005
    )


def conv(layers: int, channels: int, side: int, images: int) -> Work:
    """Convolutions of 3 x 3 with ReLU and a residual connection."""
    keys = jax.random.split(jax.random.key(0), layers + 1)
    blocks = [jax.random.normal(k, (3, 3, channels, channels)) / (9 * channels) ** 0.5 for k in keys[1:]]
    convolve = partial(
        jax.lax.conv_general_dilated,
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return Work(
        {"blocks": blocks},
        jax.random.normal(keys[0], (images, side, side, channels)),
        lambda params, x: x,  # noqa: ARG005
        lambda p, x: x + jax.nn.relu(convolve(x, p)),
        lambda params, x, batch: jnp.mean(x**2),  # noqa: ARG005
    )


def transformer(*, layers: int, width: int, heads: int, length: int, sequences: int, words: int = 256) -> Work:
    """Blocks of attention and feed-forward layers, pre-normalized, over tokens."""

    def weights(key: Any) -> dict[str, Any]:  # noqa: ANN401
        shapes = {
            "qkv": (width, 3 * width),
            "out": (width, width),
            "up": (width, 4 * width),
            "down": (4 * width, width),
        }
        keys = jax.random.split(key, len(shapes))
        drawn = zip(shapes.items(), keys, strict=True)
        found = {name: jax.random.normal(k, shape) / shape[0] ** 0.5 for (name, shape), k in drawn}
        return found | {"first": jnp.ones(width), "second": jnp.ones(width)}

    def norm(x: Any, scale: Any) -> Any:  # noqa: ANN401
        centred = x - x.mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale

    def block(p: Any, x: Any) -> Any:  # noqa: ANN401
        rows, steps, _ = x.shape
        parts = jnp.split(norm(x, p["first"]) @ p["qkv"], 3, -1)
        q, k, v = (a.reshape(rows, steps, heads, width // heads).transpose(0, 2, 1, 3) for a in parts)
        scores = q @ k.transpose(0, 1, 3, 2) / (width // heads) ** 0.5
        scores = jnp.where(jnp.tril(jnp.ones((steps, steps), bool)), scores, -1e9)
        x = x + (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(rows, steps, width) @ p["out"]
        return x + jax.nn.gelu(norm(x, p["second"]) @ p["up"]) @ p["down"]

    def leave(params: Any, x: Any, tokens: Any) -> Any:  # noqa: ANN401
        scores = jax.nn.log_softmax(x @ params["words"].T)
        return -jnp.take_along_axis(scores, tokens[:, 1:, None], -1).mean()

    keys = jax.random.split(jax.random.key(0), layers + 2)
    return Work(
        {"words": jax.random.normal(keys[0], (words, width)) / 8, "blocks": [weights(k) for k in keys[2:]]},
        jax.random.randint(keys[1], (sequences, length + 1), 0, words),
        lambda params, tokens: params["words"][tokens[:, :-1]],
        block,
        leave,
    )


def peers() -> Mapping[str, Chain]:
    """The ways of applying blocks that JAX's users write by hand; other processes get them, so they can be pickled."""
    return {
        "plain": plain,
        "checkpoint, each": _each,
        "checkpoint, dots_saveable": partial(_each, policy="dots_saveable"),
        "checkpoint, no batch dots": partial(_each, policy="dots_with_no_batch_dims_saveable"),
        "checkpoint, whole": _whole,
        "sqrt segments": _segments,
        "recursive bisection": _bisected,
        "scan": _scanned,
        "scan + remat": _scanned_again,
        **({"equinox, checkpointed": _equinox} if find_spec("equinox") else {}),
    }


def plain(block: Block, params: list[Any], x: Any) -> Any:  # noqa: ANN401
    """One block after the other."""
    for p in params:
        x = block(p, x)
    return x


def _each(block: Block, params: list[Any], x: Any, *, policy: str | None = None) -> Any:  # noqa: ANN401
    saved = None if policy is None else getattr(jax.checkpoint_policies, policy)
    return plain(jax.checkpoint(block, policy=saved), params, x)


def _whole(block: Block, params: list[Any], x: Any) -> Any:  # noqa: ANN401
    return jax.checkpoint(partial(plain, block))(params, x)


def _segments(block: Block, params: list[Any], x: Any) -> Any:  # noqa: ANN401
    size = max(1, math.isqrt(len(params)))
    for start in range(0, len(params), size):
        x = jax.checkpoint(partial(plain, block))(params[start : start + size], x)
    return x


def _bisected(block: Block, params: list[Any], x: Any) -> Any:  # noqa: ANN401
    if len(params) == 1:
        return block(params[0], x)
    half = len(params) // 2
    x = jax.checkpoint(partial(_bisected, block))(params[:half], x)
    return jax.checkpoint(partial(_bisected, block))(params[half:], x)


def _scanned(block: Block, params: list[Any], x: Any) -> Any:  # noqa: ANN401
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
    return jax.lax.scan(lambda x, p: (block(p, x), None), x, stacked)[0]


def _scanned_again(block: Block, params: list[Any], x: Any) -> Any:  # noqa: ANN401
    return _scanned(jax.checkpoint(block), params, x)


def _equinox(block: Block, params: list[Any], x: Any) -> Any:  # noqa: ANN401
    import equinox.internal as eqxi

    slots = max(2, math.isqrt(len(params)))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
    return eqxi.scan(lambda x, p: (block(p, x), None), x, stacked, kind="checkpointed", checkpoints=slots)[0]
