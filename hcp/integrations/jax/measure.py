"""What a compiled program takes, by the compiler's own account."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from hcp.integrations.jax.errors import ExecutionError
from hcp.integrations.jax.internals import compiled_bytes
from hcp.integrations.jax.platform import measuring_options


@dataclass(frozen=True)
class Memory:
    """Memory of a compiled program on one device, in bytes.

    Attributes:
        temporary: Beside arguments and results.
        output: Results.
    """

    temporary: int
    output: int

    @property
    def total(self) -> int:
        """What a budget is about."""
        return self.temporary + self.output


def memory_of(compiled: Any) -> Memory:  # noqa: ANN401
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
    return Memory(found.temporary, found.output)


def measure(function: Callable[..., Any], arguments: Sequence[Any]) -> Memory:
    """Compiles a planned function for arguments of given shapes, without running it."""
    compiled = jax.jit(function, compiler_options=measuring_options()).lower(*arguments).compile()
    return memory_of(compiled)
