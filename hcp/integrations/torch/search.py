"""The search for the plan of a step: once for all processes that run it, and once in all.

The plan that is wanted depends on what the program does between forward and backward, which only its first step shows.
So that step runs on a plan which quick heuristics make, and the planner that was asked for searches once it was seen.
"""

import hashlib
import json
from dataclasses import replace
from typing import Final

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.heuristic_portfolio import HeuristicPortfolio
from hcp.integrations.planning import Found, find_plan, judged, known_plan, plan_step
from hcp.integrations.torch.in_backward import settle
from hcp.integrations.torch.ranks import once
from hcp.integrations.torch.request import TorchRequest
from hcp.planners import SEARCHING
from hcp.planning.plan import Plan
from hcp.planning.problem import Problem
from hcp.plans.cache import identity_of
from hcp.schedule.actions import Schedule
from hcp.schedule.host import HostLink

# Of the time limit, what a plan for the first step may take; where that is little, so many seconds, half of it at most.
FIRST_SHARE: Final = 0.1
FIRST_SECONDS: Final = 2.0


def search(
    problem: Problem,
    asked: TorchRequest,
    *,
    inputs: str = "",
    again: str = "",
    incumbent: Schedule | None = None,
) -> Found:
    """The plan of a step, made here, before, or by another process of the program for the same step.

    Args:
        problem: The step and its budget.
        asked: How to plan.
        inputs: Shapes and types of the call at hand, for people.
        again: Why the step is planned once more, for people.
        incumbent: A schedule to start from.

    Raises:
        HcpError: If no plan was found.
        KeyboardInterrupt: If the user ended the search.
    """

    def plan() -> Found:
        return _settled(problem, asked, inputs, again, incumbent)

    found = once(_key(problem, asked), plan, asked.time_limit)
    if found.plan.graph.fingerprint == problem.graph.fingerprint:
        return found
    # Where costs are measured they differ from process to process.
    assert found.plan.schedule is not None
    return Found(judged(problem, found.plan.schedule, found.plan.planner), found.source)


def first_plan(problem: Problem, asked: TorchRequest, inputs: str) -> Found | None:
    """A plan for the first step alone, until it was seen what the program does; None where it is as well searched for.

    That is where the planner takes no time, has planned this before, or heuristics find no plan or the best.
    """
    if not isinstance(asked.solver, str) or asked.solver not in SEARCHING or known_plan(problem, asked) is not None:
        return None
    seconds = max(FIRST_SHARE * asked.time_limit, min(FIRST_SECONDS, asked.time_limit / 2))
    brief = replace(asked, solver=HeuristicPortfolio(), time_limit=seconds)
    try:
        found = search(problem, brief, inputs=inputs, again=" for its first step")
    except HcpError:
        return None
    return None if found.plan.overhead == 0 else found


def given_plan(graph: Graph, asked: TorchRequest, link: HostLink | None, whole: int | None, before: int) -> Found:
    """The plan that the user gives, with parameters that take their gradients after they were read for the last time.

    Args:
        graph: The step.
        asked: Gives the plan.
        link: Where values may go.
        whole: See ``plan_step``.
        before: See ``plan_step``.

    Raises:
        HcpError: If it does not fit the step, or breaks the budget.
    """
    found = plan_step(graph, asked, link, whole=whole, before=before)
    given = settle(found.plan.problem, lambda _: found.plan)
    if given.schedule is None:
        raise asked.errors.misfit(
            f"the plan given for {graph.name} has a parameter take its gradient before it is read for the last "
            f"time, and more than {given.problem.budget:,} bytes where it waits; give a budget, or another plan"
        )
    return replace(found, plan=given)


def _settled(problem: Problem, asked: TorchRequest, inputs: str, again: str, incumbent: Schedule | None) -> Found:
    """A plan in which parameters take their gradients after their last reader."""
    found: list[Found] = []

    def plan(problem: Problem) -> Plan:
        found.append(find_plan(problem, asked, inputs=inputs, again=again, incumbent=incumbent))
        return found[-1].plan

    best = settle(problem, plan)
    if best.schedule is None:
        raise asked.errors.nothing(
            f"no plan was found for {problem.graph.name} within {problem.budget:,} bytes in which parameters that take "
            "their gradients in the backward do so after they were read; raise the budget"
        )
    return Found(best, found[0].source)


def _key(problem: Problem, asked: TorchRequest) -> str:
    """What tells a step with what is asked for it from others, costs apart."""
    graph, limits = problem.graph, asked.limits
    nodes = [(node.name, node.op, node.inputs, [(v.name, v.bytes) for v in node.outputs]) for node in graph.nodes]
    told = [problem.budget, identity_of(asked.solver), limits.time_limit, limits.seed, str(problem.host)]
    return hashlib.sha256(json.dumps([nodes, told]).encode()).hexdigest()[:32]
