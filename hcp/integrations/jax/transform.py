"""The drop-in: ``grad`` and ``value_and_grad`` as JAX's, planned within a memory budget."""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, update_wrapper
from typing import Any, Final

import jax
import jax.numpy as jnp

from hcp.graph.errors import HcpError
from hcp.integrations.devices import Device, device_named
from hcp.integrations.jax.capture import Arguments, capture
from hcp.integrations.jax.errors import ExecutionError, JaxError
from hcp.integrations.jax.host import check_host_memory
from hcp.integrations.jax.internals import (
    PASSES_LEFT_OUT,
    STRIPPING_PASS,
    is_traced,
    mapped_over,
    on_one_device_each,
    under_jit,
)
from hcp.integrations.jax.plan import JaxPlan
from hcp.integrations.jax.platform import compiler_options
from hcp.integrations.jax.prepare import Prepared, prepare
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.jax.version import check_version
from hcp.integrations.planning import allow_unplanned, say
from hcp.integrations.request import Fallback, GivenPlan
from hcp.planning.deadline import Deadline
from hcp.planning.planner import Planner
from hcp.planning.problem import Monitor, ignore
from hcp.plans.cache import CacheOption
from hcp.schedule.host import HostLink

# A capture that takes longer is worth a word.
LONG_SECONDS: Final = 1.0


class BarrierWarning(UserWarning):
    """A planned function is compiled in a way that lets the compiler undo the plan; results are right all the same."""


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
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
        allow_int: Whether integers may be differentiated with respect to; their gradients are of no type that counts.
        budget: Most bytes of temporary and output memory on a device: an integer, a size such as ``"8GiB"``, or a
            percentage such as ``"50%"`` of what ``jax.value_and_grad(fun)`` takes compiled as it is, which runs where
            it keeps the budget. Where nothing is measured, of what keeping everything would take.
        solver: A name from ``hcp.planners.PLANNERS``, or a planner.
        time_limit: Seconds for all of it: capture, planning, and planning again for less or more where the compiled
            program takes more than the budget, or leaves some of it.
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
    inner = jax.value_and_grad(fun, argnums, has_aux, holomorphic, allow_int)
    return _planned(fun, inner, argnums, request)


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
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
    inner = jax.grad(fun, argnums, has_aux, holomorphic, allow_int)
    return _planned(fun, inner, argnums, request)


