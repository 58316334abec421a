"""The table of planners, and ``solve``: the one entry that plans, judges and reports."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from inspect import signature
from types import MappingProxyType
from typing import Final, cast

from hcp.feasibility import check_budget, explain_infeasible
from hcp.graph.errors import HcpError
from hcp.graph.fields import shown
from hcp.graph.ir import Graph
from hcp.offload.beside import WithEngines
from hcp.offload.planner import WithHost
from hcp.planning.deadline import Deadline, Stop, never
from hcp.planning.interrupts import stop_on_interrupt
from hcp.planning.plan import Plan, judge
from hcp.planning.planner import AnyPlanner, ask
from hcp.planning.problem import (
    DEFAULT_CONTROL,
    DEFAULT_LIMITS,
    DEFAULT_WORKERS,
    LEAST_PART,
    Control,
    Limits,
    Monitor,
    Problem,
    ignore,
)
from hcp.planning.solution import Status
from hcp.schedule.actions import Schedule
from hcp.schedule.bandwidth import parse_link
from hcp.schedule.budget import parse_budget
from hcp.schedule.host import HostLink


class UnknownSolver(HcpError):
    """A solver name that is not in the table."""


# What makes a planner with its default options: a callable, or its module and name, which loads on first use, so that
# listing planners needs no solver.
Factory = Callable[[], AnyPlanner]

# Packages that searches load: dependencies of hcp's, which an installation without dependencies lacks.
SOLVER_PACKAGES: Final = frozenset({"highspy", "ortools", "pulp"})

# Of a limit, what the search itself gets, however long loading took.
LEAST_SEARCHED: Final = 0.5


def _auto() -> AnyPlanner:
    """The portfolio; where a solver that it loads is not installed, what of it needs none.

    A plan of either is kept under the same name, so that plans made elsewhere are found without solvers too.
    """
    try:
        from hcp.portfolio import Auto
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in SOLVER_PACKAGES:
            raise
        from hcp.heuristic_portfolio import HeuristicPortfolio

        return HeuristicPortfolio(missing)
    return Auto()


_TABLE: Final[dict[str, tuple[str | Factory, str]]] = {
    "auto": (_auto, "portfolio: heuristics, annealing, bounds and exact solvers within the time limit"),
    "keep_all": ("hcp.heuristics.keep_all:KeepAll", "keep everything, recompute nothing"),
    "sqrt_n": ("hcp.heuristics.sqrt_n:SqrtN", "uniform segments, Chen et al. 2016"),
    "chen_greedy": ("hcp.heuristics.chen_greedy:ChenGreedy", "segments of equal bytes, Chen et al. 2016"),
    "interval_tree": ("hcp.heuristics.interval_tree:IntervalTree", "height-compressed balanced interval tree"),
    "recompute_all": ("hcp.heuristics.recompute_all:RecomputeAll", "keep nothing for the backward pass"),
    "revolve": ("hcp.heuristics.revolve:Revolve", "binomial checkpointing of a chain, Griewank and Walther 2000"),
    "mixed": (
        "hcp.heuristics.mixed:Mixed",
        "chains by states and what backwards read, Maddison 2024",
    ),
    "rotor": ("hcp.heuristics.rotor:Rotor", "optimal persistent checkpointing of a chain, Beaumont et al. 2019"),
    "lower_sets": ("hcp.heuristics.lower_sets:LowerSets", "sequences of lower sets, Kusumoto et al. 2019"),
    "treewidth": ("hcp.heuristics.treewidth:Treewidth", "separators of a tree decomposition, Kumar et al. 2019"),
    "eviction": (
        "hcp.heuristics.eviction:Eviction",
        "dynamic tensor rematerialization, simulated, Kirisame et al. 2021",
    ),
    "knapsack": ("hcp.heuristics.knapsack:Knapsack", "knapsack on saved bytes, as PyTorch's compiler does"),
    "reorder": (
        "hcp.heuristics.reorder:Reorder",
        "other orders, without recomputation or with eviction that knows the future",
    ),
    "anneal": ("hcp.heuristics.anneal:Anneal", "simulated annealing on execution sequences"),
    "memetic": ("hcp.solvers.memetic:Memetic", "annealing, with exact recombination of its schedules by CP-SAT"),
    "lp": ("hcp.solvers.lp:Lp", "order-free lower bound by linear programming; no schedule"),
    "cpsat": ("hcp.solvers.cpsat:CpSat", "cut relaxation as an integer program by CP-SAT, lifted and polished"),
    "milp": ("hcp.solvers.milp:Milp", "cut relaxation as an integer program through PuLP (HiGHS), lifted and polished"),
    "proof": ("hcp.solvers.proof:Proof", "cut relaxation by branch and bound, with an exact certificate"),
    "staged": ("hcp.solvers.staged:Staged", "fixed order: staged integer program, solved exactly"),
    "checkmate": ("hcp.solvers.checkmate:Checkmate", "fixed order: Checkmate's integer program, Jain et al. 2020"),
    "moccasin": ("hcp.solvers.moccasin:Moccasin", "fixed order: retention intervals by CP-SAT, Bartan et al. 2023"),
    "lp_rounding": ("hcp.solvers.lp_rounding:LpRounding", "fixed order: two-phase rounding, Jain et al. 2020"),
    "exhaustive": ("hcp.solvers.exhaustive:Exhaustive", "exact search for graphs of about a dozen nodes"),
}


# name -> what makes it, what it is.
PLANNERS: Final[Mapping[str, tuple[str | Factory, str]]] = MappingProxyType(_TABLE)


# Those that use the time that they are given; the others are done in a small part of it.
SEARCHING: Final = frozenset(
    {
        "auto",
        "anneal",
        "memetic",
        "cpsat",
        "milp",
        "proof",
        "staged",
        "checkmate",
        "moccasin",
        "lp_rounding",
        "exhaustive",
    }
)


def register_planner(name: str, factory: str | Factory, summary: str) -> None:
    """Registers a planner under a name, by which ``solve``, ``compare`` and the command line know it in this process.

    Args:
        name: How it is asked for.
        factory: A callable without arguments that makes it, such as its class, or ``"package.module:Class"``, which is
            imported when it is asked for.
        summary: What it is, in a few words.

    Raises:
        HcpError: If the name is taken, or cannot be one.
    """
    if name in _TABLE:
        raise HcpError(f"planner {name!r} is registered already ({_TABLE[name][1]}); choose another name")
    if not name or ":" in name or name != name.strip():
        raise HcpError(f"{name!r} cannot be a planner's name; give a word such as 'my_planner'")
    if isinstance(factory, str) and ":" not in factory:
        raise HcpError(f"{factory!r} names no planner; give 'package.module:Class', or the class itself")
    _TABLE[name] = (factory, summary)


def planner_named(name: str) -> AnyPlanner:
    """A planner with its default options.

    Args:
        name: From ``PLANNERS``, or ``"package.module:Class"`` for one of the user's own.

    Raises:
        UnknownSolver: If there is none; the message lists the choices.
    """
    if name in PLANNERS:
        factory = PLANNERS[name][0]
        return _made(factory) if isinstance(factory, str) else factory()
    if ":" in name:
        return _made(name)
    raise UnknownSolver(
        f"unknown solver {name!r}; choose one of {', '.join(PLANNERS)}, or give your own as package.module:Class"
    )


def _made(target: str) -> AnyPlanner:
    """The planner that a module's class or function makes, or that a module holds."""
    module, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownSolver(
            f"solver {target!r} cannot be loaded ({error}); give package.module:Class, with the module on the path"
        ) from error
    if not callable(found):
        raise UnknownSolver(f"solver {target!r} is {shown(found)}, which cannot be called; give a planner's class")
    # A class or a factory makes a planner; a planner itself takes a problem.
    made = isinstance(found, type) or not signature(found).parameters
    return cast(AnyPlanner, found() if made else found)


