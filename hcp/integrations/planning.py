"""From a captured training step to its plan, for every framework.

A plan that was given is taken up; else one that was made before for the same problem with the same options is, by way
of the cache; else the planner is asked. Whatever comes back is judged by replay. A framework captures the step and
lowers it to a graph before, and executes the schedule after.
"""

import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from hcp.feasibility import check_budget
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.integrations.planned import Planned
from hcp.integrations.request import Request
from hcp.planners import solve_problem
from hcp.planning.plan import Plan, judge
from hcp.planning.problem import Control, Problem, ignore
from hcp.planning.solution import Bound, Solution, Status
from hcp.plans.cache import cache_for, identity_of, key_of
from hcp.progress import live_progress
from hcp.runtime.executor import FallbackWarning
from hcp.schedule.actions import Compute, Schedule, ScheduleError, Step, keep_everything
from hcp.schedule.host import HostLink
from hcp.schedule.replay import replay

# Where a plan comes from that was made now, and one that the user gave.
PLANNED: Final = "planned"
GIVEN: Final = "given"


@dataclass(frozen=True)
class Found:
    """A plan with a schedule, judged.

    Attributes:
        plan: It.
        source: Where it comes from: ``"planned"``, ``"given"``, ``"memory"`` or the name of a cache file.
    """

    plan: Plan
    source: str = PLANNED


def plan_step(
    graph: Graph,
    request: Request,
    host: HostLink | None = None,
    *,
    whole: int | None = None,
    before: int = 0,
    inputs: str = "",
    again: str = "",
) -> Found:
    """The plan of a captured step: the one given, one made before, or a new one.

    Args:
        graph: The step.
        request: What is asked for.
        host: Where values may go, as ``request.link`` says.
        whole: Bytes that percentages refer to; see ``Request.problem``.
        before: Bytes that earlier variants of the step may take; see there as well.
        inputs: Shapes and types of the call at hand, for people.
        again: Why the step is planned once more, for people.

    Raises:
        HcpError: If a plan that was given does not fit the step, or no plan was found; see ``request.errors``.
        InfeasibleBudget: Where it is proved that no schedule keeps the budget.
        KeyboardInterrupt: If the user ended the search.
    """
    if request.plan is not None:
        return Found(adopt(graph, request, host, whole, before), GIVEN)
    return find_plan(request.problem(graph, host, whole, before), request, inputs=inputs, again=again)


def find_plan(
    problem: Problem, request: Request, *, inputs: str = "", again: str = "", incumbent: Schedule | None = None
) -> Found:
    """The plan that was made before for this problem with these options, or a new one, which is kept.

    A schedule that is known to fit may be given for a planner to start from.

    Raises:
        HcpError: See ``plan_step``, whose arguments these are.
        KeyboardInterrupt: If the user ended the search.
    """
    what = f"{problem.graph.name}{f' on {inputs}' if inputs else ''}"
    known = known_plan(problem, request)
    if known is not None:
        say(request, f"took the plan for {what} from {known.source}")
        return known
    say(
        request,
        f"planning {what}{again}: {len(problem.graph.nodes):,} operations within {_amount(problem, request)}, "
        f"up to {request.time_limit:g} s",
    )
    plan = _search(problem, request, incumbent)
    key = _key(problem, request)
    if key is not None:
        cache_for(request.cache).keep(key, plan)
    say(request, f"{Planned(plan)}, {plan.seconds:.1f} s")
    return Found(plan)


def known_plan(problem: Problem, request: Request) -> Found | None:
    """The plan that was made before for this problem with these options, if any was."""
    key = _key(problem, request)
    known = None if key is None else cache_for(request.cache).find(key, problem)
    return None if known is None else Found(*known)


def adopt(
    graph: Graph, request: Request, host: HostLink | None = None, whole: int | None = None, before: int = 0
) -> Plan:
    """The plan that the request gives, replayed on the graph at hand; a ``Plan`` brings its own host link and bounds.

    Raises:
        HcpError: ``request.errors.misfit`` if it was made for another graph or breaks the budget.
        InfeasibleBudget: If every schedule breaks the budget.
        ScheduleError: If it is illegal for the graph.
    """
    bounds: tuple[Bound, ...] = ()
    given = request.plan.plan if isinstance(request.plan, Planned) else request.plan
    if isinstance(given, Plan):
        if given.graph.fingerprint != graph.fingerprint:
            raise request.errors.misfit(
                f"the plan was made for another graph than this step of {graph.name}; plan again with these shapes, "
                "this mode and this cost option"
            )
        schedule, bounds, planner, host = given.schedule, given.bounds, given.planner, given.problem.host
        if schedule is None:
            raise request.errors.misfit(f"the plan given for {graph.name} has no schedule; {given.status.remedy}")
    else:
        assert given is not None
        schedule, planner = given if isinstance(given, Schedule) else given(graph), GIVEN
    peak = replay(graph, schedule, host).peak
    problem = Problem(graph, peak, host=host) if request.budget is None else request.problem(graph, host, whole, before)
    check_budget(problem)
    if peak > problem.budget:
        raise request.errors.misfit(
            f"the plan given for {graph.name} peaks at {peak:,} bytes, over the budget of {problem.budget:,}; "
            "raise the budget"
        )
    return judged(problem, schedule, planner, bounds)