def checkpoint(
    fun: Callable[..., Any],
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
    """A function as it is, whose compiled program keeps a memory budget; options are those of ``value_and_grad``.

    For whole training steps: gradients that are taken inside, by ``jax.value_and_grad``, ``jax.vjp`` or otherwise, and
    what becomes of them, such as the optimizer's step, are one plan, in which they go as soon as they were used.

    Args:
        fun: Takes and returns pytrees of arrays. Arguments that hold no array reach it as they are.
        budget: Most bytes of temporary and output memory, as for ``value_and_grad``. Results that take the place of
            donated arguments count.
        solver: As for ``value_and_grad``.
        time_limit: As for ``value_and_grad``.
        seed: As for ``value_and_grad``.
        measure: As for ``value_and_grad``.
        cache: As for ``value_and_grad``.
        monitor: As for ``value_and_grad``.
        host: As for ``value_and_grad``.
        plan: As for ``value_and_grad``.
        fallback: As for ``value_and_grad``.
        quiet: As for ``value_and_grad``.

    Raises:
        HcpError: As ``value_and_grad`` does, at the first call.
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
    return _planned(fun, fun, (), request)


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
    platform: str | Device | None = None,
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
        platform: A device to plan for that is not here, such as ``"h100-80gb"`` (see ``hcp.integrations.devices``): its
            rates decide what operations cost. Nothing is compiled but, for arrays that are spread over devices, to see
            how they are; so percentages are of keeping everything, and the room that compiled code needs beside what it
            stores is not counted. Such a plan is to look at: its costs are not those of the devices at hand.
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
        device=None if platform is None else device_named(platform),
        quiet=quiet,
    )
    return planned_gradient(fun, argnums, has_aux, request).prepare(*args, **kwargs).plan


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
    _places: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def plan(self) -> JaxPlan:
        """The latest plan.

        Raises:
            ExecutionError: If there is none yet.
        """
        if not self.plans:
            if _STATE.asked is not None:
                raise ExecutionError(
                    f"{self.name} has no plan yet: it is traced to see how arrays are spread over devices; read its "
                    "plan outside of the jit"
                )
            raise ExecutionError(f"{self.name} has no plan yet; call it, or trace it in a jit, first")
        return self.plans[-1]

    @property
    def name(self) -> str:
        """Of the function, for people."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Runs the planned program; see ``value_and_grad``."""
        arguments = self.split(args, kwargs)
        if under_jit() or any(map(is_traced, arguments.arrays)):
            return self._within(arguments)
        key = arguments.key
        if key not in self._compiled:
            self._compiled[key] = self._made(arguments)
        return self._compiled[key](*arguments.arrays)

    def prepare(self, *args: Any, **kwargs: Any) -> Prepared:  # noqa: ANN401
        """Captures and plans a call without running it; arguments may be ``jax.ShapeDtypeStruct``."""
        return self._prepare(self.split(args, kwargs))

    def split(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Arguments:
        """The arguments of a call, arrays apart.

        Raises:
            JaxError: If one that is differentiated is not passed by position.
        """
        wanted = [i if i >= 0 else len(args) + i for i in self.argnums]
        if wanted and not max(wanted) < len(args):
            raise JaxError(
                f"{self.name} is differentiated with respect to positional argument {max(wanted)}, but got "
                f"{len(args)}; pass it by position"
            )
        return Arguments.split(args, kwargs, wanted)

    def _made(self, arguments: Arguments) -> Callable[..., Any]:
        """A compiled call."""
        run = self._runner(arguments, frames=5)
        if not isinstance(run, Prepared):
            return jax.jit(run, **jit_options())
        compiled = jax.jit(run.runs or run.run, **jit_options())
        # What is no array is not compiled.
        return lambda *arrays: run.captured.rebuilt(compiled(*arrays))

    def _runner(self, arguments: Arguments, frames: int) -> Callable[..., Any]:
        """What runs a call on its arrays: planned, or as it is where there is no plan and the user allows it.

        Args:
            arguments: Of the call.
            frames: From there to the user's code.
        """
        check_version()

        def unplanned(*arrays: Any) -> Any:  # noqa: ANN401
            args, kwargs = arguments.rebuilt(arrays)
            return self.differentiated(*args, **kwargs)

        try:
            return self._guarded(self._prepare(arguments))
        except HcpError as error:
            warning = f"{self.name} runs unplanned, with the memory that it takes: {error}"
            allow_unplanned(self.request, error, warning, stacklevel=frames)
            return unplanned

    def _guarded(self, prepared: Prepared) -> Prepared:
        """What runs a call; of a function that is planned as it is, something that cannot be differentiated.

        Rules for derivatives that it holds are of no use to a plan, and are gone.
        """
        if self.differentiated is not self.function:
            return prepared
        name = self.name

        @jax.custom_jvp
        def run(*arrays: Any) -> list[Any]:  # noqa: ANN401
            return prepared.run(*arrays)

        @run.defjvp
        def _refused(_arrays: Any, _tangents: Any) -> Any:  # noqa: ANN401
            raise JaxError(
                f"{name} is planned as it is, and cannot be differentiated from outside; take its gradients by "
                "hcp.integrations.jax.value_and_grad, or inside of it"
            )

        return replace(prepared, runs=run)

    def _prepare(self, arguments: Arguments) -> Prepared:
        check_version()
        if self.request.host is not None and self.request.device is None:
            check_host_memory(self.name)
        clock = Deadline(self.request.time_limit)
        captured = capture(self.differentiated, arguments, self.name)
        if clock.passed > LONG_SECONDS:
            count = len(captured.program.equations)
            say(
                self.request,
                f"captured {self.name} in {clock.passed:.1f} s: {count:,} operations, to be compiled in parts",
            )
        prepared = prepare(captured, arguments, self.request, clock)
        self._keep(arguments, prepared.plan)
        return prepared

    def _keep(self, arguments: Arguments, plan: JaxPlan) -> None:
        """Puts a plan in force, in place of the one for the same shapes: every trace asks anew."""
        variant = str((arguments.structure, arguments.others, list(map(jax.typeof, arguments.arrays))))
        before = self._places.setdefault(variant, len(self.plans))
        self.plans[before : before + 1] = [plan]

    def _within(self, arguments: Arguments) -> Any:  # noqa: ANN401
        """A call from a trace outside of hcp."""
        if self._looked_at(arguments):
            args, kwargs = arguments.rebuilt(arguments.arrays)
            return self.differentiated(*args, **kwargs)
        return self._traced(arguments)(*arguments.arrays)

    def _traced(self, arguments: Arguments) -> Callable[..., Any]:
        """What runs a call from such a trace."""
        told = _STATE.told.pop(0) if _STATE.told else ()
        if len(told) == len(arguments.arrays):
            arguments = replace(arguments, shardings=told)
        run = self._runner(arguments, frames=6)
        if isinstance(run, Prepared):
            warn_of_barriers(self.name, stacklevel=5)
        return run

    def _looked_at(self, arguments: Arguments) -> bool:
        """Whether a call is to run unplanned, to see how the compiler spreads what it is given."""
        if _STATE.asked is None:
            return False
        found: list[Any] = [None] * len(arguments.arrays)
        _STATE.asked.append(found)
        for place, array in enumerate(() if on_one_device_each() else arguments.arrays):
            if jnp.shape(array) and not mapped_over(array):
                jax.debug.inspect_array_sharding(array, callback=partial(found.__setitem__, place))
        return True


def warn_of_barriers(name: str, stacklevel: int) -> None:
    """Warns where a plan becomes part of a jit that does not pass the compiler option it needs.

    Args:
        name: Of what is planned.
        stacklevel: Frames from here to the user's code, as ``warnings.warn`` counts them.
    """
    # Outside of any jit, as in a bare vmap, operations run one by one and go as the plan says.
    if compiler_options() is None or not under_jit() or _STATE.planned:
        return
    warnings.warn(
        f"{name} is planned within a jax.jit for CPUs, where the compiler removes what keeps a plan "
        "together; use hcp.integrations.jax.jit for the outermost one, or set "
        f"XLA_FLAGS=--{PASSES_LEFT_OUT}={STRIPPING_PASS}",
        BarrierWarning,
        stacklevel,
    )


@contextmanager
def outermost_planned(shardings: Sequence[Sequence[Any]] = ()) -> Iterator[None]:
    """While this is entered, traces belong to a jit that passes the compiler option.

    Args:
        shardings: How the arrays are spread that each planned call of the trace gets, in order.
    """
    before = _STATE.planned, _STATE.told
    _STATE.planned, _STATE.told = True, [tuple(each) for each in shardings]
    try:
        yield
    finally:
        _STATE.planned, _STATE.told = before


@contextmanager
def looking() -> Iterator[list[list[Any]]]:
    """While this is entered, planned calls run unplanned, and how their arrays are spread is found at compilation."""
    before = _STATE.planned, _STATE.asked
    found: list[list[Any]] = []
    _STATE.planned, _STATE.asked = True, found
    try:
        yield found
    finally:
        _STATE.planned, _STATE.asked = before


def within_planned() -> bool:
    """Whether the current trace belongs to a jit that passes the compiler option."""
    return _STATE.planned


class _State(threading.local):
    """What goes on around a trace.

    Attributes:
        planned: Whether it belongs to a jit that passes the compiler option.
        told: How arrays are spread that the next planned calls get.
        asked: What is found of that, while a program is compiled to see it.
    """

    planned = False
    told: list[tuple[Any, ...]] = []  # noqa: RUF012 - replaced, never changed
    asked: list[list[Any]] | None = None


_STATE = _State()


def planned_gradient(
    fun: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool, request: JaxRequest
) -> PlannedGradient:
    """What ``value_and_grad`` returns for some options."""
    return _planned(fun, jax.value_and_grad(fun, argnums, has_aux), argnums, request)


def _planned(
    fun: Callable[..., Any], inner: Callable[..., Any], argnums: int | Sequence[int], request: JaxRequest
) -> PlannedGradient:
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    planned = PlannedGradient(fun, inner, numbers, request)
    update_wrapper(planned, fun, updated=())
    return planned


def jit_options() -> dict[str, Any]:
    """Of ``jax.jit``, for planned programs by themselves."""
    options = compiler_options()
    return {} if options is None else {"compiler_options": options}
