"""Planning a captured step, for every integration: plans made before are taken up, Ctrl-C is handed on."""

from collections.abc import Callable
from typing import Protocol

from hcp.graph.ir import Graph
from hcp.integrations.interruption import heed
from hcp.planners import solve
from hcp.planning.plan import Plan
from hcp.planning.planner import AnyPlanner
from hcp.planning.problem import Limits, Monitor, Problem
from hcp.plans.cache import CacheOption, cache_for, identity_of, key_of
from hcp.schedule.host import HostLink

# Where a plan comes from that was made now.
FRESH = ""


class PlanningOptions(Protocol):
    """What the options of an integration say about planning."""

    @property
    def solver(self) -> str | AnyPlanner:
        """The planner."""
        ...

    @property
    def time_limit(self) -> float:
        """Seconds."""
        ...

    @property
    def seed(self) -> int:
        """For planners that draw random numbers."""
        ...

    @property
    def cache(self) -> CacheOption:
        """Where plans are kept."""
        ...


def planned(problem: Problem, options: PlanningOptions, make: Callable[[], Plan]) -> tuple[Plan, str]:
    """The plan that was made before for this problem with these options, and where it was found; else a new one.

    Args:
        problem: What to plan.
        options: How.
        make: Plans; what it returns is kept if it has a schedule.
    """
    cache, planner = cache_for(options.cache), identity_of(options.solver)
    key = None if planner is None else key_of(problem, Limits(options.time_limit, seed=options.seed), planner)
    known = None if key is None else cache.find(key, problem)
    if known is not None:
        return known
    plan = make()
    if key is not None and plan.schedule is not None:
        cache.keep(key, plan)
    return plan, FRESH


def solved(graph: Graph, budget: int, options: PlanningOptions, monitor: Monitor, host: HostLink | None) -> Plan:
    """A new plan.

    Raises:
        InfeasibleBudget: Where it is proved that no schedule keeps the budget.
        KeyboardInterrupt: If the user ended the search.
    """
    plan = solve(
        graph, budget, options.solver, time_limit=options.time_limit, seed=options.seed, monitor=monitor, host=host
    )
    heed(plan)
    return plan
