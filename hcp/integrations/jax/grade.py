"""Grades programs that use ``jax.checkpoint``: by replay, beside the bound and hcp's plan at their own peaks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hcp.grading import Grade, grade_usage
from hcp.graph.ir import Graph
from hcp.integrations.jax.capture import Arguments, Captured, capture
from hcp.integrations.jax.errors import JaxError
from hcp.integrations.jax.moves import bytes_on_host
from hcp.integrations.jax.prepare import Way
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.jax.transform import planned_gradient
from hcp.integrations.jax.version import check_version
from hcp.planning.planner import Planner
from hcp.planning.problem import InfeasibleBudget
from hcp.plans.cache import CacheOption
from hcp.schedule.replay import Usage, keep_everything_usage


def grade(
    fun: Callable[..., Any],
    *args: Any,  # noqa: ANN401
    ways: Mapping[str, Callable[..., Any]],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    solver: str | Planner = "auto",
    time_limit: float = 60.0,
    seed: int = 0,
    cache: CacheOption = True,
    **kwargs: Any,  # noqa: ANN401
) -> list[Grade]:
    """Grades what ``jax.checkpoint`` makes of the gradients of a function, each way at its own peak.

    A way's cost and peak are replayed of its own program in the program's order, with what it computes again, before
    the compiler orders and fuses. Its overhead is over the cost of everything once in the function's graph: that of
    ``fun``, without any ``jax.checkpoint``, and with its loops written out, or cut, where it has some. Bounds and hcp's
    plans are about schedules of that graph with no higher peak. The way's program is another graph, which fuses other
    operations and keeps loops as loops: it may cost less than the bound says, and ``Grade.schedule`` is None.

    Args:
        fun: As for ``value_and_grad``, as it is without any way to need less memory.
        *args: Arrays, or ``jax.ShapeDtypeStruct`` in their place.
        ways: By name: functions that return the same as ``fun``, with ``jax.checkpoint`` and perhaps a policy in them.
        argnums: As for ``value_and_grad``.
        has_aux: As for ``value_and_grad``.
        solver: As for ``hcp.solve``.
        time_limit: Seconds for hcp's plan and the bound, for each way.
        seed: As for ``value_and_grad``.
        cache: As for ``value_and_grad``, for what was measured of the machine.
        **kwargs: Handed on to the functions.

    Returns:
        A grade for each way, in their order; ``hcp.report.tables.grades_table`` makes one table of them.

    Raises:
        CaptureError: If a function cannot be captured.
        HcpError: If the planner found no plan within a way's peak.
        JaxError: If there is no way, or one does not return what the function does, moves values to the host, or takes
            less than any schedule of the function's graph; names the way.
    """
    check_version()
    if not ways:
        raise JaxError("there is no way to grade; give at least one, such as {'blocks': loss_with_jax_checkpoint}")
    # Nothing is planned by it: the budget is a formality.
    request = JaxRequest(budget=1, solver=solver, seed=seed, measure=False, cache=cache, quiet=True)

    def captured(function: Callable[..., Any]) -> tuple[Captured, Arguments]:
        if not callable(function):
            raise JaxError(f"{function!r} is no function; give what returns the same as {fun!r}")
        gradient = planned_gradient(function, argnums, has_aux, request)
        arguments = gradient.split(args, kwargs)
        return capture(gradient.differentiated, arguments, gradient.name), arguments

    plain, arguments = captured(fun)
    graph = _graph(plain, arguments, request)
    found = []
    for name, function in ways.items():
        try:
            own = captured(function)[0]
        except (JaxError, TypeError) as error:
            raise JaxError(f"way {name!r} cannot be graded: {error}") from error
        usage = _usage(name, own, plain, arguments, request)
        try:
            found.append(grade_usage(graph, usage, name=name, solver=solver, time_limit=time_limit, seed=seed))
        except InfeasibleBudget as error:
            raise JaxError(
                f"way {name!r} takes {usage.peak:,} bytes, less than any schedule of {graph.name}, which does not have "
                f"its program among its schedules ({error}); leave it out"
            ) from error
    return found


def _graph(plain: Captured, arguments: Arguments, request: JaxRequest) -> Graph:
    """What bounds are about: the function's graph, with its loops written out or cut where there are some."""
    inside = next(plain.cut(), None)
    graph = Way.of(inside or plain, arguments, request).lowered.graph
    if inside is None:
        return graph
    how = "written out" if inside.parts is None else f"in {inside.parts} parts"
    return replace(graph, name=f"{graph.name}, loops {how}")


def _usage(name: str, captured: Captured, plain: Captured, arguments: Arguments, request: JaxRequest) -> Usage:
    """What a way's own program uses."""
    if captured.closed.out_avals != plain.closed.out_avals:
        raise JaxError(
            f"way {name!r} and its gradients are of types {_types(captured)}, and those of {plain.name} are "
            f"{_types(plain)}; give a function that returns the same"
        )
    lowered = Way.of(captured.again(), arguments, request).lowered
    if bytes_on_host(lowered):
        raise JaxError(f"way {name!r} moves values to the host's memory, which is not graded; give one that does not")
    return keep_everything_usage(lowered.graph)


def _types(captured: Captured) -> str:
    return ", ".join(aval.str_short() for aval in captured.closed.out_avals)
