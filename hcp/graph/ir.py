"""The intermediate representation: values (storages), nodes (operations) and graphs.

Values are separate from nodes because one operation has outputs that live and die apart, such as the input gradient
and the weight gradient of a convolution's backward.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from math import gcd
from typing import Final

from hcp.graph.cancellation import ticking
from hcp.graph.errors import GraphError
from hcp.graph.index import GraphIndex

KINDS: Final = ("input", "parameter", "activation", "gradient", "output")
SOURCE_KINDS: Final = ("input", "parameter")

# Sums are kept in 64-bit integers by the compiled planners; this leaves them room to add penalties.
LARGEST_TOTAL: Final = 2**61


@dataclass(frozen=True, slots=True)
class Value:
    """One storage.

    Attributes:
        name: Unique in its graph.
        bytes: Size in bytes, zero or more.
        kind: One of ``KINDS``.
        resident: Held from its first production to the end of the schedule. Inputs and parameters always are.
    """

    name: str
    bytes: int
    kind: str = "activation"
    resident: bool = False

    def __post_init__(self) -> None:
        _check_name("value", self.name)
        _check_amount(f"value {self.name!r}", "bytes", self.bytes)
        if self.kind not in KINDS:
            raise GraphError(f"value {self.name!r} has kind {self.kind!r}; expected one of {', '.join(KINDS)}")
        if self.kind in SOURCE_KINDS and not self.resident:
            object.__setattr__(self, "resident", True)


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes:
        name: Unique among the nodes of its graph.
        op: What it does, for people.
        inputs: Names of the values it reads.
        outputs: The values it creates.
        cost: Time or work of one execution, in the graph's ``cost_unit``.
        workspace: Bytes needed only while it runs.
        recomputable: False where it must run exactly once.
        engine: What it runs on beside the computation, such as ``"network"`` for collectives; empty for the computation
            itself. One with an engine has no workspace: that would have to be held until the node is done.
        source_id: What the file it came from calls it, where that is not ``name`` (an integer in most networkx files).
        source: Where it comes from in the user's program, for people: a path of modules, a file and a line, such as
            ``layers.3.attn: model.py:120``. Nodes that differ in it alone are equal.
    """

    name: str
    op: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[Value, ...] = ()
    cost: int = 0
    workspace: int = 0
    recomputable: bool = True
    source_id: int | str | None = field(default=None, compare=False)
    engine: str = ""
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _check_name("node", self.name)
        _check_amount(f"node {self.name!r}", "cost", self.cost)
        _check_amount(f"node {self.name!r}", "workspace", self.workspace)
        if not isinstance(self.engine, str):
            raise GraphError(f"node {self.name!r} has engine {self.engine!r}; expected a string, empty for none")
        if not isinstance(self.source, str):
            raise GraphError(f"node {self.name!r} has source {self.source!r}; expected a string, empty for none")
        if self.engine and self.workspace:
            raise GraphError(
                f"node {self.name!r} on engine {self.engine!r} has a workspace of {self.workspace} bytes, which is "
                "held until it is done; make that an output of its own"
            )
        object.__setattr__(self, "inputs", tuple(dict.fromkeys(self.inputs)))
        object.__setattr__(self, "outputs", tuple(self.outputs))

    @property
    def id(self) -> int | str:
        """The node's identity as its file wrote it."""
        return self.name if self.source_id is None else self.source_id


