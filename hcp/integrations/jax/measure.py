"""What a compiled program takes, by the compiler's own account."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from hcp.integrations.jax.errors import ExecutionError
from hcp.integrations.jax.internals import CompiledBytes, compiled_bytes
from hcp.integrations.jax.platform import measuring_options


def memory_of(compiled: Any) -> CompiledBytes:  # noqa: ANN401
    """The memory of ``jax.jit(f).lower(...).compile()``.

    Raises:
        ExecutionError: If the platform's compiler does not say.
    """
    found = compiled_bytes(compiled)
    if found is None:
        raise ExecutionError(
            f"the compiler for {jax.default_backend()!r} does not say how much memory a program takes; "
            "give measure=False to rely on the plan"
        )
    return found


def measure(function: Callable[..., Any], arguments: Sequence[Any], *, planned: bool = True) -> CompiledBytes:
    """Compiles a function for arguments of given shapes, without running it; see ``measuring_options``."""
    compiled = jax.jit(function, compiler_options=measuring_options(planned=planned)).lower(*arguments).compile()
    return memory_of(compiled)
