"""Families of graphs that only the theory needs, with unit sizes and costs unless said otherwise."""

from collections.abc import Iterator, Sequence

from hcp.graph.ir import Graph, Node, Value


def reversal(steps: int) -> Graph:
    """The reversal of a uniform chain in the model of Griewank and Walther: advances cost 1, adjoint steps nothing.

    Advance i makes state x_i of one byte from x_{i-1}; x_0 is an input. Adjoint step i, from the last to the first,
    reads x_{i-1} and the adjoint before it, which has no bytes. Its workspace of ``steps`` bytes is more than all
    states together, so the budget binds at adjoint steps alone; see ``docs/theory.md`` for what slots are in bytes.
    """
    advances = [_unit(f"f{i}", [f"x{i - 1}"], f"x{i}") for i in range(1, steps)]
    adjoints = [
        Node(
            f"g{i}",
            "adjoint",
            (f"x{i - 1}", *([f"y{i + 1}"] if i < steps else [])),
            (Value(f"y{i}", 0),),
            workspace=steps,
            recomputable=False,
        )
        for i in range(steps, 0, -1)
    ]
    return Graph((*advances, *adjoints), (Value("x0", 1, "input"),), name=f"reversal-{steps}", cost_unit="units")


def wide_chain(layers: int, width: int) -> Graph:
    """The training graph of ``layers`` layers of ``width`` nodes, each reading the whole layer before its own."""
    rows: list[list[int]] = [[] for _ in range(width)]
    rows += [[(layer - 1) * width + j for j in range(width)] for layer in range(1, layers) for _ in range(width)]
    return mirrored(rows, f"wide-chain-{layers}x{width}")


def mirrored(reads: Sequence[Sequence[int]], name: str) -> Graph:
    """The training graph of a forward graph: a backward node reads its readers' gradients, its inputs, its output."""
    readers: list[list[int]] = [[] for _ in reads]
    for v, row in enumerate(reads):
        for u in row:
            readers[u].append(v)
    forward = [_unit(f"f{v}", [f"x{u}" for u in row], f"x{v}") for v, row in enumerate(reads)]
    backward = [
        _unit(f"b{v}", [*(f"y{w}" for w in readers[v]), *(f"x{u}" for u in reads[v]), f"x{v}"], f"y{v}")
        for v in reversed(range(len(reads)))
    ]
    return Graph((*forward, *backward), name=name, cost_unit="units")


def forward_rows(graph: Graph) -> list[list[int]]:
    """Which nodes, by position in the graph's order, each node reads from."""
    position = {name: i for i, name in enumerate(graph.order)}
    return [
        [position[graph.producer[value]] for value in graph.node[name].inputs if value in graph.producer]
        for name in graph.order
    ]


def all_orders(graph: Graph) -> Iterator[tuple[str, ...]]:
    """Every topological order of the nodes."""
    needs = {node.name: {graph.producer[x] for x in node.inputs if x in graph.producer} for node in graph.nodes}

    def extend(done: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if len(done) == len(needs):
            yield done
        for name, before in needs.items():
            if name not in done and before.issubset(done):
                yield from extend((*done, name))

    return extend(())


def _unit(name: str, reads: Sequence[str], output: str) -> Node:
    return Node(name, "op", tuple(reads), (Value(output, 1),), 1)
