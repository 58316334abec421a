"""``minimize``: the least memory for a cost, for gradients."""

from collections.abc import Callable, Sequence
from typing import Any

from hcp.integrations.devices import Device, device_named
from hcp.integrations.jax.capture import capture
from hcp.integrations.jax.errors import JaxError
from hcp.integrations.jax.plan import JaxPlan
from hcp.integrations.jax.prepare import least
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.jax.transform import planned_gradient
from hcp.integrations.jax.version import check_version
from hcp.planning.planner import Planner
from hcp.plans.cache import CacheOption


def minimize(
    fun: Callable[..., Any],
    *args: Any,  # noqa: ANN401
    overhead: float | str = 0.0,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    solver: str | Planner = "auto",
    time_limit: float = 60.0,
    seed: int = 0,
    measure: bool = True,
    cache: CacheOption = True,
    platform: str | Device | None = None,
    quiet: bool = False,
    **kwargs: Any,  # noqa: ANN401
) -> JaxPlan:
    """The plan with the smallest peak found that costs little more than computing everything once.

    ``value_and_grad(fun, ..., plan=minimize(fun, ...))`` runs it.

    Args:
        fun: As for ``value_and_grad``.
        *args: Arrays, or ``jax.ShapeDtypeStruct`` in their place.
        overhead: What recomputation may cost, relatively: ``0.1`` or ``"10%"``.
        argnums: As for ``value_and_grad``.
        has_aux: As for ``value_and_grad``.
        solver: As for ``value_and_grad``.
        time_limit: Seconds for the search.
        seed: As for ``value_and_grad``.
        measure: Whether to compile the plan and see what its program takes.
        cache: Where measurements are kept, as for ``value_and_grad``.
        platform: As for ``checkpoint_plan``.
        quiet: As for ``value_and_grad``.
        **kwargs: Handed on to ``fun``.

    Returns:
        The plan; its budget is what its program takes, or its peak where that is not measured.

    Raises:
        CaptureError: If the function cannot be captured.
        JaxError: If the overhead is not understood.
        KeyboardInterrupt: If the user ended the search.
    """
    check_version()
    device = None if platform is None else device_named(platform)
    request = JaxRequest(
        budget=1,
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        measure=measure,
        cache=cache,
        device=device,
        quiet=quiet,
    )
    planned = planned_gradient(fun, argnums, has_aux, request)
    arguments = planned.split(args, kwargs)
    return least(capture(planned.differentiated, arguments, planned.name), arguments, request, _share(overhead))


def _share(overhead: float | str) -> float:
    text = overhead.strip() if isinstance(overhead, str) else ""
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(overhead)
    except ValueError:
        share = -1.0
    if not 0 <= share < float("inf"):
        raise JaxError(f"overhead {overhead!r} is not understood; give a share such as 0.1 or '10%'")
    return share
