"""From the operations that a system executes to a schedule of the captured step's graph."""

from dataclasses import dataclass, field

from hcp.graph.ir import Graph
from hcp.integrations.torch.lower import BOUNDARY
from hcp.schedule.actions import Schedule


@dataclass(frozen=True)
class Executed:
    """The operations that a system ran, by their names in the joint graph, in order.

    Attributes:
        forward: In the forward.
        backward: In the backward, recomputed ones included.
    """

    forward: tuple[str, ...]
    backward: tuple[str, ...]


def schedule_of(graph: Graph, executed: Executed) -> Schedule:
    """The schedule that runs what a system ran, in its order; each value goes after its last use.

    Names that are no nodes of the graph are views and copies that it does without. Nodes that the system has no
    operation for, such as the boundary or a gradient's copy into the layout of its parameter, run as soon as what they
    read is there, or where they read nothing, when they are needed. What may run once alone is kept where the system
    runs it again.
    """
    order = _Order(graph, frozenset(executed.forward) | frozenset(executed.backward))
    for name in executed.forward:
        order.run(name)
    order.need(BOUNDARY)
    for name in executed.backward:
        order.run(name)
    for node in graph.nodes:
        order.need(node.name)
    return Schedule.from_computes(graph, order.ran)


@dataclass
class _Order:
    """Executions, as they are put in order.

    Attributes:
        graph: What is executed.
        named: The nodes whose place the system decides.
        ran: All executions so far.
        made: The values that exist, or did.
    """

    graph: Graph
    named: frozenset[str]
    ran: list[str] = field(default_factory=list)
    made: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.made.update(value.name for value in self.graph.inputs)
        self._done: set[str] = set()
        self._producer = {value.name: node.name for node in self.graph.nodes for value in node.outputs}
        self._waiting: dict[str, list[str]] = {}
        for node in self.graph.nodes:
            for value in node.inputs if node.name not in self.named else ():
                self._waiting.setdefault(value, []).append(node.name)

    def run(self, name: str) -> None:
        """Runs a node that the system runs, after what it needs besides."""
        node = self.graph.node.get(name)
        if node is None or (name in self._done and not node.recomputable):
            return
        self._add(name)

    def need(self, name: str) -> None:
        """Runs a node if it has not run yet."""
        if name not in self._done:
            self._add(name)

    def _add(self, name: str) -> None:
        pending = [name]
        while pending:
            last = pending[-1]
            missing = [value for value in self.graph.node[last].inputs if value not in self.made]
            if missing:
                pending.append(self._producer[missing[0]])
                continue
            pending.pop()
            if last in self._done and last != name:
                continue
            fresh = self._ran(last)
            # What waited for it goes first, before anything else is made.
            pending.extend(each for each in reversed(fresh) if each not in pending)

    def _ran(self, name: str) -> list[str]:
        """Notes an execution; returns the nodes of hcp's own that can run since."""
        self.ran.append(name)
        self._done.add(name)
        made = [value.name for value in self.graph.node[name].outputs if value.name not in self.made]
        self.made.update(made)
        waiting = dict.fromkeys(each for value in made for each in self._waiting.get(value, ()))
        return [each for each in waiting if self._ready(each)]

    def _ready(self, name: str) -> bool:
        node = self.graph.node[name]
        reads = any(self.graph.values[value].bytes for value in node.inputs)
        return name not in self._done and name != BOUNDARY and reads and self.made.issuperset(node.inputs)
