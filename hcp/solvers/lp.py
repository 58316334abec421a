"""The planner ``lp``: an order-free lower bound from the linear form of the cut relaxation; no schedule."""

from dataclasses import dataclass

from hcp.graph.ir import Graph
from hcp.schedule.solution import ORDER_FREE, Bound, Problem, Progress, Solution, Status, TracePoint
from hcp.schedule.stopwatch import Stopwatch
from hcp.solvers.certificate import certify_cost, certify_peak
from hcp.solvers.chains import MOST_STAGES, candidate_chains
from hcp.solvers.cuts import CutModel, build_cut_model
from hcp.solvers.highs import LpStatus, solve_elastic, solve_lp


@dataclass(frozen=True)
class Relaxation:
    """A solved linear relaxation: the model, and the bound that its dual values prove."""

    cut: CutModel
    bound: Bound


@dataclass(frozen=True)
class Lp:
    """Bounds the cost by the cut relaxation's linear form, for several chains, and keeps the best.

    Attributes:
        stages: Most nodes in a chain.
    """

    stages: int = MOST_STAGES

    def __call__(self, problem: Problem, /) -> Solution:
        """Solves the relaxations; INFEASIBLE where one of them proves that no schedule meets the budget."""
        watch = Stopwatch(problem.time_limit)
        found = strongest(relaxations(problem.graph, problem.budget, watch, self.stages))
        if found is None:
            return Solution(None, Status.NO_SOLUTION, planner="lp", seconds=watch.seconds)
        bound = found.bound
        if bound.of == "peak":
            return Solution(
                None, Status.INFEASIBLE, (bound,), "lp", watch.seconds, note=infeasibility_note(bound)
            )
        trace = (TracePoint(watch.seconds, None, bound.value),)
        problem.monitor(Progress("lp", watch.seconds, None, bound.value, "relaxation solved"))
        return Solution(None, Status.NO_SOLUTION, (bound,), "lp", watch.seconds, trace, "lp only bounds the cost")


def relaxations(graph: Graph, budget: int, watch: Stopwatch, stages: int = MOST_STAGES) -> list[Relaxation]:
    """Solves the linear relaxation for each candidate chain while time remains.

    A chain that shows the budget to be infeasible ends the list, with a bound on the peak.
    """
    found = []
    for chain in candidate_chains(graph, stages):
        if found and watch.left <= 0:
            break
        cut = build_cut_model(graph.index, budget, chain)
        result = solve_lp(cut.model, watch.left)
        if result.status is LpStatus.INFEASIBLE:
            proof = prove_infeasible(graph, budget, chain, watch)
            if proof is not None:
                return [*found, Relaxation(cut, proof)]
        elif result.status is LpStatus.OPTIMAL:
            value, certificate = certify_cost(graph, cut, budget, result.multipliers)
            found.append(Relaxation(cut, Bound(value, "cost", ORDER_FREE, certificate, "cut relaxation")))
    return found


def strongest(found: list[Relaxation]) -> Relaxation | None:
    """The relaxation that says most: a proof of infeasibility, else the largest bound on the cost."""
    return max(found, key=lambda r: (r.bound.of == "peak", r.bound.value), default=None)


def prove_infeasible(graph: Graph, budget: int, chain: tuple[int, ...], watch: Stopwatch) -> Bound | None:
    """The largest peak bound that a chain's relaxation gives above a budget, with its certificate."""
    cut = build_cut_model(graph.index, budget, chain)
    relief = solve_elastic(cut.model, cut.memory_rows, watch.left)
    # The dual values of the elastic form prove every budget short of the relief infeasible, up to rounding.
    for short in (1e-6, 1e-3, 1.0):
        raised = budget + int(max(0.0, relief.value) * (1 - short))
        tight = build_cut_model(graph.index, raised, chain)
        certificate = certify_peak(graph, tight, raised, relief.multipliers)
        if certificate is not None:
            return Bound(raised + 1, "peak", ORDER_FREE, certificate, "cut relaxation")
    return None


def infeasibility_note(bound: Bound) -> str:
    """What a bound on the peak says, for people."""
    return f"every schedule, in whatever order, holds at least {bound.value} bytes at some time ({bound.source})"
