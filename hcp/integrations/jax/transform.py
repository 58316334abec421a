"""The drop-in: ``grad`` and ``value_and_grad`` as JAX's, planned within a memory budget."""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any

import jax

from hcp.graph.errors import HcpError
from hcp.integrations.jax.capture import Arguments, capture
from hcp.integrations.jax.errors import ExecutionError, JaxError
from hcp.integrations.jax.host import check_host_memory
from hcp.integrations.jax.internals import PASSES_LEFT_OUT, STRIPPING_PASS, is_traced, under_jit
from hcp.integrations.jax.plan import JaxPlan
from hcp.integrations.jax.platform import compiler_options
from hcp.integrations.jax.prepare import Prepared, prepare
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.jax.version import check_version
from hcp.integrations.planning import allow_unplanned
from hcp.integrations.request import Fallback, GivenPlan
from hcp.planning.planner import Planner
from hcp.planning.problem import Monitor, ignore
from hcp.plans.cache import CacheOption
from hcp.schedule.host import HostLink


class BarrierWarning(UserWarning):
    """A planned function is compiled in a way that lets the compiler undo the plan; results are right all the same."""


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    budget: int | str | None = None,
    solver: str | Planner = "auto",
    time_limit: float = 60.0,
    seed: int = 0,
    measure: bool = True,
    cache: CacheOption = True,
    monitor: Monitor = ignore,
    host: HostLink | str | None = None,
    plan: GivenPlan | None = None,
    fallback: Fallback = "error",
    quiet: bool = False,
) -> "PlannedGradient":
    """``jax.value_and_grad`` whose compiled program keeps a memory budget.

    The first call with given shapes captures and plans; every call then runs the plan. Called with arrays it compiles
    and runs; called within ``jit`` it becomes part of that program. On CPUs that has to be
    ``hcp.integrations.jax.jit``, since the compiler needs an option there. Arguments that are not differentiated and
    hold no array (Python numbers, strings, functions) reach ``fun`` as they are, and each value gets a plan of its own.

    Args:
        fun: Returns a scalar, or with ``has_aux`` a pair of a scalar and a pytree of arrays.
        argnums: Which positional arguments to differentiate with respect to.
        has_aux: See ``fun``.
        holomorphic: Whether ``fun`` is holomorphic; inputs and outputs are complex then.
        budget: Most bytes of temporary and output memory on a device: an integer, a size such as ``"8GiB"``, or a
            percentage such as ``"50%"`` of what keeping everything would take.
        solver: A name from ``hcp.planners.PLANNERS``, or a planner.
        time_limit: Seconds that the planner may take, each time that it is asked: once, and again for less where the
            compiled program takes more than the plan.
        seed: For planners that draw random numbers.
        measure: Compile, compare with the budget, and plan again until the compiled program keeps it.
        cache: Where plans are looked up and kept: a folder, True for the default one (``$HCP_CACHE``, else ``hcp`` in
            the user's cache folder), or False for this process's memory only.
        monitor: Called with the progress of planning, which is then not shown on a terminal.
        host: Where given, the plan may move values to the host's memory and back: a bandwidth such as ``"12GiB/s"``, or
            an ``hcp.HostLink``. For platforms whose programs can hold arrays there.
        plan: A plan to run instead of solving: a ``JaxPlan``, ``Plan`` or ``Schedule`` made for the same
            transformation, function and shapes, or a function that makes a schedule for a graph. Plans of
            ``checkpoint_plan`` are for ``value_and_grad``.
        fallback: What a call does that cannot run planned: ``"error"``, or ``"warn"`` and run unplanned.
        quiet: Whether to say nothing on stderr when planning.

    Returns:
        A function with ``.plan`` (after the first call) and ``.plans`` (one a variant of shapes).

    Raises:
        CaptureError: At the first call, if the function cannot be captured.
        ExecutionError: At the first call, if values are to go to the host's memory and the platform has none, or a
            plan that was given does not fit.
        InfeasibleBudget: At the first call, if no schedule, or no compiled program, keeps the budget.
        JaxError: If an option is not understood, or there is neither a budget nor a plan.
        JaxVersionError: At the first call, if JAX is of a version that was not tested.
        KeyboardInterrupt: At the first call, if the user ended planning; the next call plans afresh.
    """
    request = JaxRequest(
        budget=budget,
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        measure=measure,
        cache=cache,
        monitor=monitor,
        host=host,
        plan=plan,
        fallback=fallback,
        quiet=quiet,
    )
    inner = jax.value_and_grad(fun, argnums, has_aux, holomorphic)
    return _planned(fun, inner, argnums, request)


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    budget: int | str | None = None,
    solver: str | Planner = "auto",
    time_limit: float = 60.0,
    seed: int = 0,
    measure: bool = True,
    cache: CacheOption = True,
    monitor: Monitor = ignore,
    host: HostLink | str | None = None,
    plan: GivenPlan | None = None,
    fallback: Fallback = "error",
    quiet: bool = False,
) -> "PlannedGradient":
    """``jax.grad`` whose compiled program keeps a memory budget; see ``value_and_grad``."""
    request = JaxRequest(
        budget=budget,
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        measure=measure,
        cache=cache,
        monitor=monitor,
        host=host,
        plan=plan,
        fallback=fallback,
        quiet=quiet,
    )
    inner = jax.grad(fun, argnums, has_aux, holomorphic)
    return _planned(fun, inner, argnums, request)


