"""Planners x graphs x budgets: judged rows whose gaps use the best bound that any of the planners proved."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import product
from typing import TypeVar, cast

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.planners import planner_named
from hcp.planning.deadline import Stop, never
from hcp.planning.interrupts import stop_on_interrupt
from hcp.planning.problem import DEFAULT_WORKERS, Limits, Monitor, ignore
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import Usage, keep_everything_usage
from hcp.sweeps.budgets import resolved
from hcp.sweeps.engines import Engine, Local
from hcp.sweeps.given import given_rows, peaks_of
from hcp.sweeps.results import FAILED, Comparison, Row, judged, medians
from hcp.sweeps.store import Store
from hcp.sweeps.task import Notice, Task

__all__ = ["Comparison", "Row", "compare"]

Item = TypeVar("Item")


def compare(
    graphs: Graph | Iterable[Graph],
    budgets: int | str | Iterable[int | str],
    solvers: str | Iterable[str],
    *,
    time_limit: float = 60.0,
    workers: int = DEFAULT_WORKERS,
    seed: int = 0,
    seeds: int = 1,
    store: str | os.PathLike[str] | None = None,
    engine: Engine | None = None,
    monitor: Monitor = ignore,
    notice: Notice = ignore,
    counter: Callable[[int, int], None] = ignore,
    stop: Stop = never,
    schedules: Mapping[str, Schedule] | None = None,
) -> Comparison:
    """Runs every planner on every graph and budget, each by itself, and judges the schedules by replay.

    Args:
        graphs: One graph or several; of different ones with the same name the later ones are numbered.
        budgets: One budget or several, as ``solve`` takes them; ``"grid:8"`` stands for eight of each graph, from the
            smallest that is known to work to keep-everything. With schedules, none stands for their peaks.
        solvers: One name from ``PLANNERS`` or several.
        time_limit: Seconds for each planner.
        workers: Threads for solvers that can use several.
        seed: Of the random numbers.
        seeds: How many seeds each planner runs with, ``seed`` and those that follow. Its row is then that of the median
            cost, with the lowest and the highest one; bounds are the best of all runs.
        store: A file that results are stored in as they come. What it holds for the same graph, budget, planner and
            limits is not run again, so an interrupted comparison resumes.
        engine: What runs the planners; this process by default.
        monitor: Called with the progress of each search in this process.
        notice: Called with messages for the user, such as that a worker died.
        counter: Called with the number of rows done and of rows that had to be run, whenever one is.
        stop: Called now and then; True ends the comparison with the rows so far, as Ctrl-C does.
        schedules: Of the one graph that is compared, by name, such as those of other systems. Each has a row beside the
            planners' at every budget that it keeps, with the same bound.

    Returns:
        A row for each; planners that do not apply and infeasible budgets give rows that say so.

    Raises:
        HcpError: On bad budgets, unknown planners, a graph that is given twice, or schedules of several graphs.
        ScheduleError: If a schedule is not legal.
        StoreError: If the store cannot be used.
    """
    graph_list = _named(_listed("graph", graphs, Graph, key=lambda graph: (graph.name, graph.fingerprint)))
    solver_list = _listed("solver", solvers, str)
    given = schedules or {}
    peaks = peaks_of(graph_list, given, solver_list)
    budget_list: list[int | str] = _listed("budget", _budgets(budgets, peaks.values()), (int, str))
    for solver in solver_list:
        planner_named(solver)
    limits = _limits(time_limit, workers, seed, seeds)
    runner = Local() if engine is None else engine
    with nullcontext() if store is None else Store(store) as kept:
        if kept is not None:
            _say_other_versions(kept, notice)
        # Bad budgets are refused before hours of solving.
        cases = [(graph, *case) for graph in graph_list for case in resolved(graph, budget_list, kept)]
        bases = {graph.name: keep_everything_usage(graph) for graph in graph_list}
        tasks = [
            Task(graph, _asked(graph, budget, size, solver, bases[graph.name]), each)
            for (graph, budget, size), solver, each in product(cases, solver_list, limits)
        ]
        with stop_on_interrupt(stop) as asked:
            rows = dict(_rows(tasks, kept, runner, monitor=monitor, notice=notice, counter=counter, stop=asked))
    planned = [replace(rows[i], seed=tasks[i].limits.seed) for i in sorted(rows)]
    found = Comparison((*planned, *given_rows(cases, given, peaks)))
    groups = (judged(group) for group in found.groups())
    return Comparison(tuple(row for group in groups for row in (group if seeds == 1 else medians(group))))


def _asked(graph: Graph, budget: int | str, size: int, solver: str, base: Usage) -> Row:
    return Row(graph.name, budget, size, solver, "", base_cost=graph.base_cost, base_peak=base.peak)


def _listed(
    what: str,
    given: Item | Iterable[Item],
    single: type[Item] | tuple[type[Item], ...],
    key: Callable[[Item], object] = lambda item: item,
) -> list[Item]:
    """One item or several as a list: at least one, and no two with the same key."""
    items = [given] if isinstance(given, single) else list(cast(Iterable[Item], given))
    if not items:
        raise HcpError(f"there is no {what} to compare; give at least one")
    seen: set[object] = set()
    for item in items:
        if key(item) in seen:
            name = item.name if isinstance(item, Graph) else item
            raise HcpError(f"{what} {name!r} is given twice; give each once")
        seen.add(key(item))
    return items


def _budgets(given: int | str | Iterable[int | str], peaks: Iterable[int]) -> int | str | list[int | str]:
    """The budgets that were given, or where there are none, the peaks of schedules: a grade is at its own."""
    return given if isinstance(given, int | str) else [*given] or [*dict.fromkeys(peaks)]


def _limits(time_limit: float, workers: int, seed: int, seeds: int) -> list[Limits]:
    """Of each run of a planner."""
    if not time_limit > 0:
        raise HcpError(f"time limit {time_limit} is not positive; give seconds, such as 60")
    if seeds < 1:
        raise HcpError(f"seeds {seeds} is no number of runs; give 1 or more")
    # Refuses bad limits as well.
    return [Limits(time_limit, workers, seed + place) for place in range(seeds)]


def _named(graphs: Iterable[Graph]) -> list[Graph]:
    """The graphs with names that differ."""
    found: dict[str, Graph] = {}
    for graph in graphs:
        name, number = graph.name, 1
        while name in found:
            number += 1
            name = f"{graph.name} ({number})"
        found[name] = graph if number == 1 else replace(graph, name=name)
    return list(found.values())


def _say_other_versions(store: Store, notice: Notice) -> None:
    for version in store.other_versions():
        notice(f"the store has results of hcp {version}, which are taken as they are; give another store for new ones")


def _rows(
    tasks: Sequence[Task],
    store: Store | None,
    engine: Engine,
    *,
    monitor: Monitor,
    notice: Notice,
    counter: Callable[[int, int], None],
    stop: Stop,
) -> Iterator[tuple[int, Row]]:
    """Rows by position of the task: those in the store, then those that come."""
    stored = {} if store is None else {i: row for i, task in enumerate(tasks) if (row := store.find(task)) is not None}
    yield from stored.items()
    missing = [i for i in range(len(tasks)) if i not in stored]
    counter(0, len(missing))
    for done, (position, row) in enumerate(engine.run([tasks[i] for i in missing], monitor, notice, stop), 1):
        interrupted = row.plan is not None and row.plan.interrupted
        # What was cut short is shown, and run again when the comparison is resumed.
        if store is not None and not interrupted and row.status != FAILED:
            store.add(tasks[missing[position]], row)
        counter(done, len(missing))
        yield missing[position], row
        if interrupted:
            return
