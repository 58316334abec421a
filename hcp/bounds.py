"""Bounds on the cost within a budget that need a solver, for the analysis report."""

from typing import Final

from hcp.analysis.lower_bounds import LowerBound
from hcp.graph.ir import Graph
from hcp.planners import solve
from hcp.planning.problem import InfeasibleBudget
from hcp.schedule.budget import parse_budget
from hcp.schedule.scopes import FIXED_ORDER, ORDER_FREE

# What it is called, the planner that is asked, and whether it is asked for the graph's own order alone.
_SOURCES: Final = (("order-free LP", "lp", False), ("fixed order", "staged", True))


def solved_bounds(graph: Graph, budget: int | str, time_limit: float = 30.0) -> tuple[LowerBound, ...]:
    """Bounds on the cost from solvers: an order-free linear programme, and the staged model for the graph's own order.

    Args:
        graph: The computation.
        budget: As for ``hcp.solve``.
        time_limit: Seconds for each.

    Raises:
        InfeasibleBudget: Where no schedule in any order fits.
    """
    amount = parse_budget(budget, graph)
    return tuple(
        LowerBound(name, "cost", *_asked(graph, amount, time_limit, planner, fixed))
        for name, planner, fixed in _SOURCES
    )


def _asked(graph: Graph, budget: int, time_limit: float, planner: str, fixed: bool) -> tuple[int | None, str, str]:
    """The value, scope and reason of the best bound that a planner gives."""
    scope = FIXED_ORDER if fixed else ORDER_FREE
    try:
        plan = solve(graph, budget, planner, time_limit=time_limit, order=graph.order if fixed else None)
    except InfeasibleBudget:
        if not fixed:
            raise
        return None, scope, f"no schedule in the graph's own order fits {budget} bytes"
    found = plan.best_bound(scope)
    source = planner if found is None else found.source
    return None if found is None else found.value, scope, f"{source}, within {budget} bytes"
