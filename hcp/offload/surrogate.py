"""The graph in which fetching a value is a node, so that planners that only recompute choose what to fetch.

A chosen node runs once. Each of its values comes from a node of its own, *fetch*, that reads nothing but the (empty)
copy on the host and may run as often as the planner likes, for the cost of one transfer out and one back. The first run
of a fetch stands for the value's production itself: the next node of a given order waits for it, so that it cannot be
put off for free.

Where copies overlap the computation, a value is there until its copy is complete, whether it is dropped or not: what
leaves stands for itself until a node of its own has run, *left*, which comes after the one that runs meanwhile.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

from hcp.graph.ir import Graph, Node, Value
from hcp.schedule.actions import Compute, Fetch, Offload, Schedule, Step
from hcp.schedule.host import HostLink
from hcp.solvers.certificates.host import fetchable, unused_word


@dataclass(frozen=True)
class Surrogate:
    """A graph for planners, and the way from its schedules to those of the graph with the host.

    Attributes:
        original: What is really run.
        host: What transfers cost.
        chosen: Names of the nodes that run once, and whose values are fetched.
        order: All nodes; each waits for the first fetches of the one before it.
        leaving: For chosen nodes, the last node of the order that runs while their values are on their way out.
    """

    original: Graph
    host: HostLink
    chosen: frozenset[str]
    order: tuple[str, ...]
    leaving: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def graph(self) -> Graph:
        """What planners plan."""
        parts = {node.name: self._parts(node) for node in self.original.nodes}
        for before, after in pairwise(self.order):
            there = tuple(part.outputs[1].name for part in parts[before][1:])
            first, *rest = parts[after]
            parts[after] = [replace(first, inputs=(*first.inputs, *there)), *rest]
        for name, last in self.leaving.items():
            first, *rest = parts[last]
            ran = Value(f"{self._word} ran {last}", 0, resident=True)
            if ran not in first.outputs:
                first = replace(first, outputs=(*first.outputs, ran))
            inputs = (self._leaving_of(name), ran.name)
            parts[last] = [first, *rest, Node(self._left[name], "left", inputs, (), recomputable=False)]
        nodes = tuple(part for name in self.order for part in parts[name])
        return replace(self.original, nodes=nodes, order=tuple(node.name for node in nodes))

    @cached_property
    def constant(self) -> int:
        """What every schedule here costs more than the one it stands for: the first run of each fetch."""
        return sum(self.host.round_trip_cost(value.bytes) for name in self.chosen for value in self._moved(name))

    def steps(self, schedule: Schedule) -> tuple[Step, ...]:
        """What a schedule of this graph stands for: a value that is fetched as soon as it is made just stays."""
        found: list[Step] = []
        fresh: set[str] = set()
        for name in schedule.computes:
            value = self._value_of.get(name)
            if name in self._is_left:
                continue
            if value is None:
                found.append(Compute(name))
                fresh = {moved.name for moved in self._moved(name)} if name in self.chosen else set()
            elif value in fresh:
                fresh.discard(value)
            else:
                found.append(Fetch(value))
        return with_offloads(self.original, found)

    def schedule(self, steps: Iterable[Step]) -> Schedule:
        """A schedule of this graph that does what some steps do, which fetch values of chosen nodes only.

        First executions have to follow the order. Values that take no memory just stay.
        """
        names: list[str] = []
        ran: set[str] = set()
        for step in steps:
            if isinstance(step, Fetch):
                names += [self._fetch_of[step.value]] if step.value in self._fetch_of else []
            elif isinstance(step, Compute):
                again = step.node in self.chosen and step.node in ran
                names += [] if again else [step.node]
                names += self._fetches(step.node)
                names += [] if step.node in ran else self._left_after.get(step.node, ())
                ran.add(step.node)
        return Schedule.from_computes(self.graph, names)

    @cached_property
    def _fetch_of(self) -> dict[str, str]:
        """Names of the fetch nodes, by value."""
        found = {}
        for name in self.original.order:
            for value in self._moved(name) if name in self.chosen else ():
                found[value.name] = f"{self._word} {value.name}"
        return found

    @cached_property
    def _left(self) -> dict[str, str]:
        """Names of the nodes with which values have left, by node."""
        return {name: f"{self._word} left {name}" for name in self.leaving}

    @cached_property
    def _is_left(self) -> frozenset[str]:
        return frozenset(self._left.values())

    @cached_property
    def _left_after(self) -> dict[str, list[str]]:
        """The same, by the node that they come after."""
        found: dict[str, list[str]] = {}
        for name, last in self.leaving.items():
            found.setdefault(last, []).append(self._left[name])
        return found

    def _leaving_of(self, name: str) -> str:
        return f"{self._word} leaving {name}"

    @cached_property
    def _word(self) -> str:
        return unused_word("fetch", self.original)

    @cached_property
    def _value_of(self) -> dict[str, str]:
        return {fetch: value for value, fetch in self._fetch_of.items()}

    def _moved(self, name: str) -> tuple[Value, ...]:
        return fetchable(self.original, self.original.node[name])

    def _fetches(self, name: str) -> list[str]:
        return [self._fetch_of[value.name] for value in self._moved(name)] if name in self.chosen else []

    def _parts(self, node: Node) -> list[Node]:
        if node.name not in self.chosen:
            return [node]
        moved = self._moved(node.name)
        copies = {value.name: f"{self._word} copy {value.name}" for value in moved}
        rest = tuple(value for value in node.outputs if value not in moved)
        total = sum(value.bytes for value in moved)
        leaving = (Value(self._leaving_of(node.name), total),) if node.name in self.leaving else ()
        parts = [
            replace(
                node,
                outputs=(*rest, *(Value(name, 0) for name in copies.values()), *leaving),
                workspace=node.workspace + (0 if leaving else total),
                recomputable=False,
            )
        ]
        for value in moved:
            # Resident, so that reruns of those who wait for it need nothing.
            there = Value(f"{self._word} made {value.name}", 0, resident=True)
            fetch = self._fetch_of[value.name]
            parts.append(
                Node(fetch, "fetch", (copies[value.name],), (value, there), self.host.round_trip_cost(value.bytes))
            )
        return parts


def with_offloads(graph: Graph, steps: Iterable[Step]) -> tuple[Step, ...]:
    """The same steps, with one offload of each value that they fetch, as soon as it is made, and no other."""
    listed = [step for step in steps if not isinstance(step, Offload)]
    fetched = {step.value for step in listed if isinstance(step, Fetch)}
    found: list[Step] = []
    for step in listed:
        found.append(step)
        if isinstance(step, Compute) and fetched:
            mine = [value.name for value in graph.node[step.node].outputs if value.name in fetched]
            found.extend(Offload(name) for name in mine)
            fetched.difference_update(mine)
    return tuple(found)
