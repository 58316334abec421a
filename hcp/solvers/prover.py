"""Proofs of how good a schedule is: trees over the cut relaxation, with more and more stages."""

from dataclasses import dataclass

from hcp.planning.deadline import Deadline
from hcp.planning.solution import Bound
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.cut_relaxation.relaxation import Relaxation
from hcp.solvers.lifting import Lifter
from hcp.solvers.models.rows import FloatArray
from hcp.solvers.tree.certify import certificate_of
from hcp.solvers.tree.params import TreeParams
from hcp.solvers.tree.search import Tree

SOURCE = "tree over the cut relaxation"


@dataclass
class Prover:
    """Grows trees for a search, which gets their bounds and the schedules that they meet.

    Attributes:
        tracker: Of the search.
        deadline: Of the proof.
        lifter: Lifts the points that trees meet.
        params: Of the trees.
    """

    tracker: Tracker
    deadline: Deadline
    lifter: Lifter
    params: TreeParams

    def prove(self, relaxation: Relaxation) -> Bound | None:
        """Proves what it can from a relaxation on; returns a bound on the peak where it turns out that nothing fits."""
        current: Relaxation | None = relaxation
        while current is not None and not self.deadline.over:
            if current.bound.of == "peak":
                return current.bound
            tree = Tree(self.tracker.problem.graph, current.form, self.tracker.cost, self.deadline, self.params)
            lifted = self._grow(tree)
            if tree.empty:
                budget = self.tracker.problem.budget
                return Bound(budget + 1, "peak", ORDER_FREE, certificate_of(tree, budget), SOURCE)
            current = None if lifted is None or tree.complete else self.lifter.finer(tree.form, lifted)
        return None

    def _grow(self, tree: Tree) -> Schedule | None:
        """Grows a tree until it ends; returns the schedule that it met last, if any."""
        tracker = self.tracker
        met: list[Schedule] = []

        def step() -> None:
            tracker.raise_bound(tree.bound)
            tracker.report(f"tree of {tree.nodes} nodes, {len(tree.form.chain)} stages")

        def on_point(point: FloatArray) -> None:
            met.append(self.lifter.lifted(tree.form, point))
            if tracker.cost is not None:
                tree.cutoff = min(tree.cutoff, tracker.cost)

        try:
            tree.grow(step, on_point)
        finally:
            # Whatever ended it, what the leaves prove is proved.
            if not tree.empty:
                certificate = certificate_of(tree, tracker.problem.budget)
                tracker.add_bound(Bound(tree.bound, "cost", ORDER_FREE, certificate, SOURCE))
        return met[-1] if met else None
