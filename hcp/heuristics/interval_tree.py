"""Height-compressed replay: a balanced interval tree over blocks of the order.

What it does is in ``interval_plan``. On a uniform chain of n nodes memory is O(log n) values and a block, and every
node runs O(log n) times. On general graphs the frontiers may be wide; what is not in a held frontier is recomputed on
demand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hcp.analysis.hcp_criteria import rise_profile
from hcp.heuristics.interval_plan import Policy, build_replay_plan, plan_blocks
from hcp.heuristics.segments import Walk, geometric
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import replay

# The programme's figures are upper bounds, so choices for somewhat more than the budget are tried as well.
_BUDGET_FACTORS: Final = (1.0, 1.2, 1.5)


@dataclass(frozen=True)
class IntervalTree:
    """Balanced interval tree over blocks.

    Attributes:
        blocks: How many; None searches for the cheapest that fits.
        policy: Which checkpoints are held: all of a path (``balanced``), or, in addition, those that a
            dynamic programme chooses for the budget (``dp``), which is never worse.
    """

    blocks: int | None = None
    policy: Policy = "dp"

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the cheapest schedule within the budget over the numbers of blocks and the policies tried."""
        return choose(Tracker(problem, limits, control, "interval_tree"), self._candidates(problem))

    def _candidates(self, problem: Problem) -> Iterator[Schedule]:
        walk = Walk(problem.graph, problem.given_order)
        rise = rise_profile(problem.graph, walk.order)
        counts = geometric(1, walk.rise, 1.25) if self.blocks is None else [max(1, min(self.blocks, walk.rise))]
        for count in counts:
            schedule = build_replay_plan(plan_blocks(walk, rise, count))
            yield schedule
            # Where all of a path's checkpoints fit, holding fewer of them only costs more.
            if self.policy == "dp" and replay(problem.graph, schedule).peak > problem.budget:
                budgets = [int(problem.budget * factor) for factor in _BUDGET_FACTORS]
                plans = [plan_blocks(walk, rise, count, budget=budget, policy="dp") for budget in budgets]
                yield from (build_replay_plan(plan) for plan in {plan.held: plan for plan in plans}.values())
