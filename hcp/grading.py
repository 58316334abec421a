"""Grades the schedules of other systems: how far from the certified bound, and from hcp's plan, at their own peak."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from hcp.graph.errors import GraphError, HcpError
from hcp.graph.fields import Record, as_list, shown
from hcp.graph.files import read_json
from hcp.graph.ir import Graph
from hcp.planners import solve
from hcp.planning.deadline import Stop, never
from hcp.planning.plan import Plan, excess, part_of_extra
from hcp.planning.planner import AnyPlanner
from hcp.planning.problem import DEFAULT_WORKERS, Monitor, ignore
from hcp.planning.solution import Bound
from hcp.plans.file import SCHEMA, plan_in
from hcp.schedule.actions import Schedule
from hcp.schedule.host import HostLink
from hcp.schedule.replay import Usage, replay


@dataclass(frozen=True)
class Grade:
    """A schedule beside what is possible within its peak.

    Attributes:
        name: Whose schedule it is.
        schedule: It; None where a program was judged that does the same as the graph and is none of its schedules, for
            instance since it fuses other operations. It may cost less than the bound, which is about schedules.
        usage: What it uses, by replay.
        plan: hcp's, within the same peak; where the search began with the schedule, it costs no more.
    """

    name: str
    schedule: Schedule | None
    usage: Usage
    plan: Plan

    @property
    def graph(self) -> Graph:
        """The computation."""
        return self.plan.graph

    @property
    def cost(self) -> int:
        """Of the schedule; when all is done, where something runs beside the computation."""
        return self.usage.makespan

    @property
    def overhead(self) -> float:
        """Its cost over running every node once, minus 1."""
        return excess(self.cost, self.graph.base_cost)

    @property
    def recomputed(self) -> int | None:
        """How many executions are not the first of their node; None of what is no schedule, and has nodes for them."""
        return None if self.schedule is None else sum(self.usage.recomputed.values())

    @property
    def bound(self) -> Bound:
        """The best order-free bound on the cost within its peak."""
        bound = self.plan.best_bound()
        assert bound is not None
        return bound

    @property
    def verified(self) -> bool:
        """Whether that bound's certificate was checked in exact arithmetic; else a solver claims it."""
        return self.plan.verified(self.bound)

    @property
    def over_bound(self) -> float:
        """Its cost over the bound, minus 1."""
        return excess(self.cost, self.bound.value)

    @property
    def over_bound_of_extra(self) -> float:
        """The part of its extra cost that the bound does not explain; see ``Plan.gap_of_extra``."""
        return part_of_extra(self.cost, self.bound.value, self.graph.base_cost)

    @property
    def over_plan(self) -> float:
        """Its cost over that of hcp's plan, minus 1."""
        assert self.plan.cost is not None
        return excess(self.cost, self.plan.cost)

    def to_dict(self) -> dict[str, object]:
        """The grade, ready for JSON."""
        return {
            "graph": self.graph.name,
            "schedule": self.name,
            "of_graph": self.schedule is not None,
            "cost": self.cost,
            "peak": self.usage.peak,
            "overhead": self.overhead,
            "recomputed": self.recomputed,
            "bound": self.bound.value,
            "bound_source": self.bound.source,
            "bound_verified": self.verified,
            "over_bound": self.over_bound,
            "over_bound_of_extra": self.over_bound_of_extra,
            "over_plan": self.over_plan,
            "plan": self.plan.to_dict(),
        }


