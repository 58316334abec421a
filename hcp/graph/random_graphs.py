"""Random graphs: the layered ones of the literature, and small ones with every feature, for tests."""

from itertools import pairwise
from math import ceil, floor, sqrt
from random import Random

from hcp.graph.errors import GraphError
from hcp.graph.ir import Graph, Node, Value


def random_layered(
    n: int,
    seed: int = 0,
    level_variation: float = 0.75,
    edge_density: float = 0.2,
    skip_density: float = 0.14,
) -> Graph:
    """A random layered graph after Gagrani et al. 2022, appendix A, in plain form (one value a node).

    Width w ~ U(0.25, 0.5); ceil(sqrt(n (1/w - 1))) layers; layer 0 has one node, the others
    U{ceil(n/L (1 - nlv)) .. floor(n/L (1 + nlv))} until there are n; then a sink. Adjacent layers get
    int(N1 N2 ed + (1 - ed) max(N1, N2)) edges, spread evenly over the wider layer, each node's to a contiguous window
    of the other. ceil(E scd / (1 - scd)) edges skip layers at near relative positions. The distributions of sizes
    and costs are not published; these fit the quantiles of the instances that Bartan et al. 2023 made public: sizes
    10 |N(0, 250)|, costs U{0..999}, and 0 for the source and the sink.

    Args:
        n: Number of nodes, source and sink included; at least 3.
        seed: For the random numbers.
        level_variation: nlv, how far layer sizes vary.
        edge_density: ed, 0 for the fewest edges, 1 for all between adjacent layers.
        skip_density: scd, the share of skip edges among all.
    """
    if n < 3:
        raise GraphError(f"generator 'random-layered' got size {n}; expected at least 3")
    rng = Random(seed)
    layers = _layers(n, rng, level_variation)
    edges: dict[tuple[int, int], None] = {}
    for upper, lower in pairwise(layers):
        edges.update(dict.fromkeys(_between(upper, lower, edge_density)))
    skips = ceil(len(edges) * skip_density / (1 - skip_density)) if len(layers) > 2 else 0
    for _ in range(skips):
        source = rng.randrange(len(layers) - 2)
        target = rng.randrange(source + 2, len(layers))
        at = rng.randrange(len(layers[source]))
        relative = (at + 0.5) / len(layers[source]) + rng.uniform(-0.1, 0.1)
        to = min(max(int(relative * len(layers[target])), 0), len(layers[target]) - 1)
        edges[layers[source][at], layers[target][to]] = None
    reads: list[list[str]] = [[] for _ in range(n)]
    for source, target in edges:
        reads[target].append(f"v{source}")
    sizes = [10 * max(1, round(abs(rng.gauss(0, 250)))) for _ in range(n)]
    costs = [0, *(rng.randint(0, 999) for _ in range(n - 2)), 0]
    return Graph(
        nodes=tuple(Node(f"v{i}", "op", tuple(reads[i]), (Value(f"v{i}", sizes[i]),), costs[i]) for i in range(n)),
        name=f"random-layered-{n}-{seed}",
        cost_unit="units",
    )


def _layers(n: int, rng: Random, variation: float) -> list[list[int]]:
    width = rng.uniform(0.25, 0.5)
    count = ceil(sqrt(n * (1 / width - 1)))
    low = max(1, ceil(n / count * (1 - variation)))
    high = max(low, floor(n / count * (1 + variation)))
    layers = [[0]]
    made = 1
    while made < n - 1:
        size = min(rng.randint(low, high), n - 1 - made)
        layers.append(list(range(made, made + size)))
        made += size
    return [*layers, [n - 1]]


def _between(upper: list[int], lower: list[int], density: float) -> list[tuple[int, int]]:
    """Edges between adjacent layers: each node of the wider one is joined to a window of the narrower one."""
    wide, narrow = (upper, lower) if len(upper) >= len(lower) else (lower, upper)
    total = int(len(upper) * len(lower) * density + (1 - density) * len(wide))
    edges = []
    for i, node in enumerate(wide):
        # Differences of rounded cumulative counts spread the total evenly.
        share = (i + 1) * total // len(wide) - i * total // len(wide)
        share = min(max(share, 1), len(narrow))
        # As many windows as nodes of the wider layer, a step of at most one apart: every node gets an edge.
        middle = (i + 0.5) / len(wide) * len(narrow)
        first = min(max(floor(middle - share / 2 + 0.5), 0), len(narrow) - share)
        window = narrow[first : first + share]
        edges += [(node, other) if wide is upper else (other, node) for other in window]
    return edges


def random_graph(
    n: int,
    seed: int,
    *,
    edge_probability: float = 0.4,
    largest_size: int = 8,
    largest_cost: int = 5,
    plain: bool = False,
) -> Graph:
    """A small random graph for tests, with every feature of the representation in it.

    Nodes have 0 to 3 outputs that live and die apart, some resident; workspace, graph inputs, nodes that must run
    once, zero costs and zero sizes all occur.

    Args:
        n: Number of nodes, at least 1.
        seed: For the random numbers.
        edge_probability: Chance that a node reads a given earlier value.
        largest_size: Sizes and workspaces are drawn from 0 to this.
        largest_cost: Costs are drawn from 0 to this.
        plain: One value a node, and none of the other features.
    """
    rng = Random(seed)
    inputs = [Value(f"in{i}", rng.randint(0, largest_size), "input") for i in range(0 if plain else rng.randint(0, 2))]
    readable = [value.name for value in inputs]
    nodes = []
    for v in range(n):
        outputs = tuple(
            Value(f"x{v}.{i}", rng.randint(0, largest_size), resident=not plain and rng.random() < 0.15)
            for i in range(1 if plain else rng.choice((0, 1, 1, 1, 1, 2, 2, 3)))
        )
        nodes.append(
            Node(
                name=f"n{v}",
                op="op",
                inputs=tuple(name for name in readable[-6:] if rng.random() < edge_probability),
                outputs=outputs,
                cost=rng.randint(0, largest_cost),
                workspace=0 if plain or rng.random() < 0.6 else rng.randint(1, largest_size),
                recomputable=plain or rng.random() < 0.85,
            )
        )
        readable += [value.name for value in outputs]
    return Graph(tuple(nodes), tuple(inputs), name=f"random-{n}-{seed}", cost_unit="units")
