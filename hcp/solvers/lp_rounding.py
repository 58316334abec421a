"""The planner ``lp_rounding``: Checkmate's two-phase rounding.

Jain et al., MLSys 2020, section 5: solve the linear relaxation of Checkmate's program for a budget less an allowance
(10 % in the paper), keep what it keeps to more than one half, and only then choose what runs: the least that makes all
kept values and all inputs available. Rounding may break the budget; then there is no schedule, and the note says so.

It is the paper's deterministic rounding, which it found better than random draws, applied to values instead of nodes.
Values of nodes that must run once are kept as long as they are read. What is kept without being read is freed.
"""

from dataclasses import dataclass, replace

import numpy as np

from hcp.graph.errors import HcpError
from hcp.graph.index import BoolArray
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.checkmate import checkmate_program
from hcp.solvers.fixed_order.stages import StageGrid
from hcp.solvers.models.highs import LinearProgram, LpStatus


@dataclass(frozen=True)
class LpRounding:
    """Rounds the linear relaxation of Checkmate's program for the problem's order, or else the graph's own.

    Attributes:
        allowance: The share of the budget that is left to rounding.
        threshold: A value is retained where the linear relaxation retains more than this share of it.
    """

    allowance: float = 0.1
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.allowance < 1 and 0 <= self.threshold < 1):
            raise HcpError(
                f"allowance is {self.allowance} and threshold {self.threshold}; give numbers from 0 to below 1"
            )

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Plans; no bound.

        Raises:
            NotApplicable: If the program would be too large.
        """
        return Tracker(problem, limits, control, "lp_rounding").run(self._solve)

    def _solve(self, tracker: Tracker) -> Solution:
        problem = tracker.problem
        tracker.offer(keep_everything(problem.graph, problem.given_order))
        if tracker.done:
            return tracker.solution()
        budget = int(problem.budget * (1 - self.allowance))
        if budget < 1:
            return tracker.solution(f"the allowance of {self.allowance:g} leaves no budget; give a smaller one")
        tracker.report("linear relaxation of Checkmate's program")
        program = checkmate_program(replace(problem, budget=budget), tightened=False)
        result = LinearProgram(program.model).solve(tracker.deadline)
        if result.status is LpStatus.INFEASIBLE:
            return tracker.solution(f"the linear relaxation needs more than {budget} bytes (budget less allowance)")
        if result.status is LpStatus.STOPPED:
            return tracker.solution("the linear relaxation did not finish in time")
        tracker.report("rounding")
        _, saves = program.grid.at(result.point)
        schedule = _completed(problem, program.grid, saves > self.threshold)
        tracker.offer(schedule)
        peak = replay(problem.graph, schedule).peak
        over = peak - problem.budget
        return tracker.solution(f"rounding breaks the budget by {over} bytes: it takes {peak}" if over > 0 else "")


def _completed(problem: Problem, grid: StageGrid, kept: BoolArray) -> Schedule:
    """The schedule that runs the least, stage by stage, so that kept values are there and readers find their inputs.

    Args:
        problem: Gives the graph.
        grid: The stages.
        kept: Whether value x enters stage t, (values, stages + 1).
    """
    index = grid.index
    droppable = index.droppable
    maker = np.maximum(index.producer, 0)
    kept = kept | ~index.recomputable[maker][:, None]
    stage = np.arange(kept.shape[1])
    kept &= droppable[:, None] & (stage > grid.born[:, None]) & (stage < len(grid.order))
    names: list[str] = []
    for t in range(len(grid.order)):
        runs = {grid.order[t]}
        runs.update(int(maker[x]) for x in np.flatnonzero(kept[:, t + 1] & ~kept[:, t]))
        # Against the order, so that what is added for a reader finds its own inputs in turn.
        for place in range(t, -1, -1):
            node = grid.order[place]
            if node in runs:
                runs.update(int(maker[x]) for x in index.inputs[node] if droppable[x] and not kept[x, t])
        names += [index.node_names[v] for v in grid.order[: t + 1] if v in runs]
    return Schedule.from_computes(problem.graph, names)
