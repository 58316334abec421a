"""Certified bound <= optimum <= every planner, on thousands of random graphs with every feature."""

from collections.abc import Callable, Mapping

from hcp.graph.instances import random_graph
from hcp.graph.ir import LARGEST_TOTAL, Graph
from hcp.planners import PLANNERS, planner_named, solve
from hcp.planning.deadline import Deadline
from hcp.planning.planner import AnyPlanner, ask
from hcp.planning.problem import Control, Limits, NotApplicable, Problem
from hcp.schedule.actions import keep_everything
from hcp.schedule.host import PER, HostLink
from hcp.schedule.replay import replay
from hcp.solvers.conflicts.bound import conflict_bound
from hcp.solvers.cut_relaxation.relaxation import Relaxer
from hcp.solvers.exhaustive import Exhaustive, least_peak
from hcp.solvers.host_bounds import host_bounds
from theory_checks.claims import require

CLAIM = (
    "certified bounds (cuts, conflicts, with a host) <= exhaustive optimum <= cost of every heuristic within the budget"
)
SOURCE = "formulations.md, the cut relaxation; theory.md, sandwich"

LINK = HostLink(2 * PER, PER, 1)

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


def conflict_certificate(graph: Graph, budget: int) -> int:
    """The bound that conflicts prove, evaluated in integers; 0 without one."""
    found = conflict_bound(graph, budget, Deadline(20))
    return 0 if found is None or found.certificate is None else found.certificate.proven(graph, budget)


def host_certificate(graph: Graph, budget: int) -> int:
    """The best bound that is proved where values may be moved to a host, which every other schedule meets as well."""
    proofs = [bound.certificate for bound in host_bounds(graph, budget, LINK, Deadline(20))]
    return max((proof.proven(graph, budget) for proof in proofs if proof is not None), default=0)


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
    conflicts: Callable[[Graph, int], int] = conflict_certificate,
    moved: Callable[[Graph, int], int] = host_certificate,
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
        for source, proved in (("cuts", bound(graph, budget)), ("conflicts", conflicts(graph, budget))):
            require(proved <= optimum, f"{where}: bound {proved} by {source} over the optimum {optimum}")
        if seed % 5 == 0:
            _check_host(graph, budget, min(optimum, _with_host(graph, budget)), moved)
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


def _with_host(graph: Graph, budget: int) -> int:
    """What a plan that may move values costs."""
    cost = solve(graph, budget, "eviction", host=LINK, time_limit=20).cost
    return LARGEST_TOTAL if cost is None else cost


def _check_host(graph: Graph, budget: int, least: int, moved: Callable[[Graph, int], int]) -> None:
    proved = moved(graph, budget)
    where = f"{graph.name}, budget {budget}, with a host"
    require(proved <= least, f"{where}: bound {proved} over a cost of {least}")
