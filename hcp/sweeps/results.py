"""The results of a comparison, a row each, and what each takes over from the others of its group."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from hcp.graph.errors import HcpError
from hcp.planning.plan import Plan, excess, part_of_extra
from hcp.planning.solution import Status, meets
from hcp.schedule.scopes import ORDER_FREE

NOT_APPLICABLE = "NOT_APPLICABLE"
ONLY_BOUNDS = "BOUND"
# The process that ran the planner died.
FAILED = "FAILED"


@dataclass(frozen=True)
class Row:
    """One planner on one graph and budget.

    Attributes:
        graph: Name of the graph.
        budget: The budget as it was given.
        budget_bytes: The budget in bytes.
        solver: Name of the planner.
        status: A ``Status`` by name, ``"BOUND"`` for a planner that only bounds, ``"NOT_APPLICABLE"``, or ``"FAILED"``
            where its process died.
        plan: The judged plan; None where the planner raised an error.
        best_bound: The best order-free bound on the cost that any planner of the group found.
        best_bound_verified: Whether a certificate proves that bound in exact arithmetic; None without a bound.
        gap: Cost over ``best_bound``, minus 1.
        gap_of_extra: The part of the extra cost that ``best_bound`` leaves; see ``Plan.gap_of_extra``.
        winner: Whether no planner of the group found a lower cost.
        message: What to know: a proof of infeasibility, why a planner does not apply, or its note.
        seed: Of the run's random numbers.
        runs: How many runs, which differ in the seed alone, the row stands for; it is the one of the median cost.
        costs: Where it stands for several, their lowest and their highest cost.
        given: Whether no planner made it: the schedule was given, of another system, say.
        base_cost: Of running every node once; None where it is not known.
        base_peak: Bytes of keeping everything in the graph's own order; None where it is not known.
    """

    graph: str
    budget: int | str
    budget_bytes: int
    solver: str
    status: str
    plan: Plan | None = None
    best_bound: int | None = None
    best_bound_verified: bool | None = None
    gap: float | None = None
    gap_of_extra: float | None = None
    winner: bool = False
    message: str = ""
    seed: int = 0
    runs: int = 1
    costs: tuple[int, int] | None = None
    given: bool = False
    base_cost: int | None = None
    base_peak: int | None = None

    @property
    def bound(self) -> int | None:
        """The planner's own best order-free bound on the cost."""
        own = None if self.plan is None else self.plan.best_bound()
        return None if own is None else own.value

    @cached_property
    def verified(self) -> bool | None:
        """Whether a certificate proves that bound in exact arithmetic; None without a bound."""
        own = None if self.plan is None else self.plan.best_bound()
        return None if own is None or self.plan is None else self.plan.verified(own)

    @property
    def optimal_scope(self) -> str | None:
        """Of which schedules none costs less, where that is shown: all, or only some of the graph's own order."""
        if self.status == Status.OPTIMAL.name:
            return ORDER_FREE
        return None if self.plan is None or self.plan.reached is None else self.plan.reached.scope

    @property
    def optimal_verified(self) -> bool | None:
        """Whether a certificate shows it in exact arithmetic; None where nothing is shown."""
        if self.status == Status.OPTIMAL.name:
            return bool(self.best_bound_verified)
        return None if self.plan is None else self.plan.reached_verified

    def to_dict(self) -> dict[str, object]:
        """The row, ready for JSON."""
        plan = self.plan
        in_order = None if plan is None else plan.fixed_order_bound
        return {
            "graph": self.graph,
            "budget": self.budget,
            "budget_bytes": self.budget_bytes,
            "solver": self.solver,
            "status": self.status,
            "optimal_scope": self.optimal_scope,
            "optimal_verified": self.optimal_verified,
            "base_cost": self.base_cost,
            "base_peak": self.base_peak,
            "cost": None if plan is None else plan.cost,
            "peak": None if plan is None else plan.peak,
            "overhead": None if plan is None else plan.overhead,
            "bound": self.bound,
            "bound_verified": self.verified,
            "best_bound": self.best_bound,
            "best_bound_verified": self.best_bound_verified,
            "gap": self.gap,
            "gap_of_extra": self.gap_of_extra,
            "gap_scope": ORDER_FREE,
            "fixed_order_bound": None if in_order is None else in_order.value,
            "fixed_order_bound_verified": None if plan is None or in_order is None else plan.verified(in_order),
            "gap_fixed_order": None if plan is None else plan.gap_fixed_order,
            "seconds": None if plan is None or self.given else plan.seconds,
            "given": self.given,
            "trace": [] if plan is None else [[each.seconds, each.incumbent, each.bound] for each in plan.trace],
            "winner": self.winner,
            "message": self.message,
            "seed": self.seed,
            "runs": self.runs,
            "cost_range": None if self.costs is None else list(self.costs),
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


def judged(group: Sequence[Row]) -> list[Row]:
    """Fills in what depends on the other planners of the group.

    Raises:
        HcpError: If a bound contradicts a schedule: a planner is defective, or a stored result was changed.
    """
    lowest = min((cost for row in group if (cost := _cost(row)) is not None), default=None)
    best_bound = max((row.bound for row in group if row.bound is not None), default=None)
    holders = [row for row in group if best_bound is not None and row.bound == best_bound]
    if lowest is not None and best_bound is not None and best_bound > lowest:
        cheapest = next(row for row in group if _cost(row) == lowest)
        raise HcpError(
            f"the results for {cheapest.graph} at {cheapest.budget} contradict each other: {holders[0].solver} claims "
            f"that no schedule costs less than {best_bound}, and {cheapest.solver} has one of cost {lowest}; "
            "one of them is wrong: run both again without the store, if they come from one"
        )
    verified = any(row.verified for row in holders) if holders else None
    return [_with_group(row, best_bound, verified, lowest) for row in group]


def medians(group: Sequence[Row]) -> list[Row]:
    """Of judged rows that differ in the seed alone, the one of the median cost, the lower of two, with the range."""
    found = []
    for solver in dict.fromkeys(row.solver for row in group):
        runs = [row for row in group if row.solver == solver]
        solved = sorted((cost, place) for place, row in enumerate(runs) if (cost := _cost(row)) is not None)
        if not solved:
            found.append(replace(runs[0], runs=len(runs)))
            continue
        middle = runs[solved[(len(solved) - 1) // 2][1]]
        found.append(replace(middle, runs=len(runs), costs=(solved[0][0], solved[-1][0])))
    lowest = min((cost for row in found if (cost := _cost(row)) is not None), default=None)
    return [replace(row, winner=lowest is not None and _cost(row) == lowest) for row in found]


def _cost(row: Row) -> int | None:
    return None if row.plan is None else row.plan.cost


def _with_group(row: Row, best_bound: int | None, verified: bool | None, lowest: int | None) -> Row:
    """A row with the group's best bound and lowest cost."""
    row = replace(row, best_bound=best_bound, best_bound_verified=verified)
    cost = _cost(row)
    if row.plan is None or cost is None or best_bound is None:
        return row
    return replace(
        row,
        gap=excess(cost, best_bound),
        gap_of_extra=part_of_extra(cost, best_bound, row.plan.graph.base_cost),
        winner=cost == lowest,
        status=Status.OPTIMAL.name if meets(cost, best_bound) else row.status,
    )
