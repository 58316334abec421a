"""Planners x graphs x budgets: judged rows whose gaps use the best bound that any of the planners proved."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.planners import planner_named, solve
from hcp.schedule.budget import parse_budget
from hcp.schedule.plan import Plan, excess
from hcp.schedule.solution import (
    DEFAULT_WORKERS,
    OPTIMALITY_TOLERANCE,
    ORDER_FREE,
    InfeasibleBudget,
    Monitor,
    NotApplicable,
    Status,
    silent,
)


@dataclass(frozen=True)
class Row:
    """One planner on one graph and budget.

    Attributes:
        graph: Name of the graph.
        budget: The budget as it was given.
        budget_bytes: The budget in bytes.
        solver: Name of the planner.
        status: A ``Status`` by name, ``"BOUND"`` for a planner that only bounds, or ``"NOT_APPLICABLE"``.
        plan: The judged plan; None where the planner raised an error.
        best_bound: The best order-free bound on the cost that any planner of the group proved.
        gap: Cost over ``best_bound``, minus 1.
        winner: Whether no planner of the group found a lower cost.
        message: What to know: a proof of infeasibility, why a planner does not apply, or its note.
    """

    graph: str
    budget: int | str
    budget_bytes: int
    solver: str
    status: str
    plan: Plan | None = None
    best_bound: int | None = None
    gap: float | None = None
    winner: bool = False
    message: str = ""

    @property
    def bound(self) -> int | None:
        """The planner's own best order-free bound on the cost."""
        own = None if self.plan is None else self.plan.best_bound()
        return None if own is None else own.value

    def to_dict(self) -> dict[str, object]:
        """The row, ready for JSON."""
        plan = self.plan
        return {
            "graph": self.graph,
            "budget": self.budget,
            "budget_bytes": self.budget_bytes,
            "solver": self.solver,
            "status": self.status,
            "cost": None if plan is None else plan.cost,
            "peak": None if plan is None else plan.peak,
            "overhead": None if plan is None else plan.overhead,
            "bound": self.bound,
            "best_bound": self.best_bound,
            "gap": self.gap,
            "gap_scope": ORDER_FREE,
            "gap_fixed_order": None if plan is None else plan.gap_fixed_order,
            "seconds": None if plan is None else plan.seconds,
            "winner": self.winner,
            "message": self.message,
        }


@dataclass(frozen=True)
class Comparison:
    """Rows in the order graphs, budgets, planners."""

    rows: tuple[Row, ...]

    def groups(self) -> Iterator[tuple[Row, ...]]:
        """The rows of each graph and budget."""
        keys = dict.fromkeys((row.graph, row.budget) for row in self.rows)
        for key in keys:
            yield tuple(row for row in self.rows if (row.graph, row.budget) == key)

    def to_dict(self) -> dict[str, object]:
        """The comparison, ready for JSON."""
        return {"gap_scope": ORDER_FREE, "rows": [row.to_dict() for row in self.rows]}


def compare(
    graphs: Graph | Iterable[Graph],
    budgets: int | str | Iterable[int | str],
    solvers: str | Iterable[str],
    *,
    time_limit: float = 60.0,
    workers: int = DEFAULT_WORKERS,
    seed: int = 0,
    monitor: Monitor = silent,
) -> Comparison:
    """Runs every planner on every graph and budget, each by itself, and judges the schedules by replay.

    Args:
        graphs: One graph or several, with different names.
        budgets: One budget or several, as ``solve`` takes them.
        solvers: One name from ``PLANNERS`` or several.
        time_limit: Seconds for each planner.
        workers: Threads for solvers that have a choice.
        seed: For planners that draw random numbers.
        monitor: Called with the progress of each search.

    Returns:
        A row for each; planners that do not apply and infeasible budgets give rows that say so. Ctrl-C ends with the
        rows there are.

    Raises:
        HcpError: On bad budgets, unknown planners, or graphs of the same name.
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
    # Bad budgets are refused before hours of solving.
    cases = [(graph, budget, parse_budget(budget, graph)) for graph in graph_list for budget in budget_list]
    rows: list[Row] = []
    for graph, budget, size in cases:
        run = partial(solve, graph, size, time_limit=time_limit, workers=workers, seed=seed, monitor=monitor)
        group: list[Row] = []
        for solver in solver_list:
            group.append(_solved(Row(graph.name, budget, size, solver, ""), run))
            if _interrupted(group[-1]):
                break
        rows += _judged(group)
        if _interrupted(group[-1]):
            break
    return Comparison(tuple(rows))


def _interrupted(row: Row) -> bool:
    return row.plan is not None and row.plan.interrupted


def _solved(row: Row, run: Callable[[str], Plan]) -> Row:
    try:
        plan = run(row.solver)
    except InfeasibleBudget as error:
        return replace(row, status=Status.INFEASIBLE.name, message=str(error))
    except NotApplicable as error:
        return replace(row, status="NOT_APPLICABLE", message=str(error))
    only_bounds = plan.schedule is None and len(plan.bounds) > 1
    return replace(row, status="BOUND" if only_bounds else plan.status.name, plan=plan, message=plan.note)


def _judged(group: Sequence[Row]) -> list[Row]:
    """Fills in what depends on the other planners of the group."""
    bounds = [row.bound for row in group if row.bound is not None]
    costs = [row.plan.cost for row in group if row.plan is not None and row.plan.cost is not None]
    best_bound = max(bounds, default=None)
    lowest = min(costs, default=None)
    if best_bound is not None and lowest is not None and best_bound > lowest * (1 + OPTIMALITY_TOLERANCE):
        raise RuntimeError(f"a bound of {best_bound} contradicts a schedule of cost {lowest}: a planner is defective")
    found = []
    for row in group:
        cost = None if row.plan is None else row.plan.cost
        if cost is None or best_bound is None:
            found.append(replace(row, best_bound=best_bound))
            continue
        proved = cost <= best_bound * (1 + OPTIMALITY_TOLERANCE)
        found.append(
            replace(
                row,
                best_bound=best_bound,
                gap=max(0.0, excess(cost, best_bound)),
                winner=cost == lowest,
                status=Status.OPTIMAL.name if proved else row.status,
            )
        )
    return found


def _check_different(what: str, items: Sequence[object]) -> None:
    twice = next((item for i, item in enumerate(items) if item in items[:i]), None)
    if twice is not None:
        raise HcpError(f"{what} {twice!r} is given twice; give each once")
