"""Certified bound <= optimum <= every planner, on thousands of random graphs with every feature."""

from collections.abc import Callable, Mapping

from hcp.graph.instances import random_graph
from hcp.graph.ir import Graph
from hcp.planners import PLANNERS, planner_named
from hcp.planning.deadline import Deadline
from hcp.planning.planner import AnyPlanner, ask
from hcp.planning.problem import Control, Limits, NotApplicable, Problem
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.cut_relaxation.relaxation import Relaxer
from hcp.solvers.exhaustive import Exhaustive, least_peak
from theory_checks.claims import require

CLAIM = "certified order-free bound <= exhaustive optimum <= cost of every heuristic's schedule, which fits the budget"
SOURCE = "formulations.md, the cut relaxation; theory.md, sandwich"

# Annealing searches for its time limit; the test matrix has it.
SLOW = frozenset({"anneal"})


def certified_bound(graph: Graph, budget: int) -> int:
    """The bound that the linear relaxation's rounded dual values prove, evaluated in integers."""
    found = Relaxer(graph, budget, Deadline(20)).best()
    assert found is not None
    certificate = found.bound.certificate
    assert found.bound.of == "cost"
    assert certificate is not None
    return certificate.proven(graph, budget)


def heuristics() -> dict[str, AnyPlanner]:
    """Every heuristic of the table that takes no time to speak of."""
    return {
        name: planner_named(name)
        for name, (where, _) in PLANNERS.items()
        if str(where).startswith("hcp.heuristics.") and name not in SLOW
    }


def check(
    full: bool = True,
    bound: Callable[[Graph, int], int] = certified_bound,
    planners: Mapping[str, AnyPlanner] | None = None,
) -> int:
    """Random graphs of 2 to 8 nodes, each with a budget between its least and its keep-everything peak."""
    tried = heuristics() if planners is None else planners
    instances = 0
    for seed in range(2000 if full else 60):
        graph = random_graph(2 + seed % 7, seed, edge_probability=0.5)
        least, most = least_peak(graph), replay(graph, keep_everything(graph)).peak
        budget = max(1, least + (most - least) * (seed % 4) // 4)
        problem = Problem(graph, budget)
        optimum = Exhaustive()(problem).bounds[0].value
        where = f"{graph.name}, budget {budget}"
        proved = bound(graph, budget)
        require(proved <= optimum, f"{where}: bound {proved} over the optimum {optimum}")
        for name, planner in tried.items():
            try:
                schedule = ask(planner, problem, Limits(), Control()).schedule
            except NotApplicable:
                continue
            if schedule is not None:
                usage = replay(graph, schedule)
                require(usage.peak <= budget, f"{where}: {name} peaks at {usage.peak}")
                require(usage.cost >= optimum, f"{where}: {name} costs {usage.cost}, under the optimum {optimum}")
        instances += 1
    return instances
