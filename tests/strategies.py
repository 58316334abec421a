"""Hypothesis strategies that the tests share."""

from hypothesis import strategies as st

from hcp.graph.instances import random_graph
from hcp.graph.ir import Graph, Node, Value
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay

amounts = st.integers(0, 6)


@st.composite
def graphs(draw: st.DrawFn, max_nodes: int = 9, plain: bool = False) -> Graph:
    """Small graphs with every feature: values apart from nodes, workspace, residents, inputs, nodes that run once.

    Built from single draws, so that failures shrink to small graphs.
    """
    inputs = [] if plain else [Value(f"in{i}", draw(amounts), "input") for i in range(draw(st.integers(0, 2)))]
    readable = [value.name for value in inputs]
    nodes = []
    for v in range(draw(st.integers(1, max_nodes))):
        reads = draw(st.lists(st.sampled_from(readable), max_size=3, unique=True)) if readable else []
        outputs = tuple(
            Value(f"x{v}.{i}", draw(amounts), resident=not plain and draw(st.integers(0, 5)) == 5)
            for i in range(1 if plain else draw(st.sampled_from((1, 1, 1, 2, 3, 0))))
        )
        nodes.append(
            Node(
                f"n{v}",
                inputs=tuple(reads),
                outputs=outputs,
                cost=draw(amounts),
                workspace=0 if plain else draw(st.sampled_from((0, 0, 1, 3))),
                recomputable=plain or draw(st.integers(0, 5)) != 5,
            )
        )
        readable += [value.name for value in outputs]
    return Graph(tuple(nodes), tuple(inputs))


@st.composite
def seeded_graphs(draw: st.DrawFn, max_nodes: int = 9) -> Graph:
    """Denser graphs than ``graphs`` draws, which recomputation helps more often."""
    return random_graph(draw(st.integers(2, max_nodes)), draw(st.integers(0, 10**6)), edge_probability=0.5)


@st.composite
def problems(draw: st.DrawFn, max_nodes: int = 9) -> tuple[Graph, int]:
    """A graph and a budget between what its largest node holds and the keep-everything peak."""
    graph = draw(st.one_of(graphs(max_nodes), seeded_graphs(max_nodes)))
    highest = replay(graph, keep_everything(graph)).peak
    lowest = min(int(graph.index.floor.max()), highest)
    return graph, draw(st.integers(lowest, highest))
