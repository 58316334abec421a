"""Budgets that no schedule can meet: the proof, and the smallest budget known to work."""

from hcp.graph.ir import Graph
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.schedule.solution import InfeasibleBudget, Problem, Solution


def check_budget(problem: Problem) -> None:
    """Refuses a budget that one node alone exceeds.

    Raises:
        InfeasibleBudget: Names the node and what it needs.
    """
    index = problem.graph.index
    needs = index.floor
    worst = int(needs.argmax())
    if int(needs[worst]) <= problem.budget:
        return
    raise InfeasibleBudget(
        f"no schedule fits {problem.budget} bytes: node {index.node_names[worst]!r} alone holds {int(needs[worst])} "
        "bytes of inputs, outputs, workspace and values that stay while it runs; "
        f"the smallest budget known to work is {smallest_known(problem.graph)} bytes"
    )


def explain_infeasible(problem: Problem, solution: Solution) -> InfeasibleBudget:
    """The error for a budget that a planner proved too small."""
    proof = solution.note or f"proved by {solution.planner}"
    return InfeasibleBudget(
        f"no schedule fits {problem.budget} bytes: {proof}; "
        f"the smallest budget known to work is {smallest_known(problem.graph)} bytes"
    )


def smallest_known(graph: Graph) -> int:
    """The smallest peak of the schedules that are quick to find."""
    return replay(graph, keep_everything(graph)).peak
