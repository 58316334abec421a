"""Proofs of how good a schedule is: trees over the cut relaxation, with more and more stages."""

from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.planning.solution import Bound
from hcp.schedule.actions import Schedule
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.cut_relaxation.relaxation import Relaxation
from hcp.solvers.lifting import Lifter
from hcp.solvers.models.rows import FloatArray
from hcp.solvers.tree.certify import certificate_of
from hcp.solvers.tree.params import TreeParams
from hcp.solvers.tree.search import Tree

SOURCE = "tree over the cut relaxation"


class Prover:
    """Grows trees for a search, which gets their bounds and the schedules that they meet; it may take turns.

    Attributes:
        relaxation: What the trees grow from; that with the most stages so far.
        cost_limit: Where given, schedules that cost more are of no interest: that there are no others is proved.
    """

    def __init__(self, relaxation: Relaxation, params: TreeParams, cost_limit: int | None = None) -> None:
        self.relaxation = relaxation
        self.cost_limit = cost_limit
        self._params = params
        self._tree: Tree | None = None
        self._met: Schedule | None = None

    @property
    def waits(self) -> bool:
        """Whether a further turn goes on with the same tree."""
        return self._tree is not None and not (self._tree.complete or self._tree.stuck)

    def prove(self, lifter: Lifter, deadline: Deadline) -> Bound | None:
        """Proves what it can before a deadline; returns a bound on the peak where it turns out that nothing fits."""
        while not deadline.over:
            if self.relaxation.bound.of == "peak":
                return self.relaxation.bound
            tree, budget = self._grown(lifter, deadline), lifter.tracker.problem.budget
            if tree.empty:
                return Bound(budget + 1, "peak", ORDER_FREE, certificate_of(tree, budget), SOURCE)
            if self._met is None or not tree.stuck or tree.complete:
                return None
            finer = lifter.finer(tree.form, self._met)
            if finer is None:
                return None
            self.relaxation, self._tree, self._met = finer, None, None
        return None

    def _grown(self, lifter: Lifter, deadline: Deadline) -> Tree:
        """Grows the tree until it ends, and keeps the schedule that it met last."""
        tracker = lifter.tracker
        graph, budget = tracker.problem.graph, tracker.problem.budget
        tree = self._tree or Tree(graph, self.relaxation.form, self._beyond(graph), deadline, self._params)
        self._tree, tree.deadline = tree, deadline
        tree.lower(tracker.cost)

        def step() -> None:
            tracker.raise_bound(tree.bound)
            tracker.report(f"tree of {tree.nodes} nodes, {len(tree.form.chain)} stages")

        def on_point(point: FloatArray) -> None:
            self._met = lifter.lifted(tree.form, point)
            tree.lower(tracker.cost)

        try:
            tree.grow(step, on_point)
        finally:
            # Whatever ended it, what the leaves prove is proved.
            if not tree.empty:
                tracker.add_bound(Bound(tree.bound, "cost", ORDER_FREE, certificate_of(tree, budget), SOURCE))
        return tree

    def _beyond(self, graph: Graph) -> int | None:
        """The least cost above the limit, if there is one."""
        unit = graph.cost_divisor
        return None if self.cost_limit is None else (self.cost_limit // unit + 1) * unit
