"""Contraction: a graph whose nodes stand for groups of nodes that run one after the other.

Every schedule of the contracted graph expands to one of the graph: each execution becomes those of the group's members.
The expanded schedule is legal, costs no more and holds no more at any time (``docs/formulations.md``, "Contracted
graphs"): a value that only members read is a part of the group's workspace.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from hcp.graph.cancellation import ticking
from hcp.graph.ir import Graph, Node
from hcp.graph.topo import topological_order
from hcp.planning.sequences import without_unread

Groups = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Contraction:
    """A graph and one that stands for it.

    Attributes:
        graph: The computation.
        coarse: Its contraction: one node for each group, called as the group's first member.
        members: By name of a node of ``coarse``, the nodes of ``graph`` that it stands for, as they run.
    """

    graph: Graph
    coarse: Graph
    members: Mapping[str, tuple[str, ...]]

    def expand(self, computes: Iterable[str]) -> tuple[str, ...]:
        """What a schedule of the coarse graph runs, without executions of members that nobody makes use of.

        Args:
            computes: Nodes of the coarse graph as they run.
        """
        return _without_unread(self.graph, [member for name in ticking(computes) for member in self.members[name]])

    def gathered(self, computes: Iterable[str]) -> tuple[str, ...]:
        """A legal sequence of the coarse graph near a schedule of the graph; it may break the budget that one keeps.

        A group runs where its last member does, and before that the groups that it reads from and that have not run.

        Args:
            computes: Nodes of the graph as they run.
        """
        coarse = self.coarse
        ends = {members[-1]: name for name, members in self.members.items()}
        ran: set[str] = set()
        found: list[str] = []
        for computed in ticking(computes):
            stack = [ends[computed]] if computed in ends else []
            while stack:
                node = coarse.node[stack[-1]]
                makers = (coarse.producer[value] for value in node.inputs if value in coarse.producer)
                missing = next((maker for maker in makers if maker not in ran), None)
                if missing is not None:
                    stack.append(missing)
                    continue
                stack.pop()
                if node.recomputable or node.name not in ran:
                    found.append(node.name)
                    ran.add(node.name)
        return _without_unread(coarse, found)


def contract(graph: Graph, groups: Groups) -> Contraction:
    """Contracts groups of nodes.

    Args:
        graph: The computation.
        groups: Nodes of the graph's index, each in one group; a group in an order in which it can run. No group may
            depend on another that depends on it.

    Raises:
        GraphError: If groups depend on each other.
    """
    index = graph.index
    place: list[int] = index.position.tolist()
    builder = _Builder(graph)
    nodes: list[Node] = []
    members: dict[str, tuple[str, ...]] = {}
    middle: dict[str, int] = {}
    for group in ticking(groups):
        node = builder.node(group)
        nodes.append(node)
        members[node.name] = tuple(index.node_names[v] for v in group)
        middle[node.name] = sum(place[v] for v in group) // len(group)
    coarse = Graph(tuple(nodes), graph.inputs, name=graph.name, cost_unit=graph.cost_unit)
    return Contraction(graph, replace(coarse, order=topological_order(coarse, middle)), members)


def _without_unread(graph: Graph, computes: Sequence[str]) -> tuple[str, ...]:
    """What is left of a legal sequence where nothing runs for nobody."""
    index = graph.index
    left = without_unread(index, [index.node_of[name] for name in computes])
    return tuple(index.node_names[node] for node in left)


class _Builder:
    """Makes nodes of groups."""

    def __init__(self, graph: Graph) -> None:
        index = graph.index
        self.graph = graph
        self.values = tuple(graph.values.values())
        self.inputs = index.inputs.tolists()
        self.outputs = index.outputs.tolists()
        self.readers = index.readers.tolists()
        self.size: list[int] = index.size.tolist()

    def node(self, group: Sequence[int]) -> Node:
        """The node that stands for a group."""
        nodes = [self.graph.nodes[v] for v in group]
        if len(group) == 1:
            return nodes[0]
        inside = set(group)
        made = [x for v in group for x in self.outputs[v]]
        leaving = {x for x in made if self.values[x].resident or not inside.issuperset(self.readers[x])}
        own = set(made)
        reads = dict.fromkeys(x for v in group for x in self.inputs[v] if x not in own)
        return Node(
            nodes[0].name,
            nodes[0].op,
            tuple(self.values[x].name for x in reads),
            tuple(self.values[x] for x in made if x in leaving),
            sum(node.cost for node in nodes),
            self.workspace(group, leaving),
            all(node.recomputable for node in nodes),
        )

    def workspace(self, group: Sequence[int], leaving: Set[int]) -> int:
        """Most bytes that a run of the group holds beside its inputs and all that leaves it."""
        size, last = self.size, {x: step for step, v in enumerate(group) for x in self.inputs[v]}
        inner = {x for v in group for x in self.outputs[v]} - leaving
        held = most = 0
        for step, v in enumerate(group):
            made = self.outputs[v]
            most = max(most, held + sum(size[x] for x in made) + self.graph.nodes[v].workspace)
            held += sum(size[x] for x in made if x in leaving or x in last)
            held -= sum(size[x] for x in self.inputs[v] if x in inner and last[x] == step)
        return max(0, most - sum(size[x] for x in leaving))
