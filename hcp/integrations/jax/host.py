"""The host's memory as programs for some platforms can use it: arrays that are moved there and back within a jit."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from hcp.integrations.jax.errors import ExecutionError
from hcp.integrations.jax.internals import compiled_bytes, lists_host_memory

HOST = jax.memory.Space.Host
DEVICE = jax.memory.Space.Device

_PROBED = (64, 1024)


def on_host(var: Any) -> bool:  # noqa: ANN401 - a variable of a jaxpr
    """Whether an array is in the host's memory."""
    return bool(getattr(var.aval, "memory_space", None) == HOST)


def check_host_memory(name: str) -> None:
    """Sees to it that programs can hold arrays in the host's memory.

    Raises:
        ExecutionError: If they can't on this platform.
    """
    platform = jax.default_backend()
    if not holds_on_host(platform):
        raise ExecutionError(
            f"{name} is planned with a host link, but programs compiled for {platform!r} hold nothing in the memory of "
            "the host: what they move there still counts on the device; leave host out, or use "
            "height_compressed_grad(..., tier='host')"
        )


@cache
def holds_on_host(platform: str) -> bool:
    """Whether a program for a platform that moves an array to the host holds it there, by the compiler's account.

    That devices list a host memory does not say so: CPUs list two, and JAX drops the moves from programs for them.
    """
    device = jax.devices(platform)[0]
    if not lists_host_memory(device):
        return False

    def there_and_back(x: jax.Array) -> jax.Array:
        held = jax.device_put(jnp.sin(x), HOST)
        other = jnp.cumsum(jnp.cos(x), 0)
        held, other = jax.lax.optimization_barrier((held, other))  # type: ignore[no-untyped-call]
        return jnp.cumsum(jax.device_put(held, DEVICE) + other, 1)

    shape = jax.ShapeDtypeStruct(_PROBED, jnp.float32, sharding=jax.sharding.SingleDeviceSharding(device))  # type: ignore[no-untyped-call]
    taken = compiled_bytes(jax.jit(there_and_back).lower(shape).compile())
    return taken is not None and taken.on_host > 0
