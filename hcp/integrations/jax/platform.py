"""What differs between the platforms that XLA compiles for."""

import os
from typing import Any, Final

import jax
import jax.numpy as jnp
from jax.sharding import AxisType

# XLA's CPU compiler strips optimization barriers early, and common-subexpression elimination then undoes every
# rematerialization, jax.checkpoint's as well. GPUs and TPUs keep barriers until after scheduling.
_STRIPPING_PASS: Final = "cse_barrier_expander"
CPU_OPTIONS: Final[dict[str, Any]] = {"xla_disable_hlo_passes": _STRIPPING_PASS}


def compiler_options(platform: str | None = None) -> dict[str, Any] | None:
    """Options for the outermost ``jax.jit`` of a planned program, or None where it needs none.

    Args:
        platform: JAX's name of it; the default backend's where not given.
    """
    if (jax.default_backend() if platform is None else platform) != "cpu" or _disabled_by_environment():
        return None
    return dict(CPU_OPTIONS)


def measuring_options() -> dict[str, Any] | None:
    """Options for programs that are compiled only to see what memory they take.

    On CPUs memory is settled before LLVM, whose optimizations take most of the time.
    """
    if jax.default_backend() != "cpu":
        return compiler_options()
    return {**(compiler_options() or {}), "xla_backend_optimization_level": 0}


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
    explicit = AxisType.Explicit in aval.sharding.mesh.axis_types
    made = jax.lax.full(aval.shape, 0, aval.dtype, sharding=aval.sharding if explicit else None)
    varying = varying_axes(aval)
    return jax.lax.pcast(made, tuple(varying), to="varying") if varying else made


def varying_axes(aval: Any) -> frozenset[str]:  # noqa: ANN401
    """The mapped axes over which an array differs, as a ``shard_map`` that checks replication knows them."""
    kind = getattr(aval, "manual_axis_type", None)
    return frozenset(getattr(aval, "vma", ()) if kind is None else kind.varying)


def _disabled_by_environment() -> bool:
    return any(
        flag.startswith("--xla_disable_hlo_passes") and _STRIPPING_PASS in flag
        for flag in os.environ.get("XLA_FLAGS", "").split()
    )