def solve(
    graph: Graph,
    budget: int | str,
    solver: str | AnyPlanner = "auto",
    *,
    time_limit: float = 60.0,
    order: tuple[str, ...] | None = None,
    workers: int = DEFAULT_WORKERS,
    seed: int = 0,
    incumbent: Schedule | None = None,
    monitor: Monitor = ignore,
    host: HostLink | str | None = None,
    work_limit: float | None = None,
    stop: Stop = never,
) -> Plan:
    """Plans a graph within a budget.

    Args:
        graph: The computation.
        budget: Bytes, a size such as ``"8GiB"``, or a percentage of the keep-everything peak such as ``"80%"``.
        solver: A name from ``PLANNERS``, ``"package.module:Class"``, or a planner object.
        time_limit: Seconds for the whole call. Where it ends the search, runs may differ.
        order: Where given, first executions follow it.
        workers: Threads for solvers that can use several.
        seed: Of the random numbers.
        incumbent: A schedule to start from; the result is never worse.
        monitor: Called with the progress of the search.
        host: Where given, values may be offloaded and fetched as well: a link, or its bandwidth such as ``"12GiB/s"``
            (see ``hcp.schedule.bandwidth.parse_link``). The search starts from a plan without transfers, made in a
            part of the time, and returns none of a higher cost.
        work_limit: Units of work, each about a second of one core: the same seed and work limit give the same plan on
            every machine with the same versions, unless the time limit comes first. See ``Limits``.
        stop: Called now and then, from any thread; True ends the search with the best so far, as Ctrl-C does.

    Returns:
        The judged plan; ``schedule`` is None where none was found in time, and for planners that compute bounds alone.

    Raises:
        HcpError: On bad input.
        InfeasibleBudget: Where it is proved that no schedule meets the budget.
    """
    limits, clock = Limits(time_limit, workers, seed, work_limit), Deadline(time_limit)
    amount, link = parse_budget(budget, graph), None if host is None else parse_link(host, graph)
    problem = Problem(graph, amount, order, link)
    # What a percentage took counts as well.
    limits = replace(limits, time_limit=max(LEAST_PART, clock.left))
    return solve_problem(problem, solver, limits, Control(stop, monitor, incumbent))


