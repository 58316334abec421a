"""A planner of one's own: every other node of the forward pass is dropped, and computed again where it is read."""

from dataclasses import dataclass

import hcp
from hcp.graph.instances import training_chain
from hcp.heuristics.segments import Walk
from hcp.planning.select import choose
from hcp.planning.tracker import Tracker
from hcp.schedule.rematerialize import Retention, rematerialize


@dataclass(frozen=True)
class DropEvery:
    """Retains all forward values but those of every n-th node, for the n with the cheapest schedule that fits."""

    largest: int = 8

    def __call__(self, problem: hcp.Problem, limits: hcp.Limits, control: hcp.Control) -> hcp.Solution:
        """Plans a problem; ``choose`` replays the candidates and takes the cheapest within the budget."""
        tracker = Tracker(problem, limits, control, "drop_every")
        return choose(tracker, (self._schedule(problem, n) for n in range(1, self.largest + 1)))

    def _schedule(self, problem: hcp.Problem, n: int) -> hcp.Schedule:
        walk = Walk(problem.graph, problem.given_order)
        dropped = set(sorted(walk.made_in_rise)[::n])
        carried = [(walk.made_in_rise - dropped) | walk.made_in_fall] * (1 + len(walk.order) - walk.rise)
        epochs = [*[0] * walk.rise, *range(1, len(carried))]
        return rematerialize(walk.graph, walk.order, Retention(epochs, carried))


def main() -> None:
    """Prints what it does on a chain, beside the least that any schedule costs."""
    graph = training_chain(40)
    bound = hcp.solve(graph, budget="60%", solver="lp", time_limit=10).best_bound()
    assert bound is not None
    for solver in (DropEvery(), "sqrt_n", "rotor"):
        plan = hcp.solve(graph, budget="60%", solver=solver)
        print(f"{plan.planner:>10}: cost {plan.cost} (no schedule below {bound.value}), peak {plan.peak} bytes")


if __name__ == "__main__":
    main()
