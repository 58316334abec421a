"""Solved linear relaxations: for several chains, strengthened by cuts, with certified bounds."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hcp.graph.cancellation import Cancelled
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.planning.parameters import Params, Positive, Share, Whole
from hcp.planning.problem import ignore
from hcp.planning.solution import Bound
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.certificates.cuts import certify_cost, certify_peak
from hcp.solvers.cut_relaxation.chains import SIZES, candidate_chains
from hcp.solvers.cut_relaxation.cuts import MEMORY, Cut, CutModel
from hcp.solvers.cut_relaxation.families import NAMES, violated
from hcp.solvers.cut_relaxation.model import build_cut_model
from hcp.solvers.models.highs import LinearProgram, LpResult, LpStatus

SOURCE: Final = "cut relaxation"
# Shorter chains count as of this length where time is foretold: theirs is mostly what a program takes in any case.
LEAST_EFFORT: Final = 5
# Chains that the very first bounds come from.
FIRST: Final = 4

Chain = tuple[int, ...]


@dataclass(frozen=True)
class RelaxationParams(Params):
    """Parameters of the cut relaxation.

    Attributes:
        stages: Numbers of stages to try, ascending. Few, memory-critical stages often give a stronger bound than many,
            and always a quicker one; which number is best differs between graphs.
        families: Names of the families of valid inequalities that are separated.
        least_violation: Cuts that are violated by less are not added; the row is scaled to a largest coefficient of 1.
        patience: Separation ends when this many rounds together raised the bound by too little.
        short_patience: The same for chains of at most ``short`` nodes, whose rounds are quick and pay late on graphs of
            thousands of nodes.
        short: See there.
        least_gain: How much these rounds have to raise the bound, as a share of the keep-everything cost.
    """

    stages: tuple[Whole, ...] = SIZES
    families: tuple[str, ...] = NAMES
    least_violation: Positive = 1e-3
    patience: Whole = 6
    short_patience: Whole = 12
    short: Whole = 3
    least_gain: Share = 2e-5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.stages or list(self.stages) != sorted(set(self.stages)):
            raise HcpError(f"stages is {list(self.stages)}; expected whole numbers that ascend, one at least")
        for name in self.families:
            if name not in NAMES:
                raise HcpError(f"families has {name!r}; expected some of {', '.join(NAMES)}")


DEFAULT_RELAXATION: Final = RelaxationParams()


@dataclass(frozen=True)
class Relaxation:
    """A solved linear relaxation: the model, and the bound that its dual values prove."""

    form: CutModel
    bound: Bound


@dataclass(frozen=True)
class Relaxer:
    """Solves cut relaxations of one graph under one budget before a deadline.

    Attributes:
        graph: The computation.
        budget: Bytes.
        deadline: Of all of them.
        params: Tuned choices.
        on_bound: Called with what is proved before cuts are looked for, which may take long.
    """

    graph: Graph
    budget: int
    deadline: Deadline
    params: RelaxationParams = DEFAULT_RELAXATION
    on_bound: Callable[[Bound], None] = ignore

    def best(self) -> Relaxation | None:
        """The strongest relaxation found in time, or None.

        Solves and strengthens the relaxation for one candidate chain after the other; of about equal ones the smallest
        is best. A chain that shows the budget to be infeasible ends the search, with a bound on the peak.
        """
        best: Relaxation | None = None
        for found in self._in_time():
            if found.bound.of == "peak":
                return found
            if best is None or found.bound.value > best.bound.value + self.least_gain:
                best = found
        return best

    def first(self) -> None:
        """Proves something in little time: tells ``on_bound`` what the chains with the fewest stages prove.

        Multipliers of any quality prove a bound, and without presolve a dual simplex that is stopped has some: where
        the time is too short for an optimum, that is what there is.
        """
        with suppress(Cancelled), self.deadline.enforced():
            for chain in candidate_chains(self.graph, self.params.stages)[:FIRST]:
                if self.deadline.over:
                    return
                form = build_cut_model(self.graph.index, self.budget, chain)
                program = LinearProgram(form.model)
                program.keep_rows()
                result = program.solve(self.deadline)
                if result.status is not LpStatus.INFEASIBLE:
                    self.on_bound(self.certified(form, result).bound)

    def _in_time(self) -> Iterator[Relaxation]:
        """The relaxations for the candidate chains, but for those that take too long, as the ones before suggest.

        What takes time is the first program; what follows may end at any time.
        """
        pace = 0.0
        then: float | None = None

        def note(bound: Bound) -> None:
            nonlocal then
            self.on_bound(bound)
            then = self.deadline.left

        relaxer = replace(self, on_bound=note)
        for chain in candidate_chains(self.graph, self.params.stages):
            left, then = self.deadline.left, None
            # Time grows with the square of a chain's length at least.
            effort = max(len(chain), LEAST_EFFORT) ** 2
            if pace * effort >= left:
                continue
            found = relaxer.solve_chain(chain)
            pace = max(pace, (left - (self.deadline.left if then is None else then)) / effort)
            if found is not None:
                yield found

    @property
    def least_gain(self) -> float:
        """What is worth the effort, in the graph's unit of cost."""
        return self.params.least_gain * self.graph.base_cost

    def solve_chain(self, chain: Chain) -> Relaxation | None:
        """The relaxation for one chain, strengthened; None where there was no time, or no proof of infeasibility."""
        try:
            with self.deadline.enforced():
                return self._solve_chain(chain)
        except Cancelled:
            return None

    def _solve_chain(self, chain: Chain) -> Relaxation | None:
        form = build_cut_model(self.graph.index, self.budget, chain)
        program = LinearProgram(form.model)
        result = program.solve(self.deadline)
        if result.status is LpStatus.OPTIMAL:
            plain = self.certified(form, result)
            self.on_bound(plain.bound)
            return self.strengthened(plain, program, result)
        proof = self.infeasibility(chain) if result.status is LpStatus.INFEASIBLE else None
        return None if proof is None else Relaxation(form, proof)

    def certified(self, form: CutModel, result: LpResult) -> Relaxation:
        """A solved relaxation with the bound that its dual values prove."""
        value, certificate = certify_cost(self.graph, form, self.budget, result.multipliers)
        return Relaxation(form, Bound(value, "cost", ORDER_FREE, certificate, SOURCE))

    def strengthened(self, plain: Relaxation, program: LinearProgram, result: LpResult) -> Relaxation:
        """Adds violated cuts, round by round, until they stop paying or the time is up."""
        base, params = plain.form.model.shape[0], self.params
        patience = params.short_patience if len(plain.form.chain) <= params.short else params.patience
        cuts: list[Cut] = []
        values = [result.value]
        while not self.deadline.over:
            fresh = violated(plain.form, result.point, self.params.least_violation, set(cuts), self.params.families)
            if not fresh:
                break
            program.add_rows(*plain.form.cut_rows(fresh))
            solved = program.solve(self.deadline)
            if solved.status is not LpStatus.OPTIMAL:
                break
            result = solved
            cuts += fresh
            values.append(result.value)
            # Rows without a multiplier do not hold the bound up; they come back if they are violated again.
            idle = np.flatnonzero(result.multipliers[base:] <= 0)
            if len(idle) > len(cuts) // 3:
                program.drop_rows(base + idle)
                cuts = np.delete(np.array(cuts, object), idle).tolist()
                result = replace(result, multipliers=np.delete(result.multipliers, base + idle))
            if len(values) > patience and values[-1] - values[-1 - patience] < self.least_gain:
                break
        return self.certified(plain.form.with_cuts(cuts), result)

    def infeasibility(self, chain: Chain) -> Bound | None:
        """The largest bound on the peak that a chain's relaxation gives above the budget, with its certificate."""
        form = build_cut_model(self.graph.index, self.budget, chain)
        relief = LinearProgram(form.model, relieved=form.model.blocks[MEMORY]).solve(self.deadline)
        # The dual values of the relieved form prove every budget short of the relief infeasible, up to rounding.
        for short in (1e-6, 1e-3, 1.0):
            raised = self.budget + int(max(0.0, relief.value) * (1 - short))
            tight = build_cut_model(self.graph.index, raised, chain)
            certificate = certify_peak(self.graph, tight, raised, relief.multipliers)
            if certificate is not None:
                return Bound(raised + 1, "peak", ORDER_FREE, certificate, SOURCE)
        return None


def infeasibility_note(bound: Bound) -> str:
    """What a bound on the peak says, for people."""
    return f"every schedule, in whatever order, holds at least {bound.value} bytes at some time ({bound.source})"