def solve_problem(
    problem: Problem,
    solver: str | AnyPlanner = "auto",
    limits: Limits = DEFAULT_LIMITS,
    control: Control = DEFAULT_CONTROL,
) -> Plan:
    """``solve`` for an instance whose budget is in bytes: what every way to a plan goes through.

    Raises:
        UnknownSolver: If there is no planner of that name.
        InfeasibleBudget: Where it is proved that no schedule meets the budget.
    """
    clock = Deadline(limits.time_limit)
    planner = planner_named(solver) if isinstance(solver, str) else solver
    # Loading solvers takes seconds on a busy machine; it counts, but a short limit is not used up by it.
    least = max(LEAST_PART, LEAST_SEARCHED * limits.time_limit)
    check_budget(problem, max(least, clock.left))
    # What that took counts as well.
    limits = replace(limits, time_limit=max(least, clock.left))
    with stop_on_interrupt(control.stop) as asked:
        control = replace(control, stop=asked)
        solution = ask(_wrapped(planner, problem), problem, limits, control)
        # One that takes the problem alone does not know.
        solution = replace(solution, interrupted=solution.interrupted or asked())
    if solution.status is Status.INFEASIBLE:
        raise explain_infeasible(problem, solution, clock.left)
    if isinstance(solver, str):
        solution = replace(solution, planner=solver)
    return judge(problem, solution)


def _wrapped(planner: AnyPlanner, problem: Problem) -> AnyPlanner:
    """A planner of what the problem has, copies and engines, made of one that recomputes."""
    if problem.host is not None and not isinstance(planner, WithHost | WithEngines):
        planner = WithHost(planner)
    return WithEngines(planner) if problem.graph.engines and not isinstance(planner, WithEngines) else planner
