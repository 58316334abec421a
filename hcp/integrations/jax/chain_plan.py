"""The exact plan of a scan's chain: a dynamic programme over where to stop and hold.

Revolve's recursion (Griewank & Walther, Algorithm 799, 2000), with memory counted as replay counts it: a forward step
holds its input and its output at once, a backward step two cotangents. Let k carries fit while a backward step runs,
and k + d while a forward step does. Then the fewest forward steps to go back through n steps are

    P(n, k) = min over m of m + P(n - m, k - 1) + P(m, k),    P(1, k) = 0 for k >= 1,

where m = 1 takes k + d >= 2 (start and output), and m > 1 takes k + d >= 3 (start, input and output). For d >= 1 this
is the binomial number for k - 1 held carries; for smaller d the last steps of a segment make use of what the forward
steps need in flight.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hcp.graph.ir import Graph
from hcp.integrations.jax.chain import BOUNDARY
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.select import choose
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import replay

_NEVER: Final = 2**60


@dataclass(frozen=True)
class ScanChain:
    """Plans the graphs of ``chain_graph`` for the most carries that fit the budget."""

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Returns the schedule with the fewest steps; time grows as the length times the carries."""
        return choose(Tracker(problem, limits, control, "binomial"), self._candidates(problem))

    def _candidates(self, problem: Problem) -> Iterator[Schedule]:
        length = len(problem.graph.nodes) // 2
        forward, backward = _room(problem.graph, problem.budget, length)
        # The way out holds the last carry on top of those it leaves behind, which can take one off the room.
        for carries in range(min(backward, length), 0, -1):
            computes = chain_steps(length, carries, forward - backward)
            if computes is None:
                return
            schedule = Schedule.from_computes(problem.graph, computes)
            yield schedule
            if replay(problem.graph, schedule).peak <= problem.budget:
                return


def _room(graph: Graph, budget: int, length: int) -> tuple[int, int]:
    """How many carries fit while a forward and while a backward step runs."""
    carry = max(1, graph.inputs[0].bytes)
    cotangent = graph.values[f"cotangent_{length}"].bytes
    left = budget - carry
    forward = left - cotangent - graph.node["forward_0"].workspace
    backward = left - 2 * cotangent - graph.node["backward_0"].workspace
    return forward // carry, backward // carry


def chain_steps(length: int, carries: int, extra: int) -> tuple[str, ...] | None:
    """The nodes to run, in order; None where the room is too little.

    Args:
        length: Of the chain.
        carries: How many fit while a backward step runs.
        extra: How many more fit while a forward step runs; may be negative.
    """
    costs, splits = _programme(length, carries, extra)
    if costs[carries][length] >= _NEVER:
        return None
    names: list[str] = []
    stack = [(0, length, carries)]
    while stack:
        first, count, room = stack.pop()
        if count > 1:
            ahead = splits[room][count]
            names += [f"forward_{i}" for i in range(first, first + ahead)]
            stack += [(first, ahead, room), (first + ahead, count - ahead, room - 1)]
            continue
        if first == length - 1:
            # The way out ends here, and only here is the last carry made.
            names += [f"forward_{first}", BOUNDARY]
        names.append(f"backward_{first}")
    return tuple(names)


@lru_cache(maxsize=4)
def _programme(length: int, carries: int, extra: int) -> tuple[list[list[int]], list[list[int]]]:
    """P and its best m, by room and number of steps.

    P is convex in the number of steps, so the best m grows by at most one from a number of steps to the next.
    """
    costs = [[_NEVER] * (length + 1) for _ in range(carries + 1)]
    splits = [[0] * (length + 1) for _ in range(carries + 1)]
    for k in range(1, carries + 1):
        costs[k][1] = 0
        best = 1
        for n in range(2, length + 1):
            most = n - 1 if k + extra >= 3 else 1 if k + extra == 2 else 0
            options = [(m + costs[k - 1][n - m] + costs[k][m], m) for m in (best, best + 1) if m <= most]
            found, best = min(options, default=(_NEVER, best))
            costs[k][n], splits[k][n] = min(found, _NEVER), best
    return costs, splits