def grade(
    graph: Graph,
    schedule: Schedule | Iterable[str],
    *,
    name: str = "schedule",
    solver: str | AnyPlanner = "auto",
    time_limit: float = 60.0,
    workers: int = DEFAULT_WORKERS,
    seed: int = 0,
    host: HostLink | None = None,
    monitor: Monitor = ignore,
    stop: Stop = never,
) -> Grade:
    """Judges a schedule by replay, and plans the graph within the same peak.

    Args:
        graph: The computation.
        schedule: Of another system; or the names of the nodes that it executes, in order, whose values are freed after
            their last use.
        name: Whose it is.
        solver: As for ``hcp.solve``.
        time_limit: Seconds for hcp's plan and the bound.
        workers: As for ``hcp.solve``.
        seed: As for ``hcp.solve``.
        host: The link, where the schedule moves values.
        monitor: As for ``hcp.solve``.
        stop: As for ``hcp.solve``.

    Raises:
        ScheduleError: If the schedule is not legal; names the step and what is wrong.
    """
    theirs = schedule if isinstance(schedule, Schedule) else Schedule.from_computes(graph, schedule)
    return grade_usage(
        graph,
        replay(graph, theirs, host),
        name=name,
        schedule=theirs,
        solver=solver,
        time_limit=time_limit,
        workers=workers,
        seed=seed,
        host=host,
        monitor=monitor,
        stop=stop,
    )


def grade_usage(
    graph: Graph,
    usage: Usage,
    *,
    name: str,
    schedule: Schedule | None = None,
    solver: str | AnyPlanner = "auto",
    time_limit: float = 60.0,
    workers: int = DEFAULT_WORKERS,
    seed: int = 0,
    host: HostLink | None = None,
    monitor: Monitor = ignore,
    stop: Stop = never,
) -> Grade:
    """Plans a graph within the peak of what does the same, and bounds what that costs.

    Args:
        graph: The computation.
        usage: What was replayed.
        name: Whose it is.
        schedule: Of the graph, where that is what was replayed; the search begins with it.
        solver: As for ``hcp.solve``.
        time_limit: Seconds for hcp's plan and the bound.
        workers: As for ``hcp.solve``.
        seed: As for ``hcp.solve``.
        host: The link, where values are moved.
        monitor: As for ``hcp.solve``.
        stop: As for ``hcp.solve``.

    Raises:
        HcpError: If no plan is found within the peak.
        InfeasibleBudget: If there is none.
    """
    plan = solve(
        graph,
        usage.peak,
        solver,
        time_limit=time_limit,
        workers=workers,
        seed=seed,
        incumbent=schedule,
        host=host,
        monitor=monitor,
        stop=stop,
    )
    if plan.schedule is None and schedule is not None:
        # Planners that only bound return no schedule.
        raise HcpError(
            f"solver {plan.planner!r} returned no schedule to compare with; take one that plans, such as 'auto'"
        )
    if plan.schedule is None:
        raise HcpError(
            f"solver {plan.planner!r} found no schedule of {graph.name} within {usage.peak:,} bytes, the peak of "
            f"{name!r}; raise the time limit, or take 'auto'"
        )
    return Grade(name, schedule, usage, plan)


def read_schedule(path: str | os.PathLike[str], graph: Graph) -> Schedule:
    """A schedule in a file: a plan file of the graph, or the executed nodes by name or id, in order.

    Nodes are a JSON list, or an object with such a list as ``computes``.

    Raises:
        GraphError: If it is none of these, names an unknown node, or is a plan of another graph.
    """
    where = f"schedule file {os.fspath(path)!r}"
    data = read_json(path, "schedule file")
    if isinstance(data, dict) and data.get("schema") == SCHEMA:
        plan = plan_in(data, path, unknown=True)
        if plan.graph.serial.fingerprint != graph.serial.fingerprint or plan.schedule is None:
            raise GraphError(f"{where} holds a plan of another graph, {plan.graph.name!r}; give one of {graph.name!r}")
        return plan.schedule
    listed = Record(data, where).get("computes") if isinstance(data, dict) else data
    names = {node.id: node.name for node in graph.nodes} | {node.name: node.name for node in graph.nodes}
    found = []
    for place, item in enumerate(as_list(listed, where, "computes")):
        if isinstance(item, bool) or not isinstance(item, int | str) or item not in names:
            raise GraphError(f"{where}: entry {place} is {shown(item)}; expected a node of graph {graph.name!r}")
        found.append(names[item])
    return Schedule.from_computes(graph, found)
