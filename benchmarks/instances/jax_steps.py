"""Instances captured in JAX: values and gradients of losses, from their jaxprs."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from benchmarks import jax_models
from benchmarks.instances.specs import Spec
from benchmarks.jax_models import Llama, Mixture, Model, plain
from hcp.graph.ir import Graph

_COSTS: Final = "nanoseconds of hcp's roofline for a CPU"

# By name: family, what it is, the model's shapes, and the model.
_GRADIENTS: Final[Mapping[str, tuple[str, str, str, Callable[[], Model]]]] = {
    "llama-4l-jax": (
        "llama",
        "4 Llama-style layers",
        "tokens (8, 512), width 256",
        Llama(layers=4, width=256, heads=8, length=512, rows=8).model,
    ),
    "llama-12l-jax": (
        "llama",
        "12 Llama-style layers",
        "tokens (8, 256), width 256",
        Llama(layers=12, width=256, heads=8, length=256, rows=8).model,
    ),
    "mixtral-2l-jax": (
        "mixtral",
        "2 Llama-style layers of four experts, by masks",
        "tokens (8, 512), width 256",
        Mixture(layers=2, width=256, heads=8, length=512, rows=8).model,
    ),
    "resnet-12b-jax": (
        "resnet",
        "12 residual blocks",
        "images (32, 64, 64, 3), 32 channels",
        lambda: jax_models.resnet(12, 32, 64, 32),
    ),
    "unet-4d-jax": (
        "unet",
        "a U-Net of depth 4",
        "images (8, 128, 128, 3), 16 channels",
        lambda: jax_models.unet(4, 16, 128, 8),
    ),
    "gnn-8l-jax": (
        "gnn",
        "8 rounds of messages",
        "4,096 nodes, 32,768 edges, width 128",
        lambda: jax_models.graph_network(8, 128, 4096, 32768),
    ),
    "fno-6l-jax": (
        "fno",
        "a Fourier neural operator of 6 layers",
        "fields (8, 128, 128), width 32",
        lambda: jax_models.fno(6, 32, 12, 128, 8),
    ),
}


def specs() -> Iterator[Spec]:
    """All of them."""
    for name, (family, title, shapes, model) in _GRADIENTS.items():
        yield Spec(
            name=name,
            family=family,
            level="jaxpr",
            title=f"{title}, value and gradient",
            shapes=f"{shapes}, float32",
            costs=_COSTS,
            make=partial(_capture, name, model),
            packages=("jax", "jaxlib"),
        )


def _capture(name: str, model: Callable[[], Model]) -> Graph:
    import jax

    from hcp.integrations.jax import from_jaxpr

    made = model()
    function = jax.value_and_grad(made.loss(plain), has_aux=made.has_aux)
    # Workspace is what XLA's CPU kernels take, which differs from machine to machine: it is not counted.
    return from_jaxpr(jax.make_jaxpr(function)(*made.args), name=name, calibrate=False)
