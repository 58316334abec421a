"""``jit`` for programs with planned parts: as JAX's, with the compiler option that the platform needs for them."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import jax

from hcp.integrations.jax.errors import ExecutionError
from hcp.integrations.jax.internals import under_jit
from hcp.integrations.jax.platform import compiler_options
from hcp.integrations.jax.transform import outermost_planned, within_planned


def jit(fun: Callable[..., Any], **options: Any) -> "PlannedJit":  # noqa: ANN401
    """``jax.jit`` for the outermost function around planned ones.

    On CPUs it passes the compiler option without which XLA undoes every rematerialization; elsewhere it is
    ``jax.jit``.

    Args:
        fun: The function.
        **options: As for ``jax.jit``: static and donated arguments, shardings, further ``compiler_options``.

    Returns:
        A function with ``lower(...)``, ``trace(...)`` and ``eval_shape(...)`` as JAX's has.
    """
    return PlannedJit(fun, options)


class PlannedJit:
    """What ``jit`` returns."""

    def __init__(self, fun: Callable[..., Any], options: dict[str, Any]) -> None:
        needed = compiler_options()
        own = dict(options)
        if needed is not None:
            given = dict(options.get("compiler_options") or {})
            own["compiler_options"] = {**given, **_joined(given, needed)}
        self._needed = needed
        self._outermost = jax.jit(fun, **own)
        # Within another planned jit, whose option holds for this one as well.
        self._nested = jax.jit(fun, **{k: v for k, v in options.items() if k != "compiler_options"})
        update_wrapper(self, fun, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Runs the compiled program.

        Raises:
            ExecutionError: If it is called within a ``jax.jit`` on a platform that needs the compiler option.
        """
        if self._needed is not None and under_jit():
            if not within_planned():
                name = getattr(self, "__name__", "a function")
                raise ExecutionError(
                    f"{name}, under hcp's jit, is called within a jax.jit, and JAX takes compiler options at the "
                    "outermost jit alone; make that one hcp.integrations.jax.jit"
                )
            return self._nested(*args, **kwargs)
        with outermost_planned():
            return self._outermost(*args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """As ``jax.jit(fun).lower``."""
        with outermost_planned():
            return self._outermost.lower(*args, **kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """As ``jax.jit(fun).trace``."""
        with outermost_planned():
            return self._outermost.trace(*args, **kwargs)

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """As ``jax.jit(fun).eval_shape``."""
        with outermost_planned():
            return self._outermost.eval_shape(*args, **kwargs)  # type: ignore[no-untyped-call]


def _joined(given: dict[str, Any], needed: dict[str, Any]) -> dict[str, Any]:
    """The needed options, with lists of the user's for the same option in front."""
    return {name: f"{given[name]},{value}" if given.get(name) else value for name, value in needed.items()}
