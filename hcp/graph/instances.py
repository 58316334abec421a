"""Seeded generators of graphs: the shapes that the field plans, in plain form (one value a node) unless said otherwise.

Training graphs are built as forward nodes and their mirror: the backward of a node reads the gradient of its output
and what the forward saved for it. Every generator gives the same graph for the same arguments.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from hcp.graph.cancellation import ticking
from hcp.graph.errors import GraphError
from hcp.graph.ir import Graph, Node, Value
from hcp.graph.random_graphs import random_graph, random_layered
from hcp.graph.transformer import transformer

__all__ = [
    "INSTANCES",
    "binary_tree",
    "chain",
    "instance",
    "pyramid",
    "random_graph",
    "random_layered",
    "residual_net",
    "training_chain",
    "transformer",
    "unet",
]


def chain(n: int, uniform: bool = True, seed: int = 0) -> Graph:
    """A chain of ``n`` nodes, each reading the one before; sizes and costs 1, or 1 to 100 where not uniform."""
    _check_size("chain", n, 1)
    draw = _draw(uniform, seed)
    return _plain(f"chain-{n}", [([i - 1] if i else [], draw(), draw()) for i in range(n)])


def training_chain(n: int, uniform: bool = True, seed: int = 0) -> Graph:
    """A chain of ``n`` forward nodes and their ``n`` backward nodes.

    The backward of node i reads its output's gradient, its input and its output.
    """
    _check_size("training-chain", n, 1)
    return _mirrored(f"training-chain-{n}", [[i - 1] if i else [] for i in range(n)], uniform, seed)


def residual_net(n: int, uniform: bool = False, seed: int = 0) -> Graph:
    """A training graph of ``n`` residual blocks: two nodes in line, then their sum with the block's input."""
    _check_size("residual-net", n, 1)
    reads: list[list[int]] = [[]]
    for _ in range(n):
        entry = len(reads) - 1
        reads += [[entry], [entry + 1], [entry, entry + 2]]
    return _mirrored(f"residual-net-{n}", reads, uniform, seed)


def unet(n: int, seed: int = 0) -> Graph:
    """A U-Net's training graph of depth ``n``: sizes halve on the way down, and each level skips across to its mirror.

    A level has two nodes on each side; going down a pooling node follows, going up an upsampling node leads.
    """
    _check_size("unet", n, 1)
    rng = Random(seed)
    reads: list[list[int]] = [[]]
    sizes = [2**n * 16]
    skips: list[int] = []
    for level in range(n):
        for _ in range(2):
            reads.append([len(reads) - 1])
            sizes.append(2 ** (n - level) * 16)
        skips.append(len(reads) - 1)
        reads.append([len(reads) - 1])
        sizes.append(2 ** (n - level - 1) * 16)
    for level in reversed(range(n)):
        reads.append([len(reads) - 1, skips[level]])
        sizes.append(2 ** (n - level) * 16)
        for _ in range(2):
            reads.append([len(reads) - 1])
            sizes.append(2 ** (n - level) * 16)
    costs = [size * rng.randint(1, 8) for size in sizes]
    return _mirror(f"unet-{n}", reads, sizes, costs)


def binary_tree(n: int, uniform: bool = True, seed: int = 0) -> Graph:
    """A complete binary tree of depth ``n``: 2^(n+1) - 1 nodes, every inner node reading its two children."""
    _check_size("binary-tree", n, 0)
    draw = _draw(uniform, seed)
    levels = [[2**depth - 1 + i for i in range(2**depth)] for depth in range(n + 1)]
    last = 2 ** (n + 1) - 2
    # Heap numbering, turned round so that leaves come first.
    rows = [
        ([last - (2 * v + 1), last - (2 * v + 2)] if depth < n else [], draw(), draw())
        for depth in reversed(range(n + 1))
        for v in reversed(levels[depth])
    ]
    return _plain(f"binary-tree-{n}", rows)


def pyramid(n: int, uniform: bool = True, seed: int = 0) -> Graph:
    """The pyramid of ``n`` + 1 rows of pebbling theory: each node reads the two below it; one node at the top."""
    _check_size("pyramid", n, 0)
    draw = _draw(uniform, seed)
    rows: list[tuple[list[int], int, int]] = [([], draw(), draw()) for _ in range(n + 1)]
    below = list(range(n + 1))
    while len(below) > 1:
        row = list(range(len(rows), len(rows) + len(below) - 1))
        rows += [([below[i], below[i + 1]], draw(), draw()) for i in range(len(row))]
        below = row
    return _plain(f"pyramid-{n}", rows)


INSTANCES: Final[Mapping[str, Callable[[int], Graph]]] = {
    "chain": chain,
    "training-chain": training_chain,
    "residual-net": residual_net,
    "unet": unet,
    "transformer": transformer,
    "random-layered": random_layered,
    "binary-tree": binary_tree,
    "pyramid": pyramid,
}


def instance(text: str) -> Graph:
    """The graph that ``"name:size"`` stands for, such as ``"unet:4"``, with the generator's other defaults.

    Raises:
        GraphError: If there is no such generator (lists the choices), or the size is none.
    """
    name, _, size = text.partition(":")
    if name not in INSTANCES:
        raise GraphError(f"there is no generator {name!r}; choose from {', '.join(INSTANCES)}")
    if not size.isascii() or not size.isdigit() or len(size) > 6:
        raise GraphError(f"the size in {text!r} is {size!r}; expected a whole number, as in '{name}:4'")
    return INSTANCES[name](int(size))


def _plain(name: str, rows: list[tuple[list[int], int, int]]) -> Graph:
    """One value a node; a row holds the nodes read, the size and the cost."""
    return Graph(
        nodes=tuple(
            Node(f"v{i}", "op", tuple(f"v{j}" for j in reads), (Value(f"v{i}", size),), cost)
            for i, (reads, size, cost) in enumerate(ticking(rows))
        ),
        name=name,
        cost_unit="units",
    )


def _mirrored(name: str, reads: list[list[int]], uniform: bool, seed: int) -> Graph:
    draw = _draw(uniform, seed)
    return _mirror(name, reads, [draw() for _ in reads], [draw() for _ in reads])


def _mirror(name: str, reads: list[list[int]], sizes: list[int], costs: list[int]) -> Graph:
    """The training graph of a forward graph: a backward node reads its readers' gradients, its inputs and its output.

    A gradient is as large as its node's output, and costs twice as much.
    """
    n = len(reads)
    readers: list[list[int]] = [[] for _ in reads]
    for v, row in enumerate(reads):
        for u in row:
            readers[u].append(v)
    rows = [(list(row), size, cost) for row, size, cost in zip(reads, sizes, costs, strict=True)]
    position = {v: 2 * n - 1 - v for v in range(n)}
    for v in reversed(range(n)):
        gradients = [position[w] for w in readers[v]]
        rows.append(([*gradients, *reads[v], v], sizes[v], 2 * costs[v]))
    return _plain(name, rows)


def _draw(uniform: bool, seed: int) -> Callable[[], int]:
    rng = Random(seed)
    return (lambda: 1) if uniform else (lambda: rng.randint(1, 100))


def _check_size(name: str, size: int, least: int) -> None:
    if size < least:
        raise GraphError(f"generator {name!r} got size {size}; expected at least {least}")
