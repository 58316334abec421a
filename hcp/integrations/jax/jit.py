"""``jit`` for programs with planned parts: as JAX's, with the compiler option that the platform needs for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from typing import Any

import jax

from hcp.integrations.jax.errors import ExecutionError
from hcp.integrations.jax.internals import traced_apart, under_jit
from hcp.integrations.jax.placement import is_spread, mesh_of, over_mesh
from hcp.integrations.jax.platform import compiler_options
from hcp.integrations.jax.transform import looking, outermost_planned, within_planned


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
        self._spread: dict[str, list[list[Any]]] = {}
        update_wrapper(self, fun, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Runs the compiled program.

        Raises:
            ExecutionError: If it is called within a ``jax.jit`` on a platform that needs the compiler option.
        """
        if under_jit() and within_planned():
            return self._nested(*args, **kwargs)
        if under_jit() and self._needed is not None:
            name = getattr(self, "__name__", "a function")
            raise ExecutionError(
                f"{name}, under hcp's jit, is called within a jax.jit, and JAX takes compiler options at the "
                "outermost jit alone; make that one hcp.integrations.jax.jit"
            )
        with self._tracing(args, kwargs):
            return self._outermost(*args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """As ``jax.jit(fun).lower``."""
        with self._tracing(args, kwargs):
            return self._outermost.lower(*args, **kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """As ``jax.jit(fun).trace``."""
        with self._tracing(args, kwargs):
            return self._outermost.trace(*args, **kwargs)

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """As ``jax.jit(fun).eval_shape``."""
        with self._tracing(args, kwargs):
            return self._outermost.eval_shape(*args, **kwargs)  # type: ignore[no-untyped-call]

    @contextmanager
    def _tracing(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[None]:
        """While this is entered, traces are for these arguments.

        A plan is for arrays that are spread over devices in one way, which the trace of a jit does not show. The
        program is compiled once unplanned to see how the compiler spreads what each planned call inside gets.
        """
        leaves, structure = jax.tree.flatten((args, kwargs))
        own = [getattr(leaf, "sharding", None) for leaf in leaves]
        if not any(map(is_spread, own)):
            with outermost_planned():
                yield
            return
        devices = [sorted(device.id for device in getattr(sharding, "device_set", ())) for sharding in own]
        key = str((structure, own, devices, [getattr(leaf, "shape", leaf) for leaf in leaves]))
        if key not in self._spread:
            with looking() as found, traced_apart(f"looking {key}"):
                self._outermost.lower(*args, **kwargs).compile()
            mesh = mesh_of(own)
            self._spread[key] = [[over_mesh(mesh, sharding) for sharding in each] for each in found]
        with outermost_planned(self._spread[key]), traced_apart(key):
            yield


def _joined(given: dict[str, Any], needed: dict[str, Any]) -> dict[str, Any]:
    """The needed options, with lists of the user's for the same option in front."""
    return {name: f"{given[name]},{value}" if given.get(name) else value for name, value in needed.items()}
