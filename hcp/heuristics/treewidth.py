"""Divide and conquer along a tree decomposition.

After Kumar, Purohit, Svitkina, Vee, Wang: Efficient Rematerialization for Deep Networks (NeurIPS 2019). The paper's
text was not at hand; the recursion is that of TWRemat, a public implementation of its treewidth schedule:

Take a tree decomposition of the graph without directions. A bag whose removal leaves parts of at most half the bags is
a balanced separator X; the parts are treated alike, which makes a tree of separators of logarithmic depth. To have the
nodes C computed and held:

1. for each node v of X that C needs, in topological order: compute what v reads in each part (recursively, excluding X,
   which is at hand), run v, drop what was computed for it;
2. compute the nodes of C in the parts (recursively);
3. drop the nodes of X that are not in C.

A part without a separator runs what is needed in order. So at most the separators on one path of the tree are held,
their sizes bounded by the width, times the depth; a node may run once for each separator node above it at each level.

The target C is every node without readers, and every node with a resident output: all nodes are run for them.
Decompositions come from networkx (minimum degree and minimum fill-in, which are heuristics: the width found may exceed
the treewidth). As a second form the recursion stops early where a part's nodes are few, and runs them in order, which
recomputes less and holds more; the planner tries several sizes and keeps the cheapest schedule that fits. Results of
nodes that run once stay, and a node that is at hand is not run again.

Shortfalls: sizes and costs are not looked at, only the shape; and first executions do not follow a given order, so that
a problem that fixes one is not taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from hcp.graph.cancellation import tick
from hcp.graph.ir import Graph
from hcp.heuristics.segments import geometric
from hcp.heuristics.separators import Separators, separator_tree
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, NotApplicable, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.schedule.rematerialize import lasting

# A schedule of more executions per node than this is of no use and takes long to replay.
MOST_RUNS_PER_NODE: Final = 60

RULES: Final[tuple[Literal["degree", "fill"], ...]] = ("degree", "fill")

# Minimum fill-in takes minutes on larger graphs.
MOST_FILL_IN: Final = 250
# And so does the decomposition, which cannot be cut short, on graphs beyond this.
MOST_NODES: Final = 10_000


@dataclass(frozen=True)
class Treewidth:
    """Schedules from balanced separators of a tree decomposition.

    Attributes:
        leaf: Parts of at most this many nodes are run in order; None searches for the cheapest that fits.
    """

    leaf: int | None = None

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the cheapest schedule within the budget over the leaf sizes tried.

        Raises:
            NotApplicable: If the problem fixes the order of first executions, or has more than ``MOST_NODES`` nodes.
        """
        if problem.order is not None:
            raise NotApplicable(
                "solver 'treewidth' chooses the order of first executions itself; solve without a fixed order, "
                "or use 'interval_tree'"
            )
        return choose(Tracker(problem, limits, control, "treewidth"), self._candidates(problem))

    def _candidates(self, problem: Problem) -> Iterator[Schedule]:
        graph = problem.graph
        n = graph.index.n
        if n > MOST_NODES:
            raise NotApplicable(
                f"solver 'treewidth' takes at most {MOST_NODES} nodes and graph {graph.name!r} has {n}; use 'auto'"
            )
        leaves = reversed(geometric(1, n, 1.7)) if self.leaf is None else [self.leaf]
        trees = [
            separator_tree(graph.index.predecessors, rule) for rule in RULES if rule == "degree" or n <= MOST_FILL_IN
        ]
        for leaf in leaves:
            for tree in trees:
                schedule = separator_schedule(graph, tree, leaf)
                if schedule is not None:
                    yield schedule


def separator_schedule(graph: Graph, tree: Separators, leaf: int) -> Schedule | None:
    """The schedule of a tree of separators; None where it would run the graph too often to be of use.

    Args:
        graph: The computation.
        tree: Separators of its nodes, by index.
        leaf: Parts of at most this many nodes are run in order.
    """
    index = graph.index
    recursion = _Recursion(graph, leaf)
    targets = {
        v
        for v, made in enumerate(index.outputs.tolists())
        if any(index.resident[x] for x in made) or not any(len(index.readers[x]) for x in made)
    }
    recursion.compute(tree, targets)
    if recursion.exhausted:
        return None
    return Schedule.from_nodes(graph, recursion.computes)


class _Recursion:
    """The state of a run: what has been computed, and which nodes are at hand."""

    def __init__(self, graph: Graph, leaf: int) -> None:
        index = graph.index
        self.leaf = leaf
        self.predecessors = [set(row) for row in index.predecessors]
        self.ancestors = index.ancestors
        rank = {v: i for i, v in enumerate(index.order.tolist())}
        self.rank = [rank[v] for v in range(index.n)]
        stays = lasting(index)
        # Nodes whose outputs never go; to run them again brings nothing.
        self.stay = {v for v in range(index.n) if all(x in stays for x in index.outputs[v].tolist())}
        self.at_hand: set[int] = set()
        self.computes: list[int] = []

    @property
    def exhausted(self) -> bool:
        """Whether the limit on executions is exceeded."""
        return len(self.computes) > MOST_RUNS_PER_NODE * len(self.rank)

    def compute(self, tree: Separators, targets: set[int]) -> None:
        """Has the targets at hand, which lie in the tree, and drops the tree's other nodes that it computed."""
        if not targets - self.at_hand or self.exhausted:
            return
        needed = 0
        for v in targets:
            needed |= self.ancestors[v] | 1 << v
        wanted = {u for u in tree.nodes if needed >> u & 1}
        before = set(self.at_hand)
        if len(tree.nodes) <= self.leaf or not tree.parts:
            for v in self.in_order(self.missing(wanted, targets)):
                self.run(v)
        else:
            for v in self.in_order(wanted & tree.separator):
                if v in self.at_hand:
                    continue
                entered = set(self.at_hand)
                for part in tree.parts:
                    self.compute(part, self.predecessors[v] & part.nodes)
                self.run(v)
                self.drop(entered | {v})
            for part in tree.parts:
                self.compute(part, targets & part.nodes)
        self.drop(before | targets)

    def missing(self, inside: set[int], targets: set[int]) -> set[int]:
        """What has to run for the targets, back to what is at hand."""
        tick()
        found: set[int] = set()
        stack = [v for v in targets if v not in self.at_hand]
        while stack:
            v = stack.pop()
            if v not in found:
                found.add(v)
                stack.extend(u for u in self.predecessors[v] & inside if u not in self.at_hand)
        return found

    def in_order(self, nodes: set[int]) -> list[int]:
        return sorted(nodes, key=self.rank.__getitem__)

    def run(self, node: int) -> None:
        self.computes.append(node)
        self.at_hand.add(node)

    def drop(self, kept: set[int]) -> None:
        self.at_hand &= kept | self.stay
