"""What differs between the platforms that XLA compiles for."""

import os
from typing import Any, Final

import jax
import jax.numpy as jnp

from hcp.integrations.jax.internals import (
    OPTIMIZATION_LEVEL,
    PASSES_LEFT_OUT,
    STRIPPING_PASS,
    explicit_sharding,
    varying_axes,
)

# XLA's CPU compiler strips optimization barriers early, and common-subexpression elimination then undoes every
# rematerialization, jax.checkpoint's as well. GPUs and TPUs keep barriers until after scheduling.
CPU_OPTIONS: Final[dict[str, Any]] = {PASSES_LEFT_OUT: STRIPPING_PASS}


def compiler_options(platform: str | None = None) -> dict[str, Any] | None:
    """Options for the outermost ``jax.jit`` of a planned program, or None where it needs none.

    Args:
        platform: JAX's name of it; the default backend's where not given.
    """
    if (jax.default_backend() if platform is None else platform) != "cpu" or _disabled_by_environment():
        return None
    return dict(CPU_OPTIONS)


def measuring_options(*, planned: bool = True) -> dict[str, Any] | None:
    """Options for programs that are compiled only to see what memory they take.

    On CPUs memory is assigned before LLVM, whose optimizations take most of the time.

    Args:
        planned: Whether the program has planned parts; else it is compiled as JAX does by default.
    """
    own = compiler_options() if planned else None
    return own if jax.default_backend() != "cpu" else {**(own or {}), OPTIMIZATION_LEVEL: 0}


def is_key(dtype: Any) -> bool:  # noqa: ANN401
    """Whether arrays of this type hold random keys, whose bits are out of sight."""
    return bool(jnp.issubdtype(dtype, jax.dtypes.extended))


def shape(
    extent: tuple[int, ...],
    dtype: Any,  # noqa: ANN401
    weak_type: bool = False,
    sharding: Any = None,  # noqa: ANN401
) -> jax.ShapeDtypeStruct:
    """An array's shape and type, to compile or trace with."""
    return jax.ShapeDtypeStruct(extent, dtype, weak_type=weak_type, sharding=sharding)  # type: ignore[no-untyped-call]


def zeros(aval: Any) -> jax.Array:  # noqa: ANN401
    """An array of a jaxpr variable's type, its axes over a mesh included."""
    made = jax.lax.full(aval.shape, 0, aval.dtype, sharding=explicit_sharding(aval))
    varying = varying_axes(aval)
    return jax.lax.pcast(made, tuple(varying), to="varying") if varying else made


def _disabled_by_environment() -> bool:
    return any(
        flag.startswith(f"--{PASSES_LEFT_OUT}") and STRIPPING_PASS in flag
        for flag in os.environ.get("XLA_FLAGS", "").split()
    )
