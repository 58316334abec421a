"""Best-first branch and bound over the cut relaxation, with an exact bound at every leaf.

Every open node is a leaf with a bound that its own dual multipliers prove in integers, so that the least of them is a
proved bound at any time. Nothing depends on the solver's word: it only finds the multipliers.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import ceil, inf
from typing import Final

import numpy as np
from scipy import sparse

from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.planning.problem import ignore
from hcp.solvers.cut_relaxation.cuts import Cut, CutModel
from hcp.solvers.cut_relaxation.families import violated
from hcp.solvers.models.highs import LinearProgram, LpResult, LpStatus
from hcp.solvers.models.rows import FloatArray
from hcp.solvers.tree.box import UNLIMITED, Box, Branch, whole_box
from hcp.solvers.tree.branching import Chooser
from hcp.solvers.tree.evaluation import Evaluator, Multipliers
from hcp.solvers.tree.params import DEFAULT_TREE, TreeParams
from hcp.solvers.tree.sums import RunSum, run_sums

# The bound of a node without a point, and the cutoff where no schedule is known.
EMPTY: Final = 2**62
# What the solver's value may be wrong by, in units of cost.
_WHOLE: Final = 1e-6


@dataclass
class Node:
    """A node of the tree.

    Attributes:
        box: Its region; None once it is split.
        depth: Branches above it.
        bound: No schedule in it costs less, in the graph's unit; proved by ``proof``.
        proof: Multipliers.
        empty: Whether these show that there is no point at all.
        fixed: Multipliers whose slopes fixed columns before the node was split, if any.
        branch: Where it was split.
        parts: The two parts, the lower one first.
        basis: Where the solver goes on from.
    """

    box: Box | None
    depth: int
    bound: int = 0
    proof: Multipliers = field(default_factory=lambda: Multipliers(0))
    empty: bool = False
    fixed: Multipliers | None = None
    branch: Branch | None = None
    parts: tuple["Node", "Node"] | None = None
    basis: object = None


OnPoint = Callable[[FloatArray], None]


class Tree:
    """A tree over the strengthened relaxation of one chain.

    Attributes:
        form: The relaxation.
        cuts: Those that the tree added; they follow the form's.
        sums: What it may branch on beside columns.
        cutoff: Cost of the best schedule known; nodes that reach it are closed.
        deadline: Of the growth; a later one lets a tree grow on.
        root: The whole tree.
        nodes: How many there are.
        stuck: Whether the node with the least bound cannot be split: it holds a whole point, for which the chain is too
            coarse, or the solver did not say why it holds none.
    """

    def __init__(
        self, graph: Graph, form: CutModel, cutoff: int | None, deadline: Deadline, params: TreeParams = DEFAULT_TREE
    ) -> None:
        self.graph, self.form, self.deadline, self.params = graph, form, deadline, params
        self.unit = graph.cost_divisor
        self.cutoff = EMPTY
        self.lower(cutoff)
        self.sums = run_sums(form.grid)
        self.cuts: list[Cut] = []
        self.stuck = False
        self.evaluator = Evaluator(form.model, form.grid, self.sums)
        self._program = LinearProgram(form.model)
        self._program.keep_rows()
        self._program.add_between(_sum_rows(self.sums, form))
        self._constants = np.array([each.constant(form.grid) for each in self.sums], np.int64)
        self._known = set(form.cuts)
        self._chooser = Chooser(form.grid, self.sums, params, lambda: self.deadline.over)
        self._open: list[tuple[int, int, Node]] = []
        self._number = count()
        # Whether columns were fixed where that leads to the cutoff.
        self._cut_off = False
        self.root = Node(whole_box(form.model.shape[1], len(self.sums)), 0, graph.base_cost)
        self.nodes = 1

    @property
    def bound(self) -> int:
        """What the tree proves: the least bound of its leaves, or the cutoff."""
        return min(self.cutoff, self._open[0][0] if self._open else self.root.bound)

    @property
    def empty(self) -> bool:
        """Whether it shows that there is no schedule at all, whatever it costs."""
        return bool(self._open) and not self._cut_off and all(leaf.empty for _, _, leaf in self._open)

    @property
    def complete(self) -> bool:
        """Whether no schedule is cheaper than the cutoff."""
        return self.bound >= self.cutoff

    def lower(self, cutoff: int | None) -> None:
        """Takes the cost of a better schedule, if it is one; of other numbers the multiple of the unit below."""
        if cutoff is not None:
            self.cutoff = min(self.cutoff, cutoff - cutoff % self.unit)

    def grow(self, on_step: Callable[[], None] = ignore, on_point: OnPoint = ignore) -> None:
        """Splits nodes until none may hold a cheaper schedule, nothing more can be split, or the time is up.

        Args:
            on_step: Called for every node.
            on_point: Called with whole points that may be cheaper than ``cutoff``, which it may ``lower``.
        """
        if not self._open:
            self._push(self.root)
            self._prove(self.root, self._solved(self.root))
            self._open = [(self.root.bound, next(self._number), self.root)]
        while not (self.complete or self.stuck or self.deadline.over):
            on_step()
            node = heapq.heappop(self._open)[2]
            leaves = [node]
            try:
                leaves = self._split(node, on_point)
            finally:
                for leaf in leaves:
                    self._push(leaf)

    def _push(self, node: Node) -> None:
        heapq.heappush(self._open, (node.bound, next(self._number), node))

    def _split(self, node: Node, on_point: OnPoint) -> list[Node]:
        """The parts of a node; itself where it stays a leaf."""
        assert node.box is not None
        result = self._strengthened(node, self._solved(node))
        if node.bound >= self.cutoff or self.deadline.over:
            return [node]
        if result.status is not LpStatus.OPTIMAL:
            self.stuck = True
            return [node]
        fixed, box = self._fixed(node.box, result)
        basis = self._program.basis
        branch = self._chooser.choose(box, result, float(self.cutoff), lambda part: self._tried(part, basis))
        if self.deadline.left <= 0:
            return [node]
        if branch is None:
            on_point(result.point)
            self.stuck = node.bound < self.cutoff
            return [node]
        parts = [
            Node(box.half(branch, upper=upper), node.depth + 1, node.bound, node.proof, node.empty, basis=basis)
            for upper in (False, True)
        ]
        for part in parts:
            self._prove(part, self._solved(part))
        node.fixed, node.branch, node.parts = fixed, branch, (parts[0], parts[1])
        self._cut_off |= fixed is not None
        node.box = node.basis = None
        self.nodes += 2
        return parts

    def _solved(self, node: Node) -> LpResult:
        assert node.box is not None
        self._limit(node.box)
        if node.basis is not None:
            self._program.basis = node.basis
        return self._program.solve(self.deadline)

    def _tried(self, box: Box, basis: object) -> LpResult:
        self._limit(box)
        self._program.basis = basis
        return self._program.solve(self.deadline, self.params.iterations)

    def _limit(self, box: Box) -> None:
        least = np.where(box.least > 0, (box.least - self._constants).astype(float), -inf)
        most = np.where(box.most < UNLIMITED, (box.most - self._constants).astype(float), inf)
        self._program.limit(box.low.astype(float), box.high.astype(float), least, most)

    def _strengthened(self, node: Node, result: LpResult) -> LpResult:
        """Adds cuts that a node's solution violates, while they pay, and raises its bound."""
        params, last = self.params, result.value
        for _ in range(params.rounds if node.depth else params.root_rounds):
            if result.status is not LpStatus.OPTIMAL or result.value >= self.cutoff or self.deadline.over:
                break
            fresh = violated(self.form, result.point, params.least_violation, self._known)
            if not fresh:
                break
            matrix, rhs = self.form.cut_rows(fresh)
            # First what may be given up in the middle: rows, cuts and what is known of them stay in step.
            self.evaluator.add(matrix, rhs)
            self._program.add_rows(matrix, rhs)
            self.cuts += fresh
            self._known.update(fresh)
            result = self._program.solve(self.deadline)
            if result.value - last < params.least_gain * max(self.cutoff - last, 0.0):
                break
            last = result.value
        self._prove(node, result)
        return result

    def _parted(self, multipliers: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Multipliers of rows and of sums."""
        begin = self.form.model.shape[0]
        end = begin + len(self.sums)
        return np.concatenate([multipliers[:begin], multipliers[end:]]), multipliers[begin:end]

    def _prove(self, node: Node, result: LpResult) -> None:
        """Raises a node's bound to what the multipliers of its solution prove."""
        assert node.box is not None
        if result.status is LpStatus.INFEASIBLE:
            self._prove_empty(node, result)
        if result.status is not LpStatus.OPTIMAL:
            return
        for digits in self.params.digits:
            proof = self.evaluator.rounded(*self._parted(result.multipliers), digits)
            value = self.evaluator.value(proof, node.box)
            if value is None:
                continue
            bound = value.least_cost(self.unit)
            if bound > node.bound:
                node.bound, node.proof = bound, proof
            if bound >= min(self.cutoff, ceil(result.value / self.unit - _WHOLE) * self.unit):
                return

    def _prove_empty(self, node: Node, result: LpResult) -> None:
        assert node.box is not None
        if result.ray is None:
            return
        for digits in self.params.digits:
            for sign in (1.0, -1.0):
                proof = self.evaluator.rounded(*self._parted(sign * result.ray), digits)
                value = self.evaluator.value(proof, node.box, with_cost=False)
                if value is not None and value.numerator > 0:
                    node.bound, node.proof, node.empty = EMPTY, proof, True
                    return

    def _fixed(self, box: Box, result: LpResult) -> tuple[Multipliers | None, Box]:
        """A box without the columns' values that lead to the cutoff, and the multipliers that show it, if it pays."""
        proof = self.evaluator.rounded(*self._parted(result.multipliers), self.params.digits[0])
        fixed = None if self.cutoff == EMPTY else self.evaluator.fixed(proof, box, self.cutoff - self.unit)
        if fixed is None:
            return None, box
        open_columns = int((box.low < box.high).sum())
        settled = open_columns - int((fixed.low < fixed.high).sum())
        return (proof, fixed) if settled > self.params.fix_share * open_columns else (None, box)


def _sum_rows(sums: Sequence[RunSum], form: CutModel) -> sparse.csr_matrix:
    columns = [each.columns(form.grid) for each in sums]
    start = np.concatenate(([0], np.cumsum([len(each) for each in columns], dtype=np.int64)))
    items = np.concatenate([*columns, np.zeros(0, np.int64)])
    shape = (len(sums), form.model.shape[1])
    return sparse.csr_matrix((np.ones(len(items), np.int64), items, start), shape=shape)
