"""Which nodes to divide the time at: chains for the cut relaxation."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from hcp.graph.index import GraphIndex, IntArray
from hcp.graph.ir import Graph
from hcp.planning.problem import Problem
from hcp.schedule.actions import Schedule
from hcp.schedule.replay import keep_everything_usage, replay

SIZES: Final = (1, 2, 4, 8, 16, 32, 70)


def candidate_chains(graph: Graph, sizes: Sequence[int] = SIZES) -> list[tuple[int, ...]]:
    """Chains worth trying, small ones first and without repetition: each gives a valid bound.

    For each size: the local maxima along a longest path of the keep-everything profile, and of what a node alone holds,
    at most that many of them. At last all of the path, or nodes spread evenly over it where it is longer than the
    largest size. The highest place of the profile alone proves most of what there is to prove on graphs of many equal
    layers, and takes seconds on 10,000 nodes.
    """
    index = graph.index
    path = longest_path(index)
    held = dict(zip(index.order.tolist(), keep_everything_usage(graph).profile, strict=True))
    floor = index.floor.tolist()
    chains = []
    for size in sizes:
        chains += [peaks(path, [held[v] for v in path], size), peaks(path, [floor[v] for v in path], size)]
    chains.append(tuple(path) if len(path) <= sizes[-1] else spaced(path, sizes[-1]))
    return list(dict.fromkeys(chains))


def longest_path(index: GraphIndex) -> list[int]:
    """A path with the most nodes, from a source to a sink."""
    length = [1] * index.n
    before = [-1] * index.n
    for node in index.order.tolist():
        for maker in index.predecessors[node]:
            if length[maker] >= length[node]:
                length[node], before[node] = length[maker] + 1, maker
    node = max(range(index.n), key=length.__getitem__)
    path = []
    while node >= 0:
        path.append(node)
        node = before[node]
    return path[::-1]


def peaks(path: Sequence[int], height: Sequence[int], most: int) -> tuple[int, ...]:
    """The local maxima along a path and its end; of more than ``most``, the highest of each of as many parts of it.

    Taking the highest overall would leave out whole regions of graphs with many equal layers.
    """
    end = len(path) - 1
    tops = [
        i
        for i in range(len(path))
        if (i == 0 or height[i] >= height[i - 1]) and (i == end or height[i] > height[i + 1])
    ]
    groups = [tops[g * len(tops) // most : (g + 1) * len(tops) // most] for g in range(most)]
    chosen = {max(group, key=height.__getitem__) for group in groups if group}
    return tuple(path[i] for i in sorted({*chosen, end}))


def spaced(path: Sequence[int], most: int) -> tuple[int, ...]:
    """``most`` nodes spread evenly over a path, its end among them."""
    return tuple(path[(i + 1) * len(path) // most - 1] for i in range(most))


def finer_chain(problem: Problem, chain: Sequence[int], lifted: Schedule, most: int) -> tuple[int, ...] | None:
    """A longer chain, with stages where a lifted schedule breaks the budget; None where there is no node for one.

    Args:
        problem: What is planned.
        chain: That of the relaxation.
        lifted: What a point of it stands for.
        most: Stages to add.
    """
    index = problem.graph.index
    spare = set(longest_path(index)) - set(chain)
    excess = _excess_at_first(problem, lifted)
    # Where the budget breaks at no such node, or first executions are fine, the new stages are spread.
    wanted = sorted((v for v in spare if excess[v] > 0), key=lambda v: -excess[v]) or sorted(spare)
    if not wanted or not most:
        return None
    depth = {v: bin(index.ancestors[v]).count("1") for v in (*chain, *wanted[:most])}
    return tuple(sorted((*chain, *wanted[:most]), key=depth.__getitem__))


def _excess_at_first(problem: Problem, schedule: Schedule) -> IntArray:
    """Per node: bytes over the budget, at worst, since the node before it on the schedule first executed."""
    index = problem.graph.index
    excess = np.zeros(index.n, np.int64)
    seen: set[int] = set()
    worst = 0
    for name, held in zip(schedule.computes, replay(problem.graph, schedule).profile, strict=True):
        worst = max(worst, held - problem.budget)
        node = index.node_of[name]
        if node not in seen:
            seen.add(node)
            excess[node] = worst
            worst = 0
    return excess
