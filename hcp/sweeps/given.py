"""Rows of a comparison for schedules that were given: of other systems, say, beside what planners find."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.planning.plan import judge
from hcp.planning.problem import Problem
from hcp.planning.solution import Solution, Status
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import keep_everything_usage, replay
from hcp.sweeps.results import NOT_APPLICABLE, Row


def peaks_of(graphs: Sequence[Graph], schedules: Mapping[str, Schedule], solvers: Collection[str]) -> dict[str, int]:
    """The peaks of schedules by replay, in bytes.

    Args:
        graphs: What is compared.
        schedules: Of the one graph, by name.
        solvers: Names that are taken.

    Raises:
        HcpError: If there are schedules and several graphs, or a schedule has a planner's name.
        ScheduleError: If one is not legal.
    """
    if schedules and len(graphs) > 1:
        raise HcpError(f"schedules are given beside {len(graphs)} graphs; give the one graph that they are of")
    taken = next((name for name in schedules if name in solvers), None)
    if taken is not None:
        raise HcpError(f"schedule {taken!r} has the name of a planner that is compared; give it another")
    return {name: replay(graphs[0], schedule).peak for name, schedule in schedules.items()}


def given_rows(
    cases: Sequence[tuple[Graph, int | str, int]], schedules: Mapping[str, Schedule], peaks: Mapping[str, int]
) -> Iterator[Row]:
    """A row for each schedule at each budget; one that breaks the budget says so.

    Args:
        cases: Graphs with budgets as they were given, and in bytes.
        schedules: By name.
        peaks: Theirs, as ``peaks_of`` says.
    """
    for graph, budget, size in cases:
        empty = Row(
            graph.name,
            budget,
            size,
            "",
            "",
            base_cost=graph.base_cost,
            base_peak=keep_everything_usage(graph).peak,
            given=True,
        )
        for name, schedule in schedules.items():
            if peaks[name] > size:
                said = f"schedule {name!r} holds {peaks[name]:,} bytes, over the budget of {size:,}"
                yield replace(empty, solver=name, status=NOT_APPLICABLE, message=said)
                continue
            plan = judge(Problem(graph, size), Solution(schedule, Status.FEASIBLE, planner=name))
            yield replace(empty, solver=name, status=plan.status.name, plan=plan)