@dataclass(frozen=True)
class Graph:
    """A computation: nodes that read and create values. Checks itself; every node has to run at least once.

    Attributes:
        nodes: The operations, in any order.
        inputs: The values that exist before the first node runs; they stay to the end.
        order: Node names in the graph's own topological order. Empty: the order of ``nodes`` where that is
            topological, else a stable topological order.
        name: For people.
        cost_unit: What ``Node.cost`` counts, ``"ns"`` or ``"flops"`` in most graphs.

    Raises:
        GraphError: On a cycle, an unknown or doubly produced value, a bad order, or sizes beyond 64 bits.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Value, ...] = ()
    order: tuple[str, ...] = ()
    name: str = "graph"
    cost_unit: str = "ns"
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "order", self.validate())
        object.__setattr__(self, "_hash", hash((self.nodes, self.inputs, self.order)))

    def validate(self) -> tuple[str, ...]:
        """Checks every rule of a graph, as its construction does; gives the order that it has.

        Raises:
            GraphError: See the class.
        """
        if not self.nodes:
            raise GraphError(f"graph {self.name!r} has no nodes; give it at least one")
        _check_unique("node", (node.name for node in self.nodes))
        self._check_values()
        self._check_totals()
        return self._checked_order(tuple(self.order))

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def values(self) -> Mapping[str, Value]:
        """Every value by name: the inputs first, then the outputs in node order."""
        found = {value.name: value for value in self.inputs}
        found.update((value.name, value) for node in self.nodes for value in node.outputs)
        return found

    @cached_property
    def node(self) -> Mapping[str, Node]:
        """Every node by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def producer(self) -> Mapping[str, str]:
        """Name of the node that creates each value; inputs are absent."""
        return {value.name: node.name for node in self.nodes for value in node.outputs}

    @cached_property
    def readers(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the nodes that read each value, in node order."""
        found: dict[str, list[str]] = {name: [] for name in self.values}
        for node in ticking(self.nodes):
            for name in node.inputs:
                found[name].append(node.name)
        return {name: tuple(readers) for name, readers in found.items()}

    @cached_property
    def required_outputs(self) -> tuple[str, ...]:
        """The values a complete schedule is for: produced and either resident or never read."""
        return tuple(name for name in self.producer if self.values[name].resident or not self.readers[name])

    @cached_property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Distinct (producer, reader) pairs of nodes."""
        pairs = (
            (self.producer[name], node.name) for node in self.nodes for name in node.inputs if name in self.producer
        )
        return tuple(dict.fromkeys(pairs))

    @cached_property
    def edge_count(self) -> int:
        """How many ``edges`` there are."""
        return sum(map(len, self.index.predecessors))

    @cached_property
    def cost_divisor(self) -> int:
        """What all costs are multiples of, and with them every schedule's; 1 where nothing costs anything."""
        return gcd(*(node.cost for node in self.nodes)) or 1

    @cached_property
    def engines(self) -> tuple[str, ...]:
        """What nodes run on beside the computation; see ``hcp.schedule.engines``."""
        return tuple(sorted({node.engine for node in self.nodes if node.engine}))

    @cached_property
    def serial(self) -> "Graph":
        """The same graph with everything in the computation's turn; schedules have the same peaks."""
        if not self.engines:
            return self
        return replace(self, nodes=tuple(replace(node, engine="") for node in self.nodes))

    @cached_property
    def base_cost(self) -> int:
        """Cost of running every node once: a lower bound on every schedule's cost.

        Where nodes run beside the computation, what the engine with most to do takes.
        """
        return max(sum(node.cost for node in self.nodes if node.engine == engine) for engine in ("", *self.engines))

    @cached_property
    def index(self) -> GraphIndex:
        """The same graph as integer arrays, for planners."""
        names = list(self.values)
        position = {name: i for i, name in enumerate(names)}
        rank = {node.name: i for i, node in enumerate(self.nodes)}
        return GraphIndex.build(
            node_names=tuple(rank),
            value_names=tuple(names),
            inputs=[[position[name] for name in node.inputs] for node in self.nodes],
            outputs=[[position[value.name] for value in node.outputs] for node in self.nodes],
            cost=[node.cost for node in self.nodes],
            workspace=[node.workspace for node in self.nodes],
            recomputable=[node.recomputable for node in self.nodes],
            size=[self.values[name].bytes for name in names],
            resident=[self.values[name].resident for name in names],
            order=[rank[name] for name in self.order],
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that a schedule depends on; names of the graph and its operations are left out."""
        content = [
            [[v.name, v.bytes, v.resident] for v in self.inputs],
            [
                [
                    n.name,
                    n.inputs,
                    [[v.name, v.bytes, v.resident] for v in n.outputs],
                    n.cost,
                    n.workspace,
                    n.recomputable,
                    *([n.engine] if n.engine else []),
                ]
                for n in self.nodes
            ],
            self.order,
        ]
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()

    def _check_values(self) -> None:
        makers: dict[str, str] = {}
        for value in self.inputs:
            if value.name in makers:
                raise GraphError(f"input value {value.name!r} is listed twice; list it once")
            if not value.resident:
                raise GraphError(
                    f"value {value.name!r} is produced by no node and is not resident; "
                    "give it kind 'input' or 'parameter', or add the node that produces it"
                )
            makers[value.name] = "the graph's inputs"
        for node in ticking(self.nodes):
            for value in node.outputs:
                if value.name in makers:
                    raise GraphError(
                        f"value {value.name!r} is produced twice, by {makers[value.name]} and by node "
                        f"{node.name!r}; give each its own name"
                    )
                makers[value.name] = f"node {node.name!r}"
                if value.kind in SOURCE_KINDS:
                    raise GraphError(
                        f"value {value.name!r} of kind {value.kind!r} is produced by node {node.name!r}; "
                        "inputs and parameters have no producer: give it another kind"
                    )
        for node in ticking(self.nodes):
            for name in node.inputs:
                if name not in makers:
                    raise GraphError(
                        f"node {node.name!r} reads unknown value {name!r}; "
                        "add the node that produces it, or list it as an input"
                    )

    def _check_totals(self) -> None:
        sizes = sum(value.bytes for value in self.values.values())
        totals = {
            "sizes and workspaces": sizes + sum(node.workspace for node in self.nodes),
            "costs": sum(node.cost for node in self.nodes),
        }
        for what, total in totals.items():
            if total > LARGEST_TOTAL:
                raise GraphError(f"the {what} of graph {self.name!r} add up to {total}, beyond 2^61; use a larger unit")

    def _checked_order(self, order: tuple[str, ...]) -> tuple[str, ...]:
        sorter = TopologicalSorter(
            {node.name: [self.producer[name] for name in node.inputs if name in self.producer] for node in self.nodes}
        )
        try:
            sorted_names = tuple(sorter.static_order())
        except CycleError as error:
            cycle = " -> ".join(reversed(error.args[1]))
            raise GraphError(f"graph {self.name!r} has a cycle: {cycle}; remove one of these edges") from None
        if not order:
            listed = tuple(node.name for node in self.nodes)
            return listed if self._breach(listed) is None else sorted_names
        _check_unique("node in the graph's order", order)
        unknown = next((name for name in order if name not in self.node), None)
        if unknown is not None:
            raise GraphError(f"the order names unknown node {unknown!r}; remove it from the order")
        if len(order) != len(self.nodes):
            missing = next(node.name for node in self.nodes if node.name not in set(order))
            raise GraphError(f"the order misses node {missing!r}; list every node once")
        breach = self._breach(order)
        if breach is not None:
            reader, value, maker = breach
            raise GraphError(
                f"the order runs node {reader!r} before node {maker!r}, whose value {value!r} it reads; "
                "give a topological order"
            )
        return order

    def _breach(self, order: tuple[str, ...]) -> tuple[str, str, str] | None:
        """The first (reader, value, producer) that an order runs the wrong way round."""
        rank = {name: i for i, name in enumerate(order)}
        for node in ticking(self.nodes):
            for name in node.inputs:
                maker = self.producer.get(name)
                if maker is not None and rank[maker] >= rank[node.name]:
                    return node.name, name, maker
        return None


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not name:
        raise GraphError(f"a {what} is called {name!r}; expected a non-empty string")


def _check_amount(owner: str, attribute: str, amount: object) -> None:
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise GraphError(f"{owner} has {attribute} {amount!r}; expected a whole number")
    if amount < 0:
        raise GraphError(f"{owner} has {attribute} {amount}; expected zero or more")


def _check_unique(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise GraphError(f"{what} {name!r} appears twice; names must be unique")
        seen.add(name)
