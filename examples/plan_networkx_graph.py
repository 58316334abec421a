"""Plan a networkx graph: nodes with ``cost`` and ``bytes``, a budget, and a plan with a proven gap."""

import networkx as nx

import hcp


def training_graph(layers: int) -> nx.DiGraph:
    """A chain of forward nodes, and backward nodes that read the forward values."""
    graph = nx.DiGraph(name="example")
    for i in range(layers):
        graph.add_node(f"f{i}", cost=10 + i % 3, bytes=1000 + 100 * (i % 4))
        if i:
            graph.add_edge(f"f{i - 1}", f"f{i}")
    for i in reversed(range(layers)):
        graph.add_node(f"b{i}", cost=20, bytes=1000)
        graph.add_edge(f"f{i}", f"b{i}")
        graph.add_edge(f"b{i + 1}" if i + 1 < layers else f"f{i}", f"b{i}")
    return graph


def main() -> None:
    """Prints the plan."""
    graph = hcp.from_networkx(training_graph(24))
    plan = hcp.solve(graph, budget="50%", time_limit=2)
    assert plan.usage is not None
    print(f"{plan.status.value}: {100 * plan.usage.cost / graph.base_cost - 100:.2f} % more work, gap {plan.gap:.2%}")
    print(f"peak {plan.peak} of {plan.base.peak} bytes; recomputed: {', '.join(sorted(plan.usage.recomputed))}")


if __name__ == "__main__":
    main()
