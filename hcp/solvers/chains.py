"""Which nodes to cut the time at: chains for the cut relaxation."""

from collections.abc import Sequence

from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay

# Few, memory-critical stages make a stronger linear form than many; more than this only slow it down.
MOST_STAGES = 70


def candidate_chains(graph: Graph, most: int = MOST_STAGES) -> list[tuple[int, ...]]:
    """Chains worth trying, without repetition: each gives a valid bound, and none is best on every graph.

    All of a longest path where it has at most ``most`` nodes; else the path's local maxima of what a node alone
    holds, and of the keep-everything profile, at most ``most`` of them, the largest first.
    """
    index = graph.index
    path = longest_path(index)
    profile = replay(graph, keep_everything(graph)).profile
    held = [0] * index.n
    for position, node in enumerate(index.order.tolist()):
        held[node] = profile[position]
    floor = index.floor.tolist()
    chains = [peaks(path, [floor[v] for v in path], most), peaks(path, [held[v] for v in path], most)]
    chains.append(tuple(path) if len(path) <= most else spaced(path, most))
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
    """The local maxima along a path, at most ``most``, and always its end."""
    end = len(path) - 1
    tops = [
        i
        for i in range(len(path))
        if (i == 0 or height[i] >= height[i - 1]) and (i == end or height[i] > height[i + 1])
    ]
    chosen = sorted({*sorted(tops, key=lambda i: -height[i])[:most], end})
    return tuple(path[i] for i in chosen)


def spaced(path: Sequence[int], most: int) -> tuple[int, ...]:
    """``most`` nodes spread evenly over a path, its end among them."""
    return tuple(path[(i + 1) * len(path) // most - 1] for i in range(most))
