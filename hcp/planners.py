"""The table of planners, and ``solve``: the one entry that plans, judges and reports."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Final, cast

from hcp.feasibility import check_budget, explain_infeasible
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.offload.planner import WithHost
from hcp.planning.plan import Plan, judge
from hcp.planning.planner import Planner
from hcp.planning.problem import DEFAULT_WORKERS, Monitor, Problem, silent
from hcp.planning.solution import Status
from hcp.schedule.actions import Schedule
from hcp.schedule.bandwidth import parse_link
from hcp.schedule.budget import parse_budget
from hcp.schedule.host import HostLink


class UnknownSolver(HcpError):
    """A solver name that is not in the table."""


# name -> module:class, what it is. Modules load on first use, so that listing planners needs no solver.
PLANNERS: Final[Mapping[str, tuple[str, str]]] = {
    "auto": ("hcp.portfolio:Auto", "portfolio: annealing, bounds and exact solvers within the time limit"),
    "keep_all": ("hcp.heuristics.keep_all:KeepAll", "keep everything, recompute nothing"),
    "sqrt_n": ("hcp.heuristics.sqrt_n:SqrtN", "equal segments, Chen et al. 2016"),
    "chen_greedy": ("hcp.heuristics.chen_greedy:ChenGreedy", "byte-aware segments, Chen et al. 2016"),
    "interval_tree": ("hcp.heuristics.interval_tree:IntervalTree", "height-compressed balanced interval tree"),
    "recompute_all": ("hcp.heuristics.recompute_all:RecomputeAll", "keep nothing for the backward pass"),
    "revolve": ("hcp.heuristics.revolve:Revolve", "binomial checkpointing of a chain, Griewank and Walther 2000"),
    "rotor": ("hcp.heuristics.rotor:Rotor", "optimal persistent checkpointing of a chain, Beaumont et al. 2019"),
    "lower_sets": ("hcp.heuristics.lower_sets:LowerSets", "sequences of lower sets, Kusumoto et al. 2019"),
    "treewidth": ("hcp.heuristics.treewidth:Treewidth", "separators of a tree decomposition, Kumar et al. 2019"),
    "eviction": ("hcp.heuristics.eviction:Eviction", "dynamic rematerialization simulated, Kirisame et al. 2021"),
    "knapsack": ("hcp.heuristics.knapsack:Knapsack", "knapsack on saved bytes, as PyTorch's compiler does"),
    "reorder": ("hcp.heuristics.reorder:Reorder", "other orders, kept whole or with future-aware eviction"),
    "anneal": ("hcp.heuristics.anneal:Anneal", "simulated annealing on execution sequences"),
    "memetic": ("hcp.solvers.memetic:Memetic", "annealing runs whose schedules are recombined exactly by CP-SAT"),
    "lp": ("hcp.solvers.lp:Lp", "order-free lower bound by linear programming; no schedule"),
    "cpsat": ("hcp.solvers.cpsat:CpSat", "cut relaxation solved exactly by CP-SAT, lifted and polished"),
    "milp": ("hcp.solvers.milp:Milp", "cut relaxation solved exactly by MILP through PuLP, lifted and polished"),
    "staged": ("hcp.solvers.staged:Staged", "fixed order: the staged model with need-variables, solved exactly"),
    "checkmate": ("hcp.solvers.checkmate:Checkmate", "fixed order: Checkmate's integer program, Jain et al. 2020"),
    "moccasin": ("hcp.solvers.moccasin:Moccasin", "fixed order: retention intervals by CP-SAT, Bartan et al. 2023"),
    "lp_rounding": ("hcp.solvers.lp_rounding:LpRounding", "fixed order: two-phase rounding, Jain et al. 2020"),
    "exhaustive": ("hcp.solvers.exhaustive:Exhaustive", "exact search for graphs of about a dozen nodes"),
}


def planner_named(name: str) -> Planner:
    """A planner with its default options.

    Raises:
        UnknownSolver: If the table has no such name; the message lists the choices.
    """
    if name not in PLANNERS:
        raise UnknownSolver(f"unknown solver {name!r}; choose one of {', '.join(PLANNERS)}")
    module, _, attribute = PLANNERS[name][0].partition(":")
    factory = cast(Callable[[], Planner], getattr(import_module(module), attribute))
    return factory()


def solve(
    graph: Graph,
    budget: int | str,
    solver: str | Planner = "auto",
    *,
    time_limit: float = 60.0,
    order: tuple[str, ...] | None = None,
    workers: int = DEFAULT_WORKERS,
    seed: int = 0,
    incumbent: Schedule | None = None,
    monitor: Monitor = silent,
    host: HostLink | str | None = None,
) -> Plan:
    """Plans a graph within a budget.

    Args:
        graph: The computation.
        budget: Bytes, a size such as ``"8GiB"``, or a percentage of the keep-everything peak such as ``"80%"``.
        solver: A name from ``PLANNERS``, or a planner object.
        time_limit: Seconds.
        order: Where given, first executions follow it.
        workers: Threads for solvers that have a choice.
        seed: For planners that draw random numbers.
        incumbent: A schedule to start from; the result is never worse.
        monitor: Called with the progress of the search.
        host: Where given, values may be offloaded and fetched as well: a link, or its bandwidth such as ``"12GiB/s"``
            (see ``hcp.schedule.bandwidth.parse_link``). The search starts from a plan without transfers, made in a
            part of the time, and returns none that is dearer.

    Returns:
        The judged plan; ``schedule`` is None where none was found in time, and for planners that only bound.

    Raises:
        HcpError: On bad input.
        InfeasibleBudget: Where it is proved that no schedule meets the budget.
    """
    planner = planner_named(solver) if isinstance(solver, str) else solver
    if not time_limit > 0:  # NaN is refused as well
        raise HcpError(f"time limit {time_limit} is not positive; give seconds, such as 60")
    amount, link = parse_budget(budget, graph), None if host is None else parse_link(host, graph)
    problem = Problem(graph, amount, order, time_limit, workers, seed, incumbent, monitor, link)
    check_budget(problem)
    solution = (planner if link is None else WithHost(planner))(problem)
    if solution.status is Status.INFEASIBLE:
        raise explain_infeasible(problem, solution)
    if isinstance(solver, str):
        solution = replace(solution, planner=solver)
    return judge(problem, solution)
