"""Recomputation over sequences of lower sets.

After Kusumoto, Inoue, Watanabe, Akiba, Koyama: A Graph Theoretic Framework of Recomputation Algorithms for
Memory-Efficient Backpropagation (NeurIPS 2019). The method in the form that is implemented here, in full:

- The forward pass is a DAG on nodes V with times T and memories M. A lower set L contains, with a node, all that it
  depends on; its boundary d(L) is the nodes of L with a reader in V - L.
- A sequence of lower sets L_1 < L_2 < ... < L_k = V gives a canonical strategy: when the segment V_i = L_i - L_(i-1)
  has been computed, only the boundaries of L_i and of the sets before it are cached: U_i = d(L_1) + ... + d(L_i). The
  backward pass goes through the segments from the last to the first, computes each one's dropped values again from
  U_(i-1), and then its gradients.
- Its overhead is the time of what has to be computed again, T(V - U_k).
- Its memory is the largest, over i, of M(U_(i-1)) + 2 M(V_i) + M(S - L_i) + M(D - L_i): the cache; values and gradients
  of the segment; S, the readers of L_i, for their gradients; and D, what those readers read, for their values.
- The exact programme minimises the overhead within a memory limit over all lower sets: for each lower set L and each
  overhead t, the least M(U) of a sequence that ends with L. The approximate programme uses the lower sets "v and its
  ancestors" alone, one a node, and the whole.

Here the rise of the order (see ``segments``) stands for the forward pass, a node's memory is its droppable outputs',
and the model's memory is only a guide: the programme is solved for several memory limits, and replay of the canonical
strategy decides. The segment that the rise ends with is not dropped, since the fall begins with it. A boundary is
retained by value: outputs of a boundary node without readers outside are dropped. Where a problem fixes the order,
the lower sets are the order's own prefixes.

Shortfalls: times are rounded to ``levels`` units of the total, exact up to that many; the exact form is used where
there are no more than ``most_sets`` lower sets, since their number can be exponential, and large families are thinned
out. The paper's text was not at hand: the definitions above are what is claimed, and what the tests check.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hcp.heuristics.lower_set_programme import Forward, LowerSetProgramme, ancestor_sets, every_lower_set
from hcp.heuristics.segments import Walk, checkpoint_segments
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import replay

# Memory limits closer than this share of the largest are not told apart.
_LIMITS: Final = 1000


@dataclass(frozen=True)
class LowerSets:
    """Canonical strategies of sequences of lower sets.

    Attributes:
        exact: All lower sets, or the approximate programme's; None takes all where there are at most ``most_sets``.
        most_sets: See ``exact``.
        levels: Units that the total time is divided into.
        family_size: The approximate programme's lower sets are thinned out evenly to this many.
    """

    exact: bool | None = None
    most_sets: int = 300
    levels: int = 300
    family_size: int = 200

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the cheapest schedule within the budget over the memory limits tried."""
        return choose(Tracker(problem, limits, control, "lower_sets"), self._candidates(problem))

    def _candidates(self, problem: Problem) -> Iterator[Schedule]:
        walk = Walk(problem.graph, problem.given_order)
        forward = forward_pass(walk)
        programme = LowerSetProgramme(forward, self._family(problem, forward), self.levels)
        low, high = programme.limits
        # More memory in the model means less overhead and a higher peak: the largest limit that fits, by bisection.
        resolution = high // _LIMITS
        while high - low >= resolution and low <= high:
            limit = (low + high) // 2
            sequence = programme.solve(limit)
            if sequence is None:
                low = limit + 1
                continue
            schedules = canonical_strategy(walk, sequence)
            yield from schedules
            if min(replay(problem.graph, schedule).peak for schedule in schedules) <= problem.budget:
                low = limit + 1
            else:
                high = min(limit, forward.peak(sequence)) - 1

    def _family(self, problem: Problem, forward: Forward) -> list[int]:
        if problem.order is not None:
            return thinned([(1 << i) - 1 for i in range(1, forward.n + 1)], self.family_size)
        if self.exact is not False:
            found = every_lower_set(forward, None if self.exact else self.most_sets)
            if found is not None:
                return found
        return thinned(ancestor_sets(forward), self.family_size)


def thinned(family: Sequence[int], size: int) -> list[int]:
    """Evenly as many members, or all."""
    return [family[i * len(family) // size] for i in range(size)] if len(family) > size else list(family)


def forward_pass(walk: Walk) -> Forward:
    """The rise as a DAG, its nodes in order, with their costs and the droppable bytes that they make."""
    index = walk.graph.index
    position = {v: i for i, v in enumerate(walk.nodes[: walk.rise])}
    return Forward(
        reads=tuple(tuple(position[u] for u in index.predecessors[v]) for v in position),
        time=tuple(int(index.cost[v]) for v in position),
        memory=tuple(sum(int(index.size[x]) for x in index.outputs[v] if x in walk.made_in_rise) for v in position),
    )


def canonical_strategy(walk: Walk, sequence: Sequence[int]) -> list[Schedule]:
    """The schedules of a sequence of lower sets, given as bits over the positions of the rise."""
    segment = {walk.order[i]: next(k for k, lower in enumerate(sequence) if lower >> i & 1) for i in range(walk.rise)}
    first = sorted(walk.order[: walk.rise], key=segment.__getitem__)
    turned = Walk(walk.graph, (*first, *walk.order[walk.rise :]), walk.rise)
    return checkpoint_segments(turned, [segment[name] for name in first])
