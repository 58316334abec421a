"""Models of many kinds for the executed JAX comparison: what people train, in plain JAX, flax and diffrax."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import jax
import jax.numpy as jnp

# Applied to each block of a model: ``jax.checkpoint`` with some policy, or nothing.
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Model:
    """A loss and what it is called with.

    Attributes:
        loss: Given a wrapper of blocks, the function that is differentiated in its first argument.
        args: What it is called with.
        has_aux: Whether it returns something beside the loss.
    """

    loss: Callable[[Wrap], Callable[..., Any]]
    args: tuple[Any, ...]
    has_aux: bool = False


def plain(block: Callable[..., Any]) -> Callable[..., Any]:
    """A block as it is."""
    return block


def _keys(count: int) -> list[Any]:
    return list(jax.random.split(jax.random.key(0), count))


def _matrix(key: Any, *shape: int) -> Any:  # noqa: ANN401
    return jax.random.normal(key, shape) / shape[-2] ** 0.5


def _nll(scores: Any, targets: Any) -> Any:  # noqa: ANN401
    return -jnp.take_along_axis(jax.nn.log_softmax(scores), targets[..., None], -1).mean()


def _rms(x: Any, scale: Any) -> Any:  # noqa: ANN401
    return x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale


def _rotated(x: Any) -> Any:  # noqa: ANN401
    """Rotary embedding of queries or keys of shape (rows, length, heads, size)."""
    half = x.shape[-1] // 2
    angles = jnp.arange(x.shape[1])[:, None] / 10000 ** (jnp.arange(half) / half)
    cos, sin = jnp.cos(angles)[:, None], jnp.sin(angles)[:, None]
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], -1)


def _attention(q: Any, k: Any, v: Any) -> Any:  # noqa: ANN401
    """Causal attention over (rows, length, heads, size)."""
    scores = jnp.einsum("blhd,bmhd->bhlm", q, k) / q.shape[-1] ** 0.5
    length = q.shape[1]
    scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -1e9)
    return jnp.einsum("bhlm,bmhd->blhd", jax.nn.softmax(scores), v)


@dataclass(frozen=True)
class Llama:
    """Pre-normalized blocks: RMSNorm, rotary embedding, grouped queries, SwiGLU.

    Attributes:
        layers: How many.
        width: Of the residual stream.
        heads: Of queries; of keys and values there are half as many.
        length: Of a sequence.
        rows: Sequences of a batch.
        words: In the vocabulary.
        scanned: Whether the layers are one scan over stacked weights.
        attend: From queries, keys and values to what each reads.
        feed: The second half of a block, from its weights and normalized input.
    """

    layers: int = 4
    width: int = 128
    heads: int = 4
    length: int = 128
    rows: int = 4
    words: int = 512
    scanned: bool = False
    attend: Callable[[Any, Any, Any], Any] = _attention

    def block(self, p: Mapping[str, Any], x: Any) -> Any:  # noqa: ANN401
        """One layer."""
        rows, length, width = x.shape
        size = width // self.heads
        h = _rms(x, p["norm1"])
        q = _rotated((h @ p["q"]).reshape(rows, length, self.heads, size))
        k = _rotated((h @ p["k"]).reshape(rows, length, self.heads // 2, size))
        v = (h @ p["v"]).reshape(rows, length, self.heads // 2, size)
        k, v = (jnp.repeat(a, 2, axis=2) for a in (k, v))
        x = x + self.attend(q, k, v).reshape(rows, length, width) @ p["o"]
        return x + self.feed(p, _rms(x, p["norm2"]))

    def feed(self, p: Mapping[str, Any], h: Any) -> Any:  # noqa: ANN401
        """SwiGLU."""
        return (jax.nn.silu(h @ p["gate"]) * (h @ p["up"])) @ p["down"]

    def weights(self, key: Any) -> dict[str, Any]:  # noqa: ANN401
        """Of one layer."""
        d, hidden = self.width, 3 * self.width
        shapes = {
            "q": (d, d),
            "k": (d, d // 2),
            "v": (d, d // 2),
            "o": (d, d),
            "gate": (d, hidden),
            "up": (d, hidden),
            "down": (hidden, d),
        }
        keys = jax.random.split(key, len(shapes))
        found = {name: _matrix(k, *shape) for k, (name, shape) in zip(keys, shapes.items(), strict=True)}
        return found | {"norm1": jnp.ones(d), "norm2": jnp.ones(d)}

    def model(self) -> Model:
        """The whole."""
        first, second, third, *keys = _keys(self.layers + 3)
        blocks: Any = [self.weights(key) for key in keys]
        if self.scanned:
            blocks = jax.tree.map(lambda *leaves: jnp.stack(leaves), *blocks)
        params = {"words": jax.random.normal(first, (self.words, self.width)), "blocks": blocks}
        params["head"] = _matrix(third, self.width, self.words)
        tokens = jax.random.randint(second, (self.rows, self.length + 1), 0, self.words)

        def loss(wrap: Wrap) -> Callable[..., Any]:
            block = wrap(self.block)

            def of(params: Any, tokens: Any) -> Any:  # noqa: ANN401
                x = params["words"][tokens[:, :-1]]
                if self.scanned:
                    x, _ = jax.lax.scan(lambda x, p: (block(p, x), None), x, params["blocks"])
                else:
                    for p in params["blocks"]:
                        x = block(p, x)
                return _nll(x @ params["head"], tokens[:, 1:])

            return of

        return Model(loss, (params, tokens))


@dataclass(frozen=True)
class Mixture(Llama):
    """The same with experts in place of the feed-forward layer: the best two of them for each token.

    Attributes:
        experts: How many.
    """

    experts: int = 4

    def weights(self, key: Any) -> dict[str, Any]:  # noqa: ANN401
        """Of one layer, with a stack of experts and a router."""
        found = super().weights(key)
        stacked = {name: jnp.stack([found[name]] * self.experts) for name in ("gate", "up", "down")}
        return found | stacked | {"router": _matrix(key, self.width, self.experts)}

    def feed(self, p: Mapping[str, Any], h: Any) -> Any:  # noqa: ANN401
        """Every token goes to two experts, by masks."""
        best, which = jax.lax.top_k(jax.nn.softmax(h @ p["router"]), 2)
        shares = (jax.nn.one_hot(which, self.experts) * best[..., None]).sum(-2)
        hidden = jnp.einsum("bld,edf->belf", h, p["gate"])
        hidden = jax.nn.silu(hidden) * jnp.einsum("bld,edf->belf", h, p["up"])
        return jnp.einsum("belf,efd,ble->bld", hidden, p["down"], shares)


def flash(q: Any, k: Any, v: Any, block: int = 32) -> Any:  # noqa: ANN401
    """Causal attention by blocks of keys, with the derivative written out: nothing of length x length is stored."""
    return _flash(block, q, k, v)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _flash(block: int, q: Any, k: Any, v: Any) -> Any:  # noqa: ANN401
    return _flash_forward(block, q, k, v)[0]


def _blocks(block: int, x: Any) -> Any:  # noqa: ANN401
    rows, length, heads, size = x.shape
    return x.reshape(rows, length // block, block, heads, size).transpose(1, 0, 2, 3, 4)


def _scores(block: int, q: Any, k: Any, place: Any) -> Any:  # noqa: ANN401
    scores = jnp.einsum("blhd,bmhd->bhlm", q, k) / q.shape[-1] ** 0.5
    causal = jnp.arange(q.shape[1])[:, None] >= place * block + jnp.arange(block)
    return jnp.where(causal, scores, -1e9)


def _flash_forward(block: int, q: Any, k: Any, v: Any) -> tuple[Any, Any]:  # noqa: ANN401
    rows, length, heads, _ = q.shape

    def step(state: Any, part: Any) -> tuple[Any, None]:  # noqa: ANN401
        out, total, most = state
        place, k, v = part
        scores = _scores(block, q, k, place)
        new = jnp.maximum(most, scores.max(-1))
        weights, scale = jnp.exp(scores - new[..., None]), jnp.exp(most - new)
        total = total * scale + weights.sum(-1)
        out = out * scale.transpose(0, 2, 1)[..., None] + jnp.einsum("bhlm,bmhd->blhd", weights, v)
        return (out, total, new), None

    start = jnp.zeros_like(q), jnp.zeros((rows, heads, length)), jnp.full((rows, heads, length), -1e30)
    parts = jnp.arange(length // block), _blocks(block, k), _blocks(block, v)
    (out, total, most), _ = jax.lax.scan(step, start, parts)
    out = out / total.transpose(0, 2, 1)[..., None]
    return out, (q, k, v, out, most + jnp.log(total))


def _flash_backward(block: int, saved: Any, given: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401
    q, k, v, out, logs = saved
    inner = jnp.einsum("blhd,blhd->bhl", given, out)

    def step(of_q: Any, part: Any) -> tuple[Any, Any]:  # noqa: ANN401
        place, k, v = part
        weights = jnp.exp(_scores(block, q, k, place) - logs[..., None])
        of_v = jnp.einsum("bhlm,blhd->bmhd", weights, given)
        of_scores = weights * (jnp.einsum("blhd,bmhd->bhlm", given, v) - inner[..., None]) / q.shape[-1] ** 0.5
        of_k = jnp.einsum("bhlm,blhd->bmhd", of_scores, q)
        return of_q + jnp.einsum("bhlm,bmhd->blhd", of_scores, k), (of_k, of_v)

    parts = jnp.arange(q.shape[1] // block), _blocks(block, k), _blocks(block, v)
    of_q, stacked = jax.lax.scan(step, jnp.zeros_like(q), parts)
    of_k, of_v = (a.transpose(1, 0, 2, 3, 4).reshape(q.shape) for a in stacked)
    return of_q, of_k, of_v


_flash.defvjp(_flash_forward, _flash_backward)


def linen(layers: int = 4, width: int = 128, heads: int = 4, length: int = 64, rows: int = 8) -> Model:
    """A Transformer of flax.linen with dropout."""
    from flax import linen as nn

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:  # noqa: ANN401
            h = nn.LayerNorm()(x)
            h = nn.MultiHeadDotProductAttention(num_heads=heads, dropout_rate=0.1, deterministic=False)(h, h)
            x = x + nn.Dropout(0.1, deterministic=False)(h)
            h = nn.Dense(4 * width)(nn.LayerNorm()(x))
            return x + nn.Dropout(0.1, deterministic=False)(nn.Dense(width)(nn.gelu(h)))

    block, (first, second, third, *keys) = Block(), _keys(layers + 3)
    tokens = jax.random.randint(first, (rows, length + 1), 0, 256)
    x = jnp.zeros((rows, length, width))
    params = {"words": jax.random.normal(second, (256, width)) / 8}
    params["blocks"] = [block.init({"params": key, "dropout": third}, x) for key in keys]

    def loss(wrap: Wrap) -> Callable[..., Any]:
        apply = wrap(lambda p, x, key: block.apply(p, x, rngs={"dropout": key}))

        def of(params: Any, tokens: Any, key: Any) -> Any:  # noqa: ANN401
            x = params["words"][tokens[:, :-1]]
            for p, own in zip(params["blocks"], jax.random.split(key, layers), strict=True):
                x = apply(p, x, own)
            return _nll(x @ params["words"].T, tokens[:, 1:])

        return of

    return Model(loss, (params, tokens, third))


def _convolve(x: Any, kernel: Any, stride: int = 1) -> Any:  # noqa: ANN401
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _kernel(key: Any, inputs: int, outputs: int) -> Any:  # noqa: ANN401
    return jax.random.normal(key, (3, 3, inputs, outputs)) / (9 * inputs) ** 0.5


def resnet(layers: int = 8, channels: int = 16, side: int = 32, images: int = 8) -> Model:
    """Residual convolutions with BatchNorm, whose running statistics are returned beside the loss."""
    first, second, *keys = _keys(2 * layers + 2)
    kernels = [_kernel(key, channels, channels) for key in keys]
    blocks = [
        {"kernels": pair, "scale": jnp.ones((2, channels)), "shift": jnp.zeros((2, channels))}
        for pair in zip(kernels[::2], kernels[1::2], strict=True)
    ]
    params = {"stem": _kernel(first, 3, channels), "blocks": blocks, "head": _matrix(second, channels, 10)}
    statistics = [jnp.zeros((2, 2, channels)) for _ in blocks]

    def normed(x: Any, scale: Any, shift: Any) -> tuple[Any, Any]:  # noqa: ANN401
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + shift, jnp.stack([mean, variance])

    def block(p: Any, x: Any) -> tuple[Any, Any]:  # noqa: ANN401
        h, one = normed(_convolve(x, p["kernels"][0]), p["scale"][0], p["shift"][0])
        h, two = normed(_convolve(jax.nn.relu(h), p["kernels"][1]), p["scale"][1], p["shift"][1])
        return jax.nn.relu(x + h), jnp.stack([one, two])

    def loss(wrap: Wrap) -> Callable[..., Any]:
        apply = wrap(block)

        def of(params: Any, statistics: Any, images: Any, labels: Any) -> Any:  # noqa: ANN401
            x, found = _convolve(images, params["stem"]), []
            for p, old in zip(params["blocks"], statistics, strict=True):
                x, new = apply(p, x)
                found.append(0.9 * old + 0.1 * new)
            return _nll(x.mean((1, 2)) @ params["head"], labels), found

        return of

    batch = jax.random.normal(first, (images, side, side, 3)), jax.random.randint(second, (images,), 0, 10)
    return Model(loss, (params, statistics, *batch), has_aux=True)


def unet(depth: int = 3, channels: int = 8, side: int = 64, images: int = 4) -> Model:
    """Convolutions down to small images and up again, with what was there on the way down."""
    keys = iter(_keys(4 * depth + 4))
    widths = [channels * 2**level for level in range(depth + 1)]

    def double(inputs: int, outputs: int) -> Any:  # noqa: ANN401
        return [_kernel(next(keys), inputs, outputs), _kernel(next(keys), outputs, outputs)]

    params = {
        "down": [double(3 if not level else widths[level - 1], widths[level]) for level in range(depth + 1)],
        "up": [double(widths[level] + widths[level + 1], widths[level]) for level in reversed(range(depth))],
        "head": _kernel(jax.random.key(1), channels, 3),
    }

    def block(kernels: Any, x: Any) -> Any:  # noqa: ANN401
        for kernel in kernels:
            x = jax.nn.silu(_convolve(x, kernel))
        return x

    def loss(wrap: Wrap) -> Callable[..., Any]:
        apply = wrap(block)

        def of(params: Any, images: Any) -> Any:  # noqa: ANN401
            x, held = images, []
            for kernels in params["down"][:-1]:
                held.append(apply(kernels, x))
                x = jax.lax.reduce_window(held[-1], -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            x = apply(params["down"][-1], x)
            for kernels, skip in zip(params["up"], reversed(held), strict=True):
                x = jnp.concatenate([skip, jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)], -1)
                x = apply(kernels, x)
            return jnp.mean((_convolve(x, params["head"]) - images) ** 2)

        return of

    return Model(loss, (params, jax.random.normal(jax.random.key(2), (images, side, side, 3))))


def lstm(steps: int = 500, width: int = 64, rows: int = 32) -> Model:
    """One layer, scanned over time."""
    first, second, third = _keys(3)
    params = {"w": _matrix(first, 2 * width, 4 * width), "b": jnp.zeros(4 * width), "head": _matrix(second, width, 1)}

    def cell(p: Any, state: Any, x: Any) -> Any:  # noqa: ANN401
        h, c = state
        i, f, g, o = jnp.split(jnp.concatenate([h, x], -1) @ p["w"] + p["b"], 4, -1)
        c = jax.nn.sigmoid(f + 1) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    def loss(wrap: Wrap) -> Callable[..., Any]:
        step = wrap(cell)

        def of(params: Any, xs: Any) -> Any:  # noqa: ANN401
            start = jnp.zeros((rows, width)), jnp.zeros((rows, width))
            (h, _), _ = jax.lax.scan(lambda state, x: (step(params, state, x), None), start, xs)
            return jnp.mean((h @ params["head"] - 1) ** 2)

        return of

    return Model(loss, (params, jax.random.normal(third, (steps, rows, width))))


def solve(steps: int = 128, width: int = 64, rows: int = 64) -> Model:
    """A neural differential equation, solved by diffrax with its own checkpointing or, unwrapped, without."""
    import diffrax

    first, second, third = _keys(3)
    params = [_matrix(first, width, width), _matrix(second, width, width)]

    def field(t: Any, y: Any, p: Any) -> Any:  # noqa: ANN401, ARG001
        return jnp.tanh(y @ p[0]) @ p[1]

    def loss(wrap: Wrap) -> Callable[..., Any]:
        adjoint = diffrax.DirectAdjoint() if wrap is plain else diffrax.RecursiveCheckpointAdjoint()
        ode = diffrax.ODETerm(wrap(field))

        def of(params: Any, start: Any) -> Any:  # noqa: ANN401
            found = diffrax.diffeqsolve(
                ode, diffrax.Tsit5(), 0.0, 1.0, 1 / steps, start, params, adjoint=adjoint, max_steps=steps + 2
            )
            return jnp.mean(found.ys**2)

        return of

    return Model(loss, (params, jax.random.normal(third, (rows, width))))


def graph_network(layers: int = 6, width: int = 64, nodes: int = 512, edges: int = 4096) -> Model:
    """Messages along edges, added up at their ends."""
    first, second, third, *keys = _keys(2 * layers + 3)
    matrices = [_matrix(key, 2 * width, width) for key in keys]
    params = {"blocks": list(zip(matrices[::2], matrices[1::2], strict=True)), "head": _matrix(first, width, 1)}
    ends = jax.random.randint(second, (2, edges), 0, nodes)

    def block(p: Any, x: Any, ends: Any) -> Any:  # noqa: ANN401
        source, target = ends
        messages = jax.nn.relu(jnp.concatenate([x[source], x[target]], -1) @ p[0])
        gathered = jax.ops.segment_sum(messages, target, nodes)
        return x + jnp.tanh(jnp.concatenate([x, gathered], -1) @ p[1])

    def loss(wrap: Wrap) -> Callable[..., Any]:
        apply = wrap(block)

        def of(params: Any, x: Any, ends: Any) -> Any:  # noqa: ANN401
            for p in params["blocks"]:
                x = apply(p, x, ends)
            return jnp.mean((x @ params["head"]) ** 2)

        return of

    return Model(loss, (params, jax.random.normal(third, (nodes, width)), ends))


def fno(layers: int = 4, width: int = 16, modes: int = 8, side: int = 64, rows: int = 4) -> Model:
    """A Fourier neural operator: products on the lowest frequencies, and point by point beside them."""
    first, second, *keys = _keys(2 * layers + 2)

    def blocks() -> Any:  # noqa: ANN401
        for one, two in zip(keys[::2], keys[1::2], strict=True):
            spectral = jax.random.normal(one, (2, modes, modes, width, width)) / width
            yield {"real": spectral[0], "imaginary": spectral[1], "point": _matrix(two, width, width)}

    params = {"lift": _matrix(first, 1, width), "blocks": list(blocks()), "head": _matrix(second, width, 1)}

    def block(p: Any, x: Any) -> Any:  # noqa: ANN401
        spectrum = jnp.fft.rfft2(x, axes=(1, 2))
        kernel = jax.lax.complex(p["real"], p["imaginary"])
        low = jnp.einsum("bxyi,xyio->bxyo", spectrum[:, :modes, :modes], kernel)
        spectrum = jnp.zeros_like(spectrum).at[:, :modes, :modes].set(low)
        return jax.nn.gelu(jnp.fft.irfft2(spectrum, s=x.shape[1:3], axes=(1, 2)) + x @ p["point"])

    def loss(wrap: Wrap) -> Callable[..., Any]:
        apply = wrap(block)

        def of(params: Any, x: Any) -> Any:  # noqa: ANN401
            h = x @ params["lift"]
            for p in params["blocks"]:
                h = apply(p, h)
            return jnp.mean((h @ params["head"] - x) ** 2)

        return of

    return Model(loss, (params, jax.random.normal(jax.random.key(3), (rows, side, side, 1))))


MODELS: Final[Mapping[str, Callable[[], Model]]] = MappingProxyType(
    {
        "llama": Llama().model,
        "scanned": Llama(layers=8, scanned=True).model,
        "moe": Mixture().model,
        "flash": Llama(attend=flash).model,
        "linen": linen,
        "resnet": resnet,
        "unet": unet,
        "lstm": lstm,
        "diffrax": solve,
        "deep": Llama(layers=24, width=64, length=64).model,
        "gnn": graph_network,
        "fno": fno,
    }
)