def checkpoint_plan(
    fun: Callable[..., Any],
    *args: Any,  # noqa: ANN401
    budget: int | str,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    solver: str | Planner = "auto",
    time_limit: float = 60.0,
    seed: int = 0,
    measure: bool = True,
    cache: CacheOption = True,
    host: HostLink | str | None = None,
    quiet: bool = False,
    **kwargs: Any,  # noqa: ANN401
) -> JaxPlan:
    """The plan that ``value_and_grad(fun, ...)(*args, **kwargs)`` would run; nothing is executed.

    Args:
        fun: As for ``value_and_grad``.
        *args: Arrays, or ``jax.ShapeDtypeStruct`` in their place.
        budget: As for ``value_and_grad``.
        argnums: As for ``value_and_grad``.
        has_aux: As for ``value_and_grad``.
        solver: As for ``value_and_grad``.
        time_limit: As for ``value_and_grad``.
        seed: As for ``value_and_grad``.
        measure: As for ``value_and_grad``.
        cache: As for ``value_and_grad``.
        host: As for ``value_and_grad``.
        quiet: As for ``value_and_grad``.
        **kwargs: Handed on to ``fun``.
    """
    request = JaxRequest(
        budget=budget,
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        measure=measure,
        cache=cache,
        host=host,
        quiet=quiet,
    )
    inner = jax.value_and_grad(fun, argnums, has_aux)
    return _planned(fun, inner, argnums, request).prepare(*args, **kwargs).plan


@dataclass(eq=False)
class PlannedGradient:
    """What ``grad`` and ``value_and_grad`` return.

    Attributes:
        plans: The plans in force, in the order in which calls asked for them.
    """

    function: Callable[..., Any]
    differentiated: Callable[..., Any]
    argnums: tuple[int, ...]
    request: JaxRequest
    plans: list[JaxPlan] = field(default_factory=list)
    _compiled: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def plan(self) -> JaxPlan:
        """The latest plan.

        Raises:
            ExecutionError: If there is none yet.
        """
        if not self.plans:
            raise ExecutionError(f"{self.name} has no plan yet; call it, or trace it in a jit, first")
        return self.plans[-1]

    @property
    def name(self) -> str:
        """Of the function, for people."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Runs the planned program; see ``value_and_grad``."""
        arguments = self._split(args, kwargs)
        if any(map(is_traced, arguments.arrays)):
            return self._within(arguments)
        key = arguments.key
        if key not in self._compiled:
            self._compiled[key] = jax.jit(self._runner(arguments), **_jit_options())
        return self._compiled[key](*arguments.arrays)

    def prepare(self, *args: Any, **kwargs: Any) -> Prepared:  # noqa: ANN401
        """Captures and plans a call without running it; arguments may be ``jax.ShapeDtypeStruct``."""
        return self._prepare(self._split(args, kwargs))

    def _split(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Arguments:
        wanted = [i if i >= 0 else len(args) + i for i in self.argnums]
        if wanted and not max(wanted) < len(args):
            raise JaxError(
                f"{self.name} is differentiated with respect to positional argument {max(wanted)}, but got "
                f"{len(args)}; pass it by position"
            )
        return Arguments.split(args, kwargs, wanted)

    def _runner(self, arguments: Arguments) -> Callable[..., Any]:
        """What runs a call on its arrays: planned, or as it is where there is no plan and the user allows it."""
        check_version()

        def unplanned(*arrays: Any) -> Any:  # noqa: ANN401
            args, kwargs = arguments.rebuilt(arrays)
            return self.differentiated(*args, **kwargs)

        try:
            return self._prepare(arguments)
        except HcpError as error:
            warning = f"{self.name} runs unplanned, with the memory that it takes: {error}"
            allow_unplanned(self.request, error, warning, stacklevel=4)
            return unplanned

    def _prepare(self, arguments: Arguments) -> Prepared:
        check_version()
        if self.request.host is not None:
            check_host_memory(self.name)
        prepared = prepare(capture(self.differentiated, arguments, self.name), arguments, self.request)
        self.plans.append(prepared.plan)
        return prepared

    def _within(self, arguments: Arguments) -> Any:  # noqa: ANN401
        """A call from a trace outside of hcp."""
        run = self._runner(arguments)
        # Outside of any jit, as in a bare vmap, operations run one by one and go as the plan says.
        if isinstance(run, Prepared) and compiler_options() is not None and under_jit() and not _STATE.planned:
            warnings.warn(
                f"{self.name} is planned within a jax.jit for CPUs, where the compiler removes what keeps a plan "
                "together; use hcp.integrations.jax.jit for the outermost one, or set "
                f"XLA_FLAGS=--{PASSES_LEFT_OUT}={STRIPPING_PASS}",
                BarrierWarning,
                stacklevel=3,
            )
        return run(*arguments.arrays)


@contextmanager
def outermost_planned() -> Iterator[None]:
    """While this is entered, traces belong to a jit that passes the compiler option."""
    before, _STATE.planned = _STATE.planned, True
    try:
        yield
    finally:
        _STATE.planned = before


def within_planned() -> bool:
    """Whether the current trace belongs to a jit that passes the compiler option."""
    return _STATE.planned


class _State(threading.local):
    planned = False


_STATE = _State()


def _planned(
    fun: Callable[..., Any], inner: Callable[..., Any], argnums: int | Sequence[int], request: JaxRequest
) -> PlannedGradient:
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    planned = PlannedGradient(fun, inner, numbers, request)
    update_wrapper(planned, fun, updated=())
    return planned


def _jit_options() -> dict[str, Any]:
    options = compiler_options()
    return {} if options is None else {"compiler_options": options}