def carried_over(problem: Problem, plans: Iterable[Plan]) -> Schedule | None:
    """The cheapest schedule known to solve a problem: keeping everything, or one of plans for the same step.

    The same step on other sizes has the same operations. Their names may differ between captures, their order does not.
    """
    graph = problem.graph
    known = [tuple(keep_everything(graph).steps)]
    known += [
        _renamed(plan.schedule, plan.graph, graph) for plan in plans if plan.schedule and _alike(plan.graph, graph)
    ]
    best: tuple[int, Schedule] | None = None
    for steps in known:
        try:
            schedule = Schedule.from_steps(graph, steps)
            usage = replay(graph, schedule, problem.host)
        except ScheduleError:
            continue
        if usage.peak <= problem.budget and (best is None or usage.makespan < best[0]):
            best = usage.makespan, schedule
    return None if best is None else best[1]


def _renamed(schedule: Schedule, graph: Graph, other: Graph) -> tuple[Step, ...]:
    """The steps of a schedule for one graph with the names that another has in the same places."""
    nodes = dict(zip(graph.node, other.node, strict=True))
    values = dict(zip(graph.values, other.values, strict=False))
    return tuple(
        Compute(nodes[step.node])
        if isinstance(step, Compute)
        else replace(step, value=values.get(step.value, step.value))
        for step in schedule.steps
    )


def _alike(graph: Graph, other: Graph) -> bool:
    return len(graph.nodes) == len(other.nodes) and all(
        one.op == two.op and one.recomputable == two.recomputable
        for one, two in zip(graph.nodes, other.nodes, strict=True)
    )


def judged(problem: Problem, schedule: Schedule, planner: str, bounds: tuple[Bound, ...] = ()) -> Plan:
    """A schedule that is known already as the plan of a problem, with what is known of the best possible cost.

    Raises:
        ScheduleError: If it is illegal for the graph.
    """
    return judge(problem, Solution(schedule, Status.FEASIBLE, bounds, planner))


def heed(plan: Plan) -> Plan:
    """Hands Ctrl-C on to the program where it ended the search for a plan; other plans come back.

    A search that Ctrl-C ends returns its best so far. Who runs a step wants the program to stop then, not to go on with
    a plan cut short: nothing of the search is kept or run, and the next call plans afresh.

    Raises:
        KeyboardInterrupt: If the user ended the search.
    """
    if plan.interrupted:
        raise KeyboardInterrupt(f"planning of {plan.graph.name} was stopped by the user; no plan was kept, nothing ran")
    return plan


def allow_unplanned(request: Request, reason: HcpError, warning: str = "", stacklevel: int = 3) -> None:
    """Raises the reason why a step cannot run planned, unless the user lets it run unplanned with a warning.

    Args:
        request: Says what the user wants.
        reason: What is raised.
        warning: What is said instead; by default the reason.
        stacklevel: Frames from here to the user's code, as ``warnings.warn`` counts them.
    """
    if request.fallback == "error":
        raise reason
    warnings.warn(warning or str(reason), FallbackWarning, stacklevel)


def say(request: Request, line: str) -> None:
    """Tells what planning is at, unless the request is to be quiet."""
    if not request.quiet:
        print(f"hcp: {line}", file=sys.stderr, flush=True)


def _key(problem: Problem, request: Request) -> str | None:
    """The name under which the plan is kept; None where the planner cannot be told from others."""
    planner = identity_of(request.solver)
    return None if planner is None else key_of(problem, request.limits, planner)


def _search(problem: Problem, request: Request, incumbent: Schedule | None) -> Plan:
    graph, own = problem.graph, request.monitor is not ignore
    with live_progress(request.time_limit, request.quiet or own) as display:
        control = Control(monitor=request.monitor if own else display, incumbent=incumbent)
        plan = heed(solve_problem(problem, request.solver, request.limits, control))
    if plan.schedule is None:
        found = f"solver {plan.planner!r} found no plan for {graph.name} within {_amount(problem, request)}"
        raise request.errors.nothing("; ".join(filter(None, [found, request.remedy(plan), plan.note])))
    return plan


def _amount(problem: Problem, request: Request) -> str:
    amount = f"{problem.budget:,} bytes"
    return f"{request.budget!r} ({amount})" if isinstance(request.budget, str) else amount
