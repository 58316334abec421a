"""Planners x graphs x budgets: judged rows whose gaps use the best bound that any of the planners proved."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.planners import planner_named
from hcp.planning.deadline import Stop, never
from hcp.planning.interrupts import stop_on_interrupt
from hcp.planning.problem import DEFAULT_WORKERS, Limits, Monitor, ignore
from hcp.sweeps.engines import Engine, Local
from hcp.sweeps.grid import resolved
from hcp.sweeps.rows import FAILED, Comparison, Row, judged
from hcp.sweeps.store import Store
from hcp.sweeps.task import Notice, Task

__all__ = ["Comparison", "Row", "compare"]


def compare(
    graphs: Graph | Iterable[Graph],
    budgets: int | str | Iterable[int | str],
    solvers: str | Iterable[str],
    *,
    time_limit: float = 60.0,
    workers: int = DEFAULT_WORKERS,
    seed: int = 0,
    store: str | os.PathLike[str] | None = None,
    engine: Engine | None = None,
    monitor: Monitor = ignore,
    notice: Notice = ignore,
    counter: Callable[[int, int], None] = ignore,
    stop: Stop = never,
) -> Comparison:
    """Runs every planner on every graph and budget, each by itself, and judges the schedules by replay.

    Args:
        graphs: One graph or several, with different names.
        budgets: One budget or several, as ``solve`` takes them; ``"grid:8"`` stands for eight of each graph, from the
            smallest that is known to work to keep-everything.
        solvers: One name from ``PLANNERS`` or several.
        time_limit: Seconds for each planner.
        workers: Threads for solvers that have a choice.
        seed: For planners that draw random numbers.
        store: A file that results are kept in as they come; what is in it already for the same graph, budget, planner
            and limits is not run again, so that an interrupted comparison goes on where it was.
        engine: Who runs the planners; this process by default.
        monitor: Called with the progress of each search in this process.
        notice: Called with what a user should know at once, such as a worker that died.
        counter: Called with the number of rows done and of rows that had to be run, whenever one is.
        stop: Asked now and then: whether to end with the rows there are. Ctrl-C asks for that as well.

    Returns:
        A row for each; planners that do not apply and infeasible budgets give rows that say so.

    Raises:
        HcpError: On bad budgets, unknown planners, or graphs of the same name.
        StoreError: If the store cannot be used.
    """
    graph_list = [graphs] if isinstance(graphs, Graph) else list(graphs)
    budget_list = [budgets] if isinstance(budgets, int | str) else list(budgets)
    solver_list = [solvers] if isinstance(solvers, str) else list(solvers)
    for what, items in (("graph", graph_list), ("budget", budget_list), ("solver", solver_list)):
        if not items:
            raise HcpError(f"there is no {what} to compare; give at least one")
    _check_different("graph", [graph.name for graph in graph_list])
    _check_different("budget", budget_list)
    _check_different("solver", solver_list)
    for solver in solver_list:
        planner_named(solver)
    if not time_limit > 0:
        raise HcpError(f"time limit {time_limit} is not positive; give seconds, such as 60")
    with nullcontext() if store is None else Store(store) as kept:
        for version in () if kept is None else kept.other_versions():
            notice(
                f"the store has results of hcp {version}, which are taken as they are; give another store for new ones"
            )
        # Bad budgets are refused before hours of solving.
        cases = [(graph, *case) for graph in graph_list for case in resolved(graph, budget_list, kept)]
        limits = Limits(time_limit, workers, seed)
        tasks = [
            Task(graph, Row(graph.name, budget, size, solver, ""), limits)
            for graph, budget, size in cases
            for solver in solver_list
        ]
        runner = Local() if engine is None else engine
        with stop_on_interrupt(stop) as asked:
            rows = dict(_rows(tasks, kept, runner, monitor=monitor, notice=notice, counter=counter, stop=asked))
    found = (rows[i] for i in sorted(rows))
    return Comparison(tuple(row for group in Comparison(tuple(found)).groups() for row in judged(group)))


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


def _check_different(what: str, items: Sequence[object]) -> None:
    twice = next((item for i, item in enumerate(items) if item in items[:i]), None)
    if twice is not None:
        raise HcpError(f"{what} {twice!r} is given twice; give each once")
