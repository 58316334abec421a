"""The planner ``lp``: an order-free lower bound from the linear form of the cut relaxation; no schedule."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hcp.graph.ir import Graph
from hcp.schedule.solution import ORDER_FREE, Bound, Problem, Progress, Solution, Status, TracePoint
from hcp.schedule.stopwatch import Stopwatch
from hcp.solvers.certificate import certify_cost, certify_peak
from hcp.solvers.chains import MOST_STAGES, candidate_chains
from hcp.solvers.cuts import CutModel, build_cut_model, with_cuts
from hcp.solvers.highs import LinearProgram, LpResult, LpStatus
from hcp.solvers.paths import PathCut, separate

# Path cuts violated by less are not worth their row.
LEAST_VIOLATION: Final = 1e-3
# Rounds of cuts end when the last PATIENCE of them gained less than this share of the keep-everything cost.
PATIENCE: Final = 6
LEAST_GAIN: Final = 2e-5


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
    """Solves the linear relaxation for each candidate chain, and strengthens the best one, while time remains.

    A chain that shows the budget to be infeasible ends the list, with a bound on the peak.
    """
    found: list[tuple[Relaxation, LinearProgram, LpResult]] = []
    for chain in candidate_chains(graph, stages):
        if found and watch.left <= 0:
            break
        cut = build_cut_model(graph.index, budget, chain)
        program = LinearProgram(cut.model)
        result = program.solve(watch.left)
        if result.status is LpStatus.INFEASIBLE:
            proof = prove_infeasible(graph, budget, chain, watch)
            if proof is not None:
                return [Relaxation(cut, proof)]
        elif result.status is LpStatus.OPTIMAL:
            found.append((certified(graph, budget, cut, result), program, result))
    if found:
        best, program, result = max(found, key=lambda entry: entry[0].bound.value)
        found.append((strengthened(graph, budget, best, program, result, watch), program, result))
    return [relaxation for relaxation, _, _ in found]


def certified(graph: Graph, budget: int, cut: CutModel, result: LpResult) -> Relaxation:
    """A solved relaxation with the bound that its dual values prove."""
    value, certificate = certify_cost(graph, cut, budget, result.multipliers)
    return Relaxation(cut, Bound(value, "cost", ORDER_FREE, certificate, "cut relaxation"))


def strengthened(
    graph: Graph, budget: int, plain: Relaxation, program: LinearProgram, result: LpResult, watch: Stopwatch
) -> Relaxation:
    """Adds violated path cuts, round by round, until they stop paying or the time is up."""
    base_rows = plain.cut.model.shape[0]
    cuts: list[PathCut] = []
    values = [result.value]
    while watch.left > 0:
        runs, births, saves = plain.cut.at(result.point)
        fresh = separate(graph.index, runs, births, saves, LEAST_VIOLATION)
        known = set(cuts)
        fresh_cuts = [cut for _, cut in fresh if cut not in known]
        if not fresh_cuts:
            break
        program.add_rows(*plain.cut.cut_rows(graph.index, fresh_cuts))
        cuts += fresh_cuts
        again = program.solve(watch.left)
        if again.status is not LpStatus.OPTIMAL:
            break
        result = again
        values.append(result.value)
        idle = np.flatnonzero(result.multipliers[base_rows:] <= 0)
        if len(idle) > len(cuts) // 3:
            # Rows without a multiplier do not hold the bound up; they come back if they are violated again.
            program.drop_rows(base_rows + idle)
            keep = np.ones(len(cuts), np.bool_)
            keep[idle] = False
            cuts = [cut for cut, kept in zip(cuts, keep, strict=True) if kept]
            result = replace(
                result, multipliers=np.delete(result.multipliers, base_rows + idle)
            )
        if len(values) > PATIENCE and values[-1] - values[-1 - PATIENCE] < LEAST_GAIN * graph.base_cost:
            break
    used = result.multipliers[base_rows:] > 0
    holding = [cut for cut, kept in zip(cuts, used, strict=False) if kept]
    multipliers = np.append(result.multipliers[:base_rows], result.multipliers[base_rows:][used])
    cut = with_cuts(plain.cut, graph.index, holding) if holding else plain.cut
    return certified(graph, budget, cut, replace(result, multipliers=multipliers))


def strongest(found: list[Relaxation]) -> Relaxation | None:
    """The relaxation that says most: a proof of infeasibility, else the largest bound on the cost."""
    return max(found, key=lambda r: (r.bound.of == "peak", r.bound.value), default=None)


def prove_infeasible(graph: Graph, budget: int, chain: tuple[int, ...], watch: Stopwatch) -> Bound | None:
    """The largest peak bound that a chain's relaxation gives above a budget, with its certificate."""
    cut = build_cut_model(graph.index, budget, chain)
    relief = LinearProgram(cut.model, relieved=cut.memory_rows).solve(watch.left)
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
