"""Grades what PyTorch's own ways make of a training step: by replay, beside the bound and hcp's plan at their peaks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hcp.grading import Grade
from hcp.grading import grade as graded
from hcp.graph.ir import Graph
from hcp.integrations.torch.checkpoint import captured_step
from hcp.integrations.torch.cost import Cost, check_cost
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.function import module_of
from hcp.integrations.torch.joint_graph import lower_joint
from hcp.integrations.torch.peers.step import Step, twin
from hcp.integrations.torch.peers.ways import Way, schedule_by
from hcp.integrations.torch.version import check_version
from hcp.planning.deadline import Stop, never
from hcp.planning.planner import AnyPlanner
from hcp.planning.problem import DEFAULT_WORKERS, Monitor, ignore
from hcp.plans.cache import CacheOption
from hcp.schedule.actions import Schedule, ScheduleError
from hcp.schedule.replay import replay


@dataclass(frozen=True)
class PeerSchedules:
    """What several ways make of one training step.

    Attributes:
        graph: The step.
        schedules: By the name of the way; all are legal schedules of the graph.
    """

    graph: Graph
    schedules: dict[str, Schedule]


def peer_schedules(
    module: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    ways: Mapping[str, Way],
    cost: Cost = "roofline",
    cache: CacheOption = False,
) -> PeerSchedules:
    """The schedules that other ways of training make of the step of ``module(*args, **kwargs)``.

    Its forward and backward are captured once. ``ActivationBudget`` asks PyTorch's partitioner, which runs nothing.
    ``BlockCheckpoint``, and any other call, is run once, and each operation that ran is found among the captured ones;
    afterwards, gradients, buffers and the random state are as before. Dropout is run as the one operation that it is
    captured as. In a schedule every value goes right after its last use, which autograd does not always do.

    Args:
        module: As for ``checkpoint``.
        args: Of the call.
        kwargs: Of the call.
        ways: By name: ``ActivationBudget``, ``BlockCheckpoint``, a function or module that is called in the module's
            place (the module itself for eager PyTorch), a ``Schedule``, or the names of the executed nodes in order.
        cost: As for ``checkpoint``.
        cache: As for ``capture_graph``.

    Raises:
        TorchError: If the step cannot be captured, or a way makes no schedule of it; names the way.
    """
    check_version()
    check_cost(cost)
    if not ways:
        raise TorchError("there is no way to grade; give at least one, such as {'half': ActivationBudget(0.5)}")
    step = _step(module, args, dict(kwargs or {}), cost, cache)
    schedules: dict[str, Schedule] = {}
    for name, way in ways.items():
        try:
            schedules[name] = schedule_by(way, step)
            replay(step.graph, schedules[name])
        except (TorchError, ScheduleError) as error:
            raise TorchError(f"way {name!r} makes no schedule of {step.graph.name}: {error}") from error
    return PeerSchedules(step.graph, schedules)


def grade(
    module: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    ways: Mapping[str, Way],
    solver: str | AnyPlanner = "auto",
    time_limit: float = 60.0,
    cost: Cost = "roofline",
    cache: CacheOption = False,
    workers: int = DEFAULT_WORKERS,
    seed: int = 0,
    monitor: Monitor = ignore,
    stop: Stop = never,
) -> list[Grade]:
    """Grades other ways of training the step of ``module(*args, **kwargs)``, each at its own peak.

    Each way's schedule is judged by replay. Beside it stand the best order-free bound that is found for any schedule
    within its peak, and hcp's plan within that peak; the search begins with the schedule.

    Args:
        module: As for ``checkpoint``.
        args: Of the call.
        kwargs: Of the call.
        ways: As for ``peer_schedules``.
        solver: As for ``hcp.solve``.
        time_limit: Seconds for hcp's plan and the bound, for each way.
        cost: As for ``checkpoint``.
        cache: As for ``capture_graph``.
        workers: As for ``hcp.solve``.
        seed: As for ``hcp.solve``.
        monitor: As for ``hcp.solve``.
        stop: As for ``hcp.solve``.

    Returns:
        A grade for each way, in their order; ``hcp.report.tables.grades_table`` makes one table of them.

    Raises:
        HcpError: As ``peer_schedules`` and ``hcp.grade`` do.
    """
    found = peer_schedules(module, args, kwargs, ways=ways, cost=cost, cache=cache)
    return [
        graded(
            found.graph,
            schedule,
            name=name,
            solver=solver,
            time_limit=time_limit,
            workers=workers,
            seed=seed,
            monitor=monitor,
            stop=stop,
        )
        for name, schedule in found.schedules.items()
    ]


def _step(
    module: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], cost: Cost, cache: CacheOption
) -> Step:
    step = module_of(module, "grade")
    captured, real = captured_step(step, (args, kwargs), "grade", cost)
    joint = twin(captured)
    lowered = lower_joint(captured, cost, type(step).__name__, cache, run=real)
    return Step(step, args, kwargs, joint, lowered, real)
