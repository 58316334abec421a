"""Checks plan files without hcp: schedule, cost, peak, bounds and optimality. Python's standard library is enough.

Written from ``docs/format.md`` and ``docs/formulations.md`` alone, which say what every claim and certificate means. It
shares no code with hcp and imports none of it, computes with whole numbers and fractions only, and believes nothing
that a file says. Work and size are limited: what is beyond them is said to be unproved, and never passes.
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, reduce
from itertools import pairwise
from math import ceil, gcd
from pathlib import Path
from typing import Final, NamedTuple

LARGEST: Final = 2**61
MOST_MEGABYTES: Final = 16
MOST_WORK: Final = 150_000_000
# Steps of work take about a third of a microsecond; what takes memory counts as more of them.
# Entries of rows that are kept at a time, and bytes of an unpacked tree.
MOST_ENTRIES: Final = 1_000_000
MOST_TREE: Final = 2**24
# Binary digits of a number in a tree: those that are written have less than 200.
MOST_DIGITS: Final = 2_000
# Of a sum, where a tree branches on it.
MOST_RUNS: Final = 2**40
PER: Final = 10**9

Json = dict[str, object]


class Wrong(Exception):
    """What the file says does not hold, or means nothing."""


class Beyond(Exception):
    """What the file says was not checked: it is beyond a limit, or of an unknown kind."""


@dataclass
class Work:
    """Steps that a check may still take.

    Attributes:
        left: How many.
        limit: How many there were at first.
    """

    left: int
    limit: int

    @classmethod
    def of(cls, limit: int) -> "Work":
        """So many steps."""
        return cls(limit, limit)

    def spend(self, steps: int) -> None:
        """Takes some.

        Raises:
            Beyond: If there are none left.
        """
        self.left -= steps
        if self.left < 0:
            raise Beyond(f"beyond the limit of {self.limit:,} steps of work; allow more with --work")


# Fields of JSON objects


def shown(found: object) -> str:
    """A short text of anything."""
    if isinstance(found, dict):
        return "an object"
    if isinstance(found, list) and (len(found) > 6 or any(isinstance(item, list | dict) for item in found)):
        return f"a list of {len(found)}"
    if isinstance(found, int) and found.bit_length() > 200:
        return "a number of over 60 digits"
    text = repr(found[:60] if isinstance(found, str) else found)
    return text if len(text) <= 60 else text[:57] + "..."


def as_object(found: object, what: str) -> Json:
    """A JSON object."""
    if not isinstance(found, dict):
        raise Wrong(f"{what} is {shown(found)}; expected an object")
    return found


def as_list(found: object, what: str) -> list[object]:
    """A list."""
    if not isinstance(found, list):
        raise Wrong(f"{what} is {shown(found)}; expected a list")
    return found


def as_text(found: object, what: str) -> str:
    """A string."""
    if not isinstance(found, str):
        raise Wrong(f"{what} is {shown(found)}; expected a string")
    return found


def as_texts(found: object, what: str) -> list[str]:
    """A list of strings."""
    return [as_text(item, f"an entry of {what}") for item in as_list(found, what)]


def as_flag(found: object, what: str) -> bool:
    """True or false."""
    if not isinstance(found, bool):
        raise Wrong(f"{what} is {shown(found)}; expected true or false")
    return found


def as_integer(found: object, what: str) -> int:
    """A whole number of any size."""
    if isinstance(found, bool) or not isinstance(found, int):
        raise Wrong(f"{what} is {shown(found)}; expected a whole number")
    return found


def as_amount(found: object, what: str, least: int = 0) -> int:
    """A size or cost."""
    number = as_integer(found, what)
    if not least <= number <= LARGEST:
        raise Wrong(f"{what} is {shown(number)}; expected {least} to 2^61")
    return number


# Graphs


class Node(NamedTuple):
    """A node by names."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    cost: int
    workspace: int
    again: bool
    engine: str = ""


class Value(NamedTuple):
    """A value; ``fixed`` where it is resident."""

    name: str
    size: int
    fixed: bool


class Graph:
    """A graph by numbers of nodes and values.

    Attributes:
        nodes, values: What it was made of.
        node_of, value_of: Numbers by name.
        reads, makes: Per node, values.
        readers: Per value, nodes.
        maker: Per value, its producer, -1 for the graph's inputs.
        order: Nodes.
        base, unit: Sum, of the busiest engine, and greatest common divisor of the costs.
        engines: The computation's, which has an empty name, and what nodes run on beside it.
        held: Bytes of the inputs.
        extent: Nodes, values and reads together: what a pass over the graph takes.
    """

    def __init__(self, nodes: Sequence[Node], values: Sequence[Value], order: Sequence[str]) -> None:
        self.nodes, self.values = tuple(nodes), tuple(values)
        self.node_of = {node.name: i for i, node in enumerate(nodes)}
        self.value_of = {value.name: i for i, value in enumerate(values)}
        if len(self.node_of) < len(nodes) or len(self.value_of) < len(values) or not nodes:
            raise Wrong("the graph has no nodes, or two nodes or two values of one name")
        self.reads = [self._numbers(node.inputs, node) for node in nodes]
        self.makes = [self._numbers(node.outputs, node) for node in nodes]
        self.maker = [-1] * len(values)
        self.readers: list[list[int]] = [[] for _ in values]
        for v, (read, made) in enumerate(zip(self.reads, self.makes, strict=True)):
            for x in read:
                self.readers[x].append(v)
            for x in made:
                if self.maker[x] >= 0:
                    raise Wrong(f"value {self.values[x].name!r} is made twice")
                self.maker[x] = v
        self.order = self.ordered(order)
        self.engines = ["", *sorted({node.engine for node in nodes} - {""})]
        self.base = max(sum(node.cost for node in nodes if node.engine == name) for name in self.engines)
        self.unit = gcd(*(node.cost for node in nodes)) or 1
        self.held = sum(value.size for value, maker in zip(values, self.maker, strict=True) if maker < 0)
        self.extent = len(nodes) + len(values) + sum(map(len, self.reads))
        self._check()

    def _numbers(self, names: Iterable[str], node: Node) -> list[int]:
        for name in names:
            if name not in self.value_of:
                raise Wrong(f"node {node.name!r} has unknown value {name!r}")
        return [self.value_of[name] for name in names]

    def ordered(self, names: Sequence[str]) -> list[int]:
        """The nodes of an order.

        Raises:
            Wrong: If it is no topological order of all of them.
        """
        if len(names) != len(self.nodes) or set(names) != set(self.node_of):
            raise Wrong("an order does not name every node once")
        order = [self.node_of[name] for name in names]
        place = {v: t for t, v in enumerate(order)}
        for v in order:
            if any(self.maker[x] >= 0 and place[self.maker[x]] >= place[v] for x in self.reads[v]):
                raise Wrong(f"an order runs node {self.nodes[v].name!r} before one that makes its input")
        return order

    def _check(self) -> None:
        if any(maker < 0 and not value.fixed for value, maker in zip(self.values, self.maker, strict=True)):
            raise Wrong("the graph has a value that no node makes and that is not resident")
        sizes = sum(value.size for value in self.values) + sum(node.workspace for node in self.nodes)
        if max(sizes, sum(node.cost for node in self.nodes)) > LARGEST:
            raise Wrong("sizes or costs add up to more than 2^61")

    def size(self, values: Iterable[int]) -> int:
        """Bytes of some values."""
        return sum(self.values[x].size for x in values)

    def droppable(self, x: int) -> bool:
        """Whether a schedule may free a value."""
        return self.maker[x] >= 0 and not self.values[x].fixed

    def hash(self) -> str:
        """What a plan file has to say about it."""
        content = [
            [list(value) for value, maker in zip(self.values, self.maker, strict=True) if maker < 0],
            [
                [n.name, n.inputs, [list(self.values[x]) for x in self.makes[v]], n.cost, n.workspace, n.again]
                + ([n.engine] if n.engine else [])
                for v, n in enumerate(self.nodes)
            ],
            [self.nodes[v].name for v in self.order],
        ]
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def read_graph(found: object) -> Graph:
    """The graph of a plan file."""
    data = as_object(found, "the graph")
    if data.get("schema") != "hcp-graph/1":
        raise Wrong(f"the graph has schema {shown(data.get('schema'))}; expected 'hcp-graph/1'")
    listed = [as_object(item, "a value") for item in as_list(data.get("values"), "values")]
    sources = {
        as_text(item.get("name"), "the name of a value")
        for item in listed
        if item.get("kind") in ("input", "parameter")
    }
    nodes = [_node(as_object(item, "a node")) for item in as_list(data.get("nodes"), "nodes")]
    if any(name in sources for node in nodes for name in node.outputs):
        raise Wrong("a node makes an input or a parameter")
    return Graph(nodes, [_value(item) for item in listed], as_texts(data.get("order"), "the graph's order"))


def _value(data: Json) -> Value:
    name = as_text(data.get("name"), "the name of a value")
    kind = data.get("kind", "activation")
    if not name or kind not in ("input", "parameter", "activation", "gradient", "output"):
        raise Wrong(f"value {name!r} has no name, or kind {shown(kind)}")
    fixed = as_flag(data.get("resident", False), f"resident of value {name!r}")
    return Value(
        name, as_amount(data.get("bytes"), f"bytes of value {name!r}"), fixed or kind in ("input", "parameter")
    )


def _node(data: Json) -> Node:
    name = as_text(data.get("name"), "the name of a node")
    if not name:
        raise Wrong("a node has no name")
    engine = as_text(data.get("engine", ""), f"engine of node {name!r}")
    if engine and data.get("workspace", 0):
        raise Wrong(f"node {name!r} has an engine and a workspace")
    return Node(
        name,
        tuple(dict.fromkeys(as_texts(data.get("inputs"), f"inputs of node {name!r}"))),
        tuple(as_texts(data.get("outputs"), f"outputs of node {name!r}")),
        as_amount(data.get("cost"), f"cost of node {name!r}"),
        as_amount(data.get("workspace", 0), f"workspace of node {name!r}"),
        as_flag(data.get("recomputable", True), f"recomputable of node {name!r}"),
        engine,
    )


# Schedules


class Host(NamedTuple):
    """A host link; ``capacity`` is None without a limit, ``overlap`` says whether copies overlap the computation."""

    offload_rate: int
    fetch_rate: int
    latency: int
    capacity: int | None
    overlap: bool = False

    def offload(self, size: int) -> int:
        """Cost of moving so many bytes out."""
        return self.latency + -(-size * PER // self.offload_rate)

    def fetch(self, size: int) -> int:
        """Cost of moving so many bytes back."""
        return self.latency + -(-size * PER // self.fetch_rate)


def read_host(found: object) -> Host | None:
    """A link, or None for null."""
    if found is None:
        return None
    data = as_object(found, "the host")
    capacity = data.get("capacity")
    return Host(
        as_amount(data.get("offload_rate"), "offload_rate", 1),
        as_amount(data.get("fetch_rate"), "fetch_rate", 1),
        as_amount(data.get("latency"), "latency"),
        None if capacity is None else as_amount(capacity, "capacity"),
        as_flag(data.get("overlap", False), "overlap"),
    )


@dataclass
class Clock:
    """When things happen, with an engine for copies each way; where copies do not overlap, all wait their turn.

    Nodes may have engines of their own.

    Attributes:
        now: When the computation is where it is.
        free: When each engine is done.
        there: When values are there that are being fetched, or made beside the computation.
        out: When the copies on the host are complete.
        leaving: When values may go that are being copied, or read beside the computation.
        room: When the host has the memory that was given back.
    """

    now: int = 0
    free: dict[str, int] = field(default_factory=lambda: {"offload": 0, "fetch": 0})
    there: dict[int, int] = field(default_factory=dict)
    out: dict[int, int] = field(default_factory=dict)
    leaving: dict[int, int] = field(default_factory=dict)
    room: int = 0

    def run(self, reads: Sequence[int], makes: Sequence[int], node: Node) -> None:
        """Runs a node, whose outputs replace what is under way."""
        if node.engine:
            for x in makes:
                self.drop(x)
            key = f"of nodes: {node.engine}"
            begin = max([self.now, self.free.get(key, 0), *(self.there.get(x, 0) for x in reads)])
            end = self.free[key] = begin + node.cost
            self.leaving |= {x: max(end, self.leaving.get(x, 0)) for x in reads}
            self.there |= dict.fromkeys(makes, end)
            return
        cost = node.cost
        self.now = max([self.now, *(self.there.get(x, 0) for x in reads)]) + cost
        for x in makes:
            self.drop(x)

    def drop(self, x: int) -> None:
        """Frees a value."""
        self.now = max(self.now, self.there.pop(x, 0), self.leaving.pop(x, 0))

    def copy(self, host: Host, kind: str, x: int, size: int, last: bool) -> None:
        """Starts a copy; where it is a value's last fetch, the host's memory is free after it."""
        begin = max(self.now, self.free[kind])
        if kind == "offload":
            begin = max(begin, self.there.get(x, 0), self.room if host.capacity is not None else 0)
            end = self.out[x] = begin + host.offload(size)
            self.leaving[x] = max(end, self.leaving.get(x, 0))
        else:
            end = self.there[x] = max(begin, self.out[x]) + host.fetch(size)
            self.room = max(self.room, end if last else 0)
        self.free[kind] = end
        self.now = self.now if host.overlap else end

    @property
    def makespan(self) -> int:
        """When all is done."""
        return max(self.now, *self.free.values())


@dataclass
class Replay:
    """A schedule that is run action by action.

    Attributes:
        graph, host: What it is for.
        work: That it may take.
        ends: Positions of transfers after which the copy of their value is gone.
        clock: When all that happens.
    """

    graph: Graph
    host: Host | None
    work: Work
    ends: set[int]
    clock: Clock
    peak: int = 0
    held: int = 0
    copied: int = 0
    first: list[int] = field(default_factory=list)
    live: set[int] = field(default_factory=set)
    copies: set[int] = field(default_factory=set)
    ran: set[int] = field(default_factory=set)

    @property
    def cost(self) -> int:
        """When all is done."""
        return self.clock.makespan

    def compute(self, name: str) -> None:
        """Runs a node."""
        v = self.graph.node_of.get(name, -1)
        if v < 0:
            raise Wrong(f"the schedule computes unknown node {name!r}")
        node = self.graph.nodes[v]
        self.work.spend(2 + len(node.inputs) + len(node.outputs))
        if v in self.ran and not node.again:
            raise Wrong(f"the schedule runs node {name!r} again, which must run once")
        if not self.live.issuperset(self.graph.reads[v]):
            raise Wrong(f"the schedule runs node {name!r} while one of its inputs is not live")
        if v not in self.ran:
            self.ran.add(v)
            self.first.append(v)
        self.clock.run(self.graph.reads[v], self.graph.makes[v], node)
        self.peak = max(self.peak, self.held + node.workspace + self.graph.size(self.graph.makes[v]))
        fresh = [x for x in self.graph.makes[v] if x not in self.live]
        self.held += self.graph.size(fresh)
        self.live.update(fresh)

    def move(self, kind: str, name: str, position: int) -> None:
        """Frees, offloads or fetches a value."""
        x = self.graph.value_of.get(name, -1)
        if x < 0 or self.graph.values[x].fixed:
            raise Wrong(f"the schedule has {kind} of {name!r}, which is unknown or resident")
        if (x in self.live) == (kind == "fetch"):
            raise Wrong(
                f"the schedule has {kind} of {name!r} at a time when it is {'' if x in self.live else 'not '}live"
            )
        size = self.graph.values[x].size
        if kind == "free":
            self.live.discard(x)
            self.held -= size
            self.clock.drop(x)
            return
        if self.host is None:
            raise Wrong(f"the schedule has {kind} of {name!r}, but there is no host")
        if kind == "offload":
            self._offload(self.host, x, size)
        else:
            if x not in self.copies:
                raise Wrong(f"the schedule fetches {name!r}, of which the host has no copy")
            self.live.add(x)
            self.held += size
        self.clock.copy(self.host, kind, x, size, position in self.ends)
        self.peak = max(self.peak, self.held)
        if position in self.ends:
            self.copies.discard(x)
            self.copied -= size

    def _offload(self, host: Host, x: int, size: int) -> None:
        self.copies.add(x)
        self.copied += size
        if host.capacity is not None and self.copied > host.capacity:
            raise Wrong(f"the host holds {self.copied} bytes, over its capacity of {host.capacity}")


def read_actions(found: object) -> list[tuple[str, str]]:
    """The schedule of a plan file."""
    actions = []
    for item in as_list(found, "actions"):
        pair = as_texts(item, "an action")
        if len(pair) != 2 or pair[0] not in {"compute", "free", "offload", "fetch"}:
            raise Wrong(f"an action is {shown(item)}; expected its kind and a name")
        actions.append((pair[0], pair[1]))
    return actions


def replay(graph: Graph, actions: Sequence[tuple[str, str]], host: Host | None, work: Work) -> Replay:
    """Runs a schedule.

    Raises:
        Wrong: Where it is illegal.
    """
    ends, awaited = set(), set()
    for position in range(len(actions) - 1, -1, -1):
        kind, name = actions[position]
        if kind in {"offload", "fetch"} and name not in awaited:
            ends.add(position)
        if kind == "fetch":
            awaited.add(name)
        elif kind == "offload":
            awaited.discard(name)
    inputs = {x for x, maker in enumerate(graph.maker) if maker < 0}
    run = Replay(graph, host, work, ends, Clock(), held=graph.held, live=inputs)
    for position, (kind, name) in enumerate(actions):
        if kind == "compute":
            run.compute(name)
        else:
            run.move(kind, name, position)
    if len(run.ran) < len(graph.nodes):
        raise Wrong("the schedule does not run every node")
    return run


# Rows of linear models


# Terms are pairs of a coefficient and a column; this column is the constant 1.
ONE: Final = -1
Terms = list[tuple[int, int]]


class Row(NamedTuple):
    """``sum of entries * columns <= limit`` in normal form; ``digits`` are those of its largest entry, less one."""

    entries: dict[int, int]
    limit: int
    digits: int


def normal(terms: Iterable[tuple[int, int]], limit: int, work: Work) -> Row:
    """Adds up equal columns and moves constants to the right side."""
    entries: dict[int, int] = {}
    for coefficient, column in terms:
        work.spend(1)
        if column == ONE:
            limit -= coefficient
        else:
            entries[column] = entries.get(column, 0) + coefficient
    entries = {column: entry for column, entry in entries.items() if entry}
    largest = max(map(abs, entries.values()), default=1)
    return Row(entries, limit, largest.bit_length() - 1)


def negative(terms: Terms) -> Terms:
    """Terms with the other sign."""
    return [(-coefficient, column) for coefficient, column in terms]


def column(found: Terms) -> int | None:
    """The column that terms are, if they are one."""
    return found[0][1] if len(found) == 1 and found[0][1] != ONE else None


C, R, S, Q = range(4)


@dataclass(frozen=True)
class Numbering:
    """Columns as numbers: of a kind, an item and a stage below ``stages``."""

    stages: int

    def number(self, kind: int, item: int, stage: int) -> int:
        """The number of a column."""
        return (item * self.stages + stage) * 4 + kind

    def runs_of(self, number: int) -> int | None:
        """The node of which a column is a run, if it is one."""
        return number // 4 // self.stages if number % 4 == R else None


class Model(ABC):
    """Columns and rows by name; ``price`` gives the costs of columns, ``constant`` what all points cost."""

    def __init__(self, graph: Graph, budget: int, stages: int, work: Work) -> None:
        self.graph, self.budget, self.work = graph, budget, work
        work.spend(50)
        self.numbering = Numbering(stages)
        self.constant = 0

    def price(self, column: int) -> int:
        """Cost of a column."""
        v = self.numbering.runs_of(column)
        return 0 if v is None else self.graph.nodes[v].cost

    def edge(self, names: Sequence[str]) -> tuple[int, int, int]:
        """Reader, value and producer by names."""
        w, x = self.graph.node_of.get(names[0], -1), self.graph.value_of.get(names[1], -1)
        self.work.spend(1 + (len(self.graph.reads[w]) // 16 if w >= 0 else 0))
        if w < 0 or x < 0 or x not in self.graph.reads[w] or self.graph.maker[x] < 0:
            raise Wrong(f"node {names[0]!r} does not read a made value {names[1]!r}")
        return w, x, self.graph.maker[x]

    def dropped(self, name: str) -> tuple[int, int]:
        """A droppable value and its producer by name."""
        x = self.graph.value_of.get(name, -1)
        if x < 0 or not self.graph.droppable(x):
            raise Wrong(f"{name!r} is no droppable value")
        return x, self.graph.maker[x]

    @abstractmethod
    def terms(self, family: str, names: Sequence[str], k: int) -> tuple[Terms, int]:
        """Terms and right side of a row.

        Raises:
            Wrong: If there is no such row.
        """

    def row(self, found: object) -> Row:
        """The row that a file names."""
        match found:
            case [str(family), *names, int(stage)] if not isinstance(stage, bool):
                self.work.spend(20)
                texts = as_texts(list(names), "the names of a row")
                return normal(*self.terms(family, texts, stage), self.work)
        raise Wrong(f"a row is {shown(found)}; expected a family, names and a stage")

    def rows(self, found: object) -> list[Row]:
        """The rows that a file names, each once."""
        items = as_list(found, "rows")
        rows, entries = [], 0
        for item in items:
            rows.append(self.row(item))
            entries += len(rows[-1].entries) + 8
            if entries > MOST_ENTRIES:
                raise Beyond(f"beyond the limit of {MOST_ENTRIES:,} entries of rows")
        if len({json.dumps(item) for item in items}) < len(items):
            raise Wrong("a row is named twice")
        return rows


def no_row(family: str, names: Sequence[str], k: int) -> Wrong:
    """What is wrong where there is no row of a name."""
    return Wrong(f"there is no row {shown([family, *names, k])}")


class Chain(Model):
    """The cut relaxation of a graph, a budget and a chain."""

    def __init__(self, graph: Graph, budget: int, names: Sequence[str], work: Work) -> None:
        self.chain = [graph.node_of.get(name, -1) for name in names]
        if not self.chain or min(self.chain) < 0 or len(set(self.chain)) < len(self.chain):
            raise Wrong("the chain is empty, or names what is no node, or one twice")
        super().__init__(graph, budget, len(self.chain) + 2, work)
        work.spend(10 * graph.extent)
        self.first, self.last = self._windows()
        self.once = self._singles()
        self.horizon = self._horizons()
        self.reach = [max((self.horizon[w] for w in ws), default=-1) for ws in graph.readers]
        fixed = (v for v in range(len(graph.nodes)) if self.once[v] or self.first[v] == self.last[v])
        self.constant = sum(graph.nodes[v].cost for v in fixed)
        self._memory: dict[int, Row] = {}

    def _windows(self) -> tuple[list[int], list[int]]:
        graph, place = self.graph, {b: k for k, b in enumerate(self.chain)}
        first, last = [0] * len(graph.nodes), [len(self.chain)] * len(graph.nodes)
        for v in graph.order:
            makers = [graph.maker[x] for x in graph.reads[v] if graph.maker[x] >= 0]
            first[v] = max((max(first[p], place.get(p, -1) + 1) for p in makers), default=0)
        for v in reversed(graph.order):
            later = [last[w] for x in graph.makes[v] for w in graph.readers[x]]
            last[v] = place.get(v, min(later, default=len(self.chain)))
        # In topological order nothing but earlier nodes of the chain can be above one of its nodes.
        rank = {v: t for t, v in enumerate(graph.order)}
        if any(rank[a] >= rank[b] for a, b in pairwise(self.chain)):
            raise Wrong("the nodes of the chain are not ancestors, each of the next")
        if any(first[b] != k for k, b in enumerate(self.chain)):
            raise Wrong("the nodes of the chain are not ancestors, each of the next")
        return first, last

    def _singles(self) -> list[bool]:
        graph = self.graph
        once = [not node.again for node in graph.nodes]
        for v in reversed(graph.order):
            readers = {w for x in graph.makes[v] for w in graph.readers[x]}
            idle = all(graph.values[x].fixed or not graph.readers[x] for x in graph.makes[v])
            once[v] = once[v] or idle or (len(readers) == 1 and once[min(readers)])
        return once

    def _horizons(self) -> list[int]:
        graph, horizon = self.graph, list(self.last)
        for v in reversed(graph.order):
            if not self.once[v]:
                uses = (horizon[w] for x in graph.makes[v] if not graph.values[x].fixed for w in graph.readers[x])
                horizon[v] = max(horizon[v], *uses, 0)
        return horizon

    def births(self, v: int, k: int) -> Terms:
        """C[v,k]."""
        if k >= self.last[v]:
            return [(1, ONE)]
        return [(1, self.numbering.number(C, v, k))] if k >= self.first[v] else []

    def runs(self, v: int, k: int) -> Terms:
        """R[v,k]."""
        if self.once[v]:
            return self.births(v, k) + negative(self.births(v, k - 1))
        if self.first[v] == self.last[v] == k:
            return [(1, ONE)]
        return [(1, self.numbering.number(R, v, k))] if self.first[v] <= k <= self.horizon[v] else []

    def saves(self, x: int, k: int) -> Terms:
        """S[x,k] of a value with a producer."""
        p = self.graph.maker[x]
        if self.graph.values[x].fixed:
            return self.births(p, k - 1)
        return [(1, self.numbering.number(S, x, k))] if self.first[p] < k <= self.reach[x] else []

    def flows(self, w: int, x: int, k: int) -> Terms:
        """Q[w,x,k]."""
        if k == self.first[w]:
            return self.saves(x, k)
        item = w * len(self.graph.values) + x
        return [(1, self.numbering.number(Q, item, k))] if self.first[w] < k <= self.last[w] else []

    def starts(self, v: int, k: int) -> Terms:
        """C[v,k] - C[v,k-1]."""
        return self.births(v, k) + negative(self.births(v, k - 1))

    def terms(self, family: str, names: Sequence[str], k: int) -> tuple[Terms, int]:
        """See the class above."""
        kinds: dict[str, tuple[int, Callable[[Sequence[str], int], Terms | None]]] = {
            "grow": (1, self._grow),
            "first": (1, self._first),
            "run-after": (2, self._run_after),
            "birth-after": (2, self._birth_after),
            "needs": (2, self._needs),
            "carry": (1, self._carry),
            "made": (1, self._made),
            "held": (2, self._held),
            "flow": (2, self._flow),
        }
        if family == "memory" and not names and 0 <= k < len(self.chain):
            row = self.memory(k)
            return [(entry, j) for j, entry in row.entries.items()], row.limit
        count, build = kinds.get(family, (-1, None))
        found = build(names, k) if build is not None and len(names) == count else None
        if found is None:
            raise no_row(family, names, k)
        return found, 0

    def _node(self, name: str) -> int:
        v = self.graph.node_of.get(name, -1)
        if v < 0:
            raise Wrong(f"{name!r} is no node")
        return v

    def _grow(self, names: Sequence[str], k: int) -> Terms | None:
        v = self._node(names[0])
        inside = self.first[v] < k <= self.last[v]
        return self.births(v, k - 1) + negative(self.births(v, k)) if inside else None

    def _first(self, names: Sequence[str], k: int) -> Terms | None:
        v = self._node(names[0])
        inside = not self.once[v] and self.first[v] <= k <= self.last[v]
        return self.starts(v, k) + negative(self.runs(v, k)) if inside else None

    def _run_after(self, names: Sequence[str], k: int) -> Terms | None:
        w, _, p = self.edge(names)
        return self.runs(w, k) + negative(self.births(p, k)) if self._useful(w, k) else None

    def _birth_after(self, names: Sequence[str], k: int) -> Terms | None:
        w, _, p = self.edge(names)
        return self.births(w, k) + negative(self.births(p, k)) if self._useful(w, k) else None

    def _needs(self, names: Sequence[str], k: int) -> Terms | None:
        w, x, p = self.edge(names)
        if not (self.graph.droppable(x) and self._useful(w, k)):
            return None
        return self.runs(w, k) + negative(self.runs(p, k) + self.saves(x, k))

    def _useful(self, w: int, k: int) -> bool:
        return self.first[w] <= k <= self.horizon[w]

    def _carry(self, names: Sequence[str], k: int) -> Terms | None:
        x, p = self.dropped(names[0])
        if not 1 <= k <= self.reach[x]:
            return None
        return self.saves(x, k) + negative(self.saves(x, k - 1) + self.runs(p, k - 1))

    def _made(self, names: Sequence[str], k: int) -> Terms | None:
        x, p = self.dropped(names[0])
        return self.saves(x, k) + negative(self.births(p, k - 1)) if 1 <= k <= self.reach[x] else None

    def _held(self, names: Sequence[str], k: int) -> Terms | None:
        w, x, _ = self.edge(names)
        inside = self.graph.droppable(x) and self.first[w] < k <= self.last[w]
        return self.flows(w, x, k) + negative(self.saves(x, k)) if inside else None

    def _flow(self, names: Sequence[str], k: int) -> Terms | None:
        w, x, p = self.edge(names)
        spread = self.graph.droppable(x) and self.first[w] < self.last[w]
        if not (spread and self.first[w] <= k <= self.last[w]):
            return None
        here = self.starts(w, k) + self.flows(w, x, k + 1)
        return here + negative(self.flows(w, x, k) + self.runs(p, k))

    def memory(self, k: int) -> Row:
        """The memory row of a stage."""
        if k not in self._memory:
            graph, b = self.graph, self.chain[k]
            touched = {x for x in (*graph.reads[b], *graph.makes[b]) if graph.maker[x] >= 0}
            room = self.budget - graph.held - graph.nodes[b].workspace - graph.size(touched)
            others = (x for x, maker in enumerate(graph.maker) if maker >= 0 and x not in touched)
            self.work.spend(len(graph.values))
            terms = ((graph.values[x].size * sign, j) for x in others for sign, j in self.saves(x, k + 1))
            self._memory[k] = normal(terms, room, self.work)
            if sum(len(row.entries) for row in self._memory.values()) > MOST_ENTRIES:
                raise Beyond(f"beyond the limit of {MOST_ENTRIES:,} entries of rows")
        return self._memory[k]

    def cut(self, found: object) -> Row:
        """The row of a cut.

        Raises:
            Wrong: If it is not valid.
            Beyond: If its family is unknown.
        """
        data = as_object(found, "a cut")
        match data.get("family"):
            case "path/1" | "path":
                return self._path(data)
            case "rounded-memory/1" | "rounded-memory":
                return self._rounded(data)
            case other:
                raise Beyond(f"cuts of family {shown(other)} are not known here")

    def _path(self, data: Json) -> Row:
        reader = as_text(data.get("reader"), "the reader of a path cut")
        stage, w = as_integer(data.get("stage"), "the stage of a path cut"), self._node(reader)
        pairs = [as_list(item, "a step") for item in as_list(data.get("steps"), "steps")]
        if not pairs or any(len(pair) != 2 for pair in pairs) or not 0 <= stage <= len(self.chain):
            raise Wrong("a path cut has no steps, or no such stage")
        steps = [(as_text(x, "the value of a step"), as_integer(k, "the stage of a step")) for x, k in pairs]
        if as_flag(data.get("first"), "first of a path cut"):
            terms = self.births(w, stage) + negative(self.births(w, steps[0][1] - 1))
        else:
            terms = self.runs(w, stage)
        ends = [k for _, k in steps[1:]] + [stage + 1]
        for (name, k), end in zip(steps, ends, strict=True):
            if not 0 <= k <= stage:
                raise Wrong("a path cut has a step after its stage, or before all")
            _, x, p = self.edge([reader, name])
            self.work.spend(max(1, end - k))
            terms += negative(self.saves(x, k))
            for j in range(k, end):
                terms += negative(self.runs(p, j))
            reader = self.graph.nodes[p].name
        return normal(terms, 0, self.work)

    def _rounded(self, data: Json) -> Row:
        k = as_integer(data.get("stage"), "the stage of a rounded row")
        divisor = as_amount(data.get("divisor"), "the divisor of a rounded row", 1)
        if not 0 <= k < len(self.chain):
            raise Wrong("a rounded row has no such stage")
        memory, missing = self.memory(k), set()
        for name in as_texts(data.get("missing"), "missing"):
            x = self.graph.value_of.get(name, -1)
            j = column(self.saves(x, k + 1)) if x >= 0 and self.graph.maker[x] >= 0 else None
            if j is None or j not in memory.entries:
                raise Wrong(f"{name!r} is not in the memory row of stage {k}")
            missing.add(j)
        self.work.spend(4 * len(memory.entries))
        sizes = {j: -size if j in missing else size for j, size in memory.entries.items()}
        quotient, rest = divmod(memory.limit - sum(memory.entries[j] for j in missing), divisor)
        scaled = {j: size // divisor * (divisor - rest) + max(0, size % divisor - rest) for j, size in sizes.items()}
        limit = (divisor - rest) * quotient - sum(scaled[j] for j in missing)
        unit = reduce(gcd, scaled.values(), 0) or 1
        terms = [((-g if j in missing else g) // unit, j) for j, g in scaled.items()]
        return normal(terms, limit // unit, self.work)


class Staged(Model):
    """The end rows of the staged model, for the graph's own order."""

    def __init__(self, graph: Graph, budget: int, work: Work) -> None:
        super().__init__(graph, budget, len(graph.nodes) + 2, work)
        work.spend(15 * graph.extent)
        self.constant = graph.base
        self.at = [0] * len(graph.nodes)
        for t, v in enumerate(graph.order):
            self.at[v] = t
        self.horizon = list(self.at)
        for v in reversed(graph.order):
            if graph.nodes[v].again:
                uses = (self.horizon[w] for x in graph.makes[v] if not graph.values[x].fixed for w in graph.readers[x])
                self.horizon[v] = max(self.at[v], *uses, 0)
        self.reach = [max((self.horizon[w] for w in ws), default=-1) for ws in graph.readers]
        self.kept = [graph.held]
        for v in graph.order:
            made = (x for x in graph.makes[v] if graph.values[x].fixed)
            self.kept.append(self.kept[-1] + graph.size(made))
        self.tight = self._tight()

    def _tight(self) -> int:
        graph, n = self.graph, len(self.graph.nodes)
        change = [0] * (n + 2)
        for x, p in enumerate(graph.maker):
            if graph.droppable(x) and self.reach[x] > self.at[p]:
                change[self.at[p] + 1] += graph.values[x].size
                change[self.reach[x] + 1] -= graph.values[x].size
        live = 0
        for t, v in enumerate(graph.order):
            live += change[t]
            if self.kept[t] + live + graph.size(graph.makes[v]) + graph.nodes[v].workspace > self.budget:
                return t
        return n

    def runs(self, v: int, t: int) -> Terms:
        """R[v,t]."""
        if t == self.at[v]:
            return [(1, ONE)]
        inside = max(self.at[v] + 1, self.tight) <= t <= self.horizon[v]
        return [(1, self.numbering.number(R, v, t))] if inside else []

    def saves(self, x: int, t: int) -> Terms:
        """S[x,t]."""
        if not self.at[self.graph.maker[x]] < t <= self.reach[x]:
            return []
        return [(1, self.numbering.number(S, x, t) if t >= self.tight else ONE)]

    def terms(self, family: str, names: Sequence[str], k: int) -> tuple[Terms, int]:
        """See the class above."""
        if family == "needs" and len(names) == 2:
            w, x, p = self.edge(names)
            if self.graph.droppable(x) and self.at[w] <= k <= self.horizon[w]:
                return self.runs(w, k) + negative(self.runs(p, k) + self.saves(x, k)), 0
        elif family == "carry" and len(names) == 1:
            x, p = self.dropped(names[0])
            if 1 <= k <= len(self.at) and self.saves(x, k):
                return self.saves(x, k) + negative(self.saves(x, k - 1) + self.runs(p, k - 1)), 0
        elif family == "end" and not names and 0 <= k < len(self.at):
            return self._end(k)
        raise no_row(family, names, k)

    def _end(self, t: int) -> tuple[Terms, int]:
        graph, v = self.graph, self.graph.order[t]
        read = {x for x in graph.reads[v] if graph.droppable(x)}
        room = self.budget - self.kept[t] - graph.nodes[v].workspace - graph.size(graph.makes[v]) - graph.size(read)
        self.work.spend(len(graph.values))
        terms = [
            (graph.values[x].size * sign, j)
            for x, p in enumerate(graph.maker)
            if graph.droppable(x) and self.at[p] < t and x not in read
            for sign, j in self.saves(x, t + 1)
        ]
        return terms, room


# Multipliers


def read_denominator(data: Json) -> int:
    """The denominator of a certificate."""
    denominator = as_integer(data.get("denominator"), "the denominator")
    if denominator <= 0:
        raise Wrong("the denominator is not above 0")
    return denominator


def read_multipliers(listed: object, count: int) -> dict[int, int]:
    """Numerators by place."""
    found: dict[int, int] = {}
    for item in as_list(listed, "multipliers"):
        pair = as_list(item, "a multiplier")
        if len(pair) != 2:
            raise Wrong(f"a multiplier is {shown(item)}; expected a place and a numerator")
        place, numerator = as_integer(pair[0], "a place"), as_integer(pair[1], "a numerator")
        if not 0 <= place < count or numerator < 0 or place in found:
            raise Wrong(f"multiplier {shown(item)} has no row, one that has another, or is below 0")
        found[place] = numerator
    return found


def combined(model: Model, rows: Sequence[Row], data: Json) -> int:
    """What multipliers on rows prove: of the cost, or of the peak."""
    numerators, denominator = read_multipliers(data.get("multipliers"), len(rows)), read_denominator(data)
    of_peak = as_flag(data.get("of_peak", False), "of_peak")
    slopes: dict[int, int] = {}
    total = 0
    for place, numerator in numerators.items():
        row = rows[place]
        model.work.spend(1 + len(row.entries) * (1 + numerator.bit_length() // 512))
        total -= numerator * row.limit
        for j, entry in row.entries.items():
            slopes[j] = slopes.get(j, 0) + numerator * entry
    for j, slope in slopes.items():
        total += min(0, slope if of_peak else slope + denominator * model.price(j))
    if of_peak:
        return model.budget + 1 if total > 0 else 0
    value = Fraction(total, denominator) + model.constant
    return max(ceil(value / model.graph.unit) * model.graph.unit, model.graph.base)


# Trees


LEAF, EMPTY, FIX, COLUMN, SUM = range(5)


class Bytes:
    """Whole numbers out of bytes."""

    def __init__(self, content: bytes, work: Work) -> None:
        self.content, self.work, self.place = content, work, 0

    def number(self, most: int | None = None) -> int:
        """The next number; with ``most``, one from 0 to that."""
        rest = digits = 0
        while True:
            if self.place == len(self.content) or digits > MOST_DIGITS:
                raise Wrong("the bytes of the tree end too early, or have too large a number")
            byte = self.content[self.place]
            self.place += 1
            rest |= (byte & 127) << digits
            digits += 7
            if byte < 128:
                break
        self.work.spend(1 + digits // 64)
        value = rest // 2 if rest % 2 == 0 else -(rest // 2) - 1
        if most is not None and not 0 <= value <= most:
            raise Wrong("the tree has a number out of its range")
        return value


def unpacked(found: object, work: Work) -> bytes:
    """The bytes of a tree."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(base64.b64decode(as_text(found, "the tree"), validate=True), MOST_TREE + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise Wrong(f"the tree cannot be unpacked: {error}") from None
    work.spend(len(content) // 8)
    if len(content) > MOST_TREE:
        raise Beyond(f"the tree is beyond the limit of {MOST_TREE:,} bytes")
    if not stream.eof or stream.unused_data:
        raise Wrong("the stream of the tree ends too early, or is followed by more bytes")
    return content


class RunSum(NamedTuple):
    """How often nodes run: ``constant`` plus some columns."""

    columns: tuple[int, ...]
    constant: int


class Sloped(NamedTuple):
    """A value ``numerator / 2^digits``, and the slopes of the columns mentioned in this unit."""

    numerator: int
    digits: int
    slopes: dict[int, int]


@dataclass
class Box:
    """Bounds of columns and sums, with a list of changes that can be taken back.

    Attributes:
        price: Cost of a column.
        ones, zeros: Columns with ``low`` 1, and with ``high`` 0.
        least, most: Of sums, where they are not 0 and without a limit.
        cost: Of all columns in ``ones``.
    """

    price: Callable[[int], int]
    ones: set[int] = field(default_factory=set)
    zeros: set[int] = field(default_factory=set)
    least: dict[int, int] = field(default_factory=dict)
    most: dict[int, int] = field(default_factory=dict)
    cost: int = 0
    trail: list[tuple[int, int, int | None]] = field(default_factory=list)

    def fix(self, j: int, at_one: bool) -> None:
        """Raises the lower bound of a column, or lowers the upper one."""
        chosen = self.ones if at_one else self.zeros
        if j not in chosen:
            chosen.add(j)
            self.trail.append((1 if at_one else 0, j, None))
            self.cost += self.price(j) if at_one else 0

    def limit(self, s: int, least: int | None, most: int | None) -> None:
        """Narrows the bounds of a sum."""
        if least is not None:
            self.trail.append((2, s, self.least.get(s)))
            self.least[s] = max(self.least.get(s, 0), least)
        if most is not None:
            self.trail.append((3, s, self.most.get(s)))
            self.most[s] = min(self.most.get(s, most), most)

    def back(self, mark: int) -> None:
        """Takes back all changes but the first ``mark``."""
        while len(self.trail) > mark:
            kind, key, before = self.trail.pop()
            if kind < 2:
                (self.ones if kind else self.zeros).discard(key)
                self.cost -= self.price(key) if kind else 0
                continue
            bounds = self.least if kind == 2 else self.most
            if before is None:
                del bounds[key]
            else:
                bounds[key] = before


class Tree:
    """A tree over the cut relaxation, which is read and checked in one pass."""

    def __init__(self, model: Chain, data: Json) -> None:
        self.model, self.work, self.graph = model, model.work, model.graph
        self.rows = model.rows(data.get("rows"))
        self.rows += [model.cut(item) for item in as_list(data.get("cuts"), "cuts")]
        self.columns = [self._column(item) for item in as_list(data.get("columns"), "columns")]
        self.sums = [self._sum(item) for item in as_list(data.get("sums"), "sums")]
        entries = sum(len(row.entries) for row in self.rows) + sum(len(each.columns) for each in self.sums)
        if entries > MOST_ENTRIES:
            raise Beyond(f"beyond the limit of {MOST_ENTRIES:,} entries of rows and sums")
        self.of_peak = as_flag(data.get("of_peak", False), "of_peak")
        # Costs are multiples of the unit; what is fixed loses those from the last one up to the cutoff on.
        cutoff = as_amount(data.get("cutoff"), "the cutoff")
        self.cutoff = cutoff - cutoff % self.graph.unit
        self.bytes = Bytes(unpacked(data.get("tree"), self.work), self.work)
        self.box = Box(model.price)
        self.shift = -1
        self.vector: dict[int, int] = {}
        self._priced: list[tuple[int, int]] | None = None

    def _column(self, found: object) -> int:
        match found:
            case [_, _, bool()]:
                j = None
            case [("C" | "R") as kind, str(name), int(k)] if name in self.graph.node_of:
                v = self.graph.node_of[name]
                single = kind == "R" and self.model.once[v]
                j = None if single else column((self.model.births if kind == "C" else self.model.runs)(v, k))
            case ["S", str(name), int(k)]:
                x, _ = self.model.dropped(name)
                j = column(self.model.saves(x, k))
            case _:
                j = None
        if j is None:
            raise Wrong(f"{shown(found)} is no column")
        return j

    def _sum(self, found: object) -> RunSum:
        names = as_texts(found, "a sum")
        nodes = [self.graph.node_of.get(name, -1) for name in names]
        if not nodes or min(nodes) < 0 or len(set(nodes)) < len(nodes) or any(self.model.once[v] for v in nodes):
            raise Wrong(f"a sum is {shown(found)}; expected different nodes that may run twice")
        columns, constant = [], 0
        for v in nodes:
            self.work.spend(2 + len(self.model.chain))
            for k in range(len(self.model.chain) + 1):
                j = column(self.model.runs(v, k))
                if j is not None:
                    columns.append(j)
                else:
                    constant += len(self.model.runs(v, k))
        return RunSum(tuple(columns), constant)

    def proven(self) -> int:
        """What the tree proves of the cost, or of the peak."""
        bound, unit = self.cutoff, self.graph.unit
        # Each entry: how many changes of the box to keep, and the one to make.
        waiting: list[tuple[int, Callable[[], None]]] = [(0, lambda: None)]
        while waiting:
            mark, change = waiting.pop()
            self.work.spend(50)
            self.box.back(mark)
            change()
            kind = self.bytes.number(SUM)
            if self.of_peak and kind in {LEAF, FIX}:
                raise Wrong("the tree is about the peak, but counts on what parts cost")
            if kind == FIX:
                self.read_vector()
                self.fix_columns(self.value(with_cost=True))
                kind = self.bytes.number(SUM)
            if kind in {COLUMN, SUM}:
                self.work.spend(50)
                lower, upper = self.parts(kind)
                mark = len(self.box.trail)
                waiting += [(mark, upper), (mark, lower)]
                continue
            if kind == FIX:
                raise Wrong("the tree fixes columns twice at one node")
            self.read_vector()
            value = self.value(with_cost=kind == LEAF)
            if kind == EMPTY and value.numerator <= 0:
                raise Wrong("the tree calls a part empty, but does not show it")
            if kind == LEAF:
                bound = min(bound, -(-value.numerator // (unit << value.digits)) * unit)
        if self.bytes.place < len(self.bytes.content):
            raise Wrong("bytes follow the tree")
        return self.model.budget + 1 if self.of_peak else max(bound, self.graph.base)

    def parts(self, kind: int) -> tuple[Callable[[], None], Callable[[], None]]:
        """The changes of the box that a branch makes on either side."""
        if kind == COLUMN:
            j = self.columns[self.bytes.number(len(self.columns) - 1)]
            return (lambda: self.box.fix(j, False)), (lambda: self.box.fix(j, True))
        s, t = self.bytes.number(len(self.sums) - 1), self.bytes.number(MOST_RUNS)
        return (lambda: self.box.limit(s, None, t)), (lambda: self.box.limit(s, t + 1, None))

    def read_vector(self) -> None:
        """Reads multipliers, as changes of those before."""
        places = len(self.sums) + len(self.rows)
        shift, changes = self.bytes.number(MOST_DIGITS), self.bytes.number(places)
        if shift != self.shift:
            self.shift, self.vector = shift, {}
        changed, place = [], 0
        for _ in range(changes):
            place += self.bytes.number(places)
            if place >= places:
                raise Wrong("the tree has a multiplier of a row that there is not")
            changed.append(place)
        for place in changed:
            now = self.vector.pop(place, 0) + self.bytes.number()
            if now:
                self.vector[place] = now
        if any(self.vector.get(place, 0) < 0 for place in changed if place >= len(self.sums)):
            raise Wrong("the tree has a multiplier below 0")

    def value(self, with_cost: bool) -> Sloped:
        """What the multipliers read last prove in the box."""
        count, box = len(self.sums), self.box
        finest = max((self.rows[i - count].digits for i in self.vector if i >= count), default=0)
        digits = self.shift + finest
        slopes: dict[int, int] = {}
        total = (self.model.constant + box.cost) << digits if with_cost else 0
        for i, numerator in self.vector.items():
            if i < count:
                total -= self._of_sum(i, numerator << finest, slopes)
                continue
            row = self.rows[i - count]
            self.work.spend(1 + len(row.entries) * (1 + digits // 512))
            weight = numerator << (finest - row.digits)
            total -= weight * row.limit
            for j, entry in row.entries.items():
                slopes[j] = slopes.get(j, 0) + weight * entry
        for j, slope in slopes.items():
            price = self.model.price(j) << digits if with_cost else 0
            low, high = j in box.ones, j not in box.zeros
            slopes[j] = reduced = slope + price
            total += reduced * (low if reduced >= 0 else high) - price * low
        return Sloped(total, digits, slopes)

    def _of_sum(self, s: int, weight: int, slopes: dict[int, int]) -> int:
        columns, constant = self.sums[s]
        self.work.spend(1 + len(columns))
        limit = self.box.most.get(s) if weight > 0 else self.box.least.get(s, 0)
        if limit is None:
            raise Wrong("the tree counts on the limit of a sum that has none")
        for j in columns:
            slopes[j] = slopes.get(j, 0) + weight
        return weight * (limit - constant)

    def fix_columns(self, value: Sloped) -> None:
        """Fixes the columns whose other value leads to the cutoff."""
        room = ((self.cutoff - self.graph.unit) << value.digits) - value.numerator
        self.work.spend(len(value.slopes))
        found = [(j, slope) for j, slope in value.slopes.items() if abs(slope) > room and j % 4 != Q]
        for price, j in self.priced:
            if price << value.digits <= room:
                break
            self.work.spend(1)
            if j not in value.slopes:
                found.append((j, price))
        for j, slope in found:
            if j not in self.box.ones and j not in self.box.zeros:
                self.box.fix(j, slope <= 0)

    @property
    def priced(self) -> list[tuple[int, int]]:
        """Pairs of cost and column, of all columns that cost something, the dear ones first."""
        if self._priced is None:
            found = []
            for v, node in enumerate(self.graph.nodes):
                if node.cost and not self.model.once[v]:
                    span = range(self.model.first[v], self.model.horizon[v] + 1)
                    self.work.spend(4 * len(span))
                    found += [(node.cost, j) for k in span if (j := column(self.model.runs(v, k))) is not None]
                    if len(found) > MOST_ENTRIES:
                        raise Beyond(f"beyond the limit of {MOST_ENTRIES:,} columns")
            self._priced = sorted(found, reverse=True)
        return self._priced


# Conflicts


class Reached(NamedTuple):
    """A set of nodes that have run, and what follows from it.

    Attributes:
        done: The nodes.
        held: Bytes that are held.
        ready: Nodes that can run next.
        open: Droppable values that it made and that a node outside reads.
        enough: Values that are enough to make the open ones, with those that nothing can make again.
    """

    done: int
    held: int
    ready: list[int]
    open: int
    enough: int


def members(mask: int) -> Iterator[int]:
    """The places of a number's bits."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


@dataclass
class Side:
    """A search from one end.

    Attributes:
        step: To the next set by a node, if that fits.
        harmless: Whether that step may be made alone.
        goal: The other end.
        arrived: Whether it was reached.
        seen: The sets found so far.
        waiting: Those from which no step was made yet.
    """

    step: Callable[[Reached, int], Reached | None]
    harmless: Callable[[Reached, int], bool]
    goal: int
    arrived: bool = False
    seen: set[int] = field(default_factory=set)
    waiting: list[Reached] = field(default_factory=list)


class Orders:
    """Whether a graph fits a budget where some nodes may run again, by a search through sets of nodes."""

    def __init__(self, graph: Graph, budget: int, work: Work) -> None:
        self.graph, self.budget, self.work = graph, budget, work
        work.spend(len(graph.nodes) * (len(graph.nodes) + len(graph.values)) // 64 + 10 * graph.extent)
        makers = [{graph.maker[x] for x in read if graph.maker[x] >= 0} for read in graph.reads]
        self.needs = [sum(1 << p for p in each) for each in makers]
        self.after: list[list[int]] = [[] for _ in graph.nodes]
        for v, each in enumerate(makers):
            for p in each:
                self.after[p].append(v)
        self.read_by = [sum(1 << w for w in ws) for ws in graph.readers]
        self.useful = {
            v for v, node in enumerate(graph.nodes) if node.again and any(graph.readers[x] for x in graph.makes[v])
        }
        self.step_work = 6 + (len(graph.nodes) + len(graph.values)) // 128

    def impossible(self, free: set[int], inputs: bool) -> bool:
        """Whether no order fits where the nodes in ``free`` may run again; for ``inputs``, only if these are there."""
        graph = self.graph
        if graph.held > self.budget:
            return True
        self.work.spend(8 * graph.extent)
        self._free, self._inputs = free, inputs
        self._loose = sum(1 << x for v in free for x in graph.makes[v] if graph.droppable(x))
        self._peak = [
            node.workspace + graph.size(graph.makes[v]) + graph.size(x for x in graph.reads[v] if self._loose >> x & 1)
            for v, node in enumerate(graph.nodes)
        ]
        self._users = [[w for w in ws if w in free] for ws in graph.readers]
        everything = (1 << len(graph.nodes)) - 1
        ready = [v for v, needs in enumerate(self.needs) if not needs]
        kept = sum(
            value.size for value, maker in zip(graph.values, graph.maker, strict=True) if value.fixed and maker >= 0
        )
        last = [v for v, after in enumerate(self.after) if not after]
        first_sets = Side(self._step, self._harmless, everything)
        last_sets = Side(self._step_back, self._harmless_back, 0)
        self._keep(first_sets, Reached(0, graph.held, ready, 0, 0))
        self._keep(last_sets, Reached(everything, graph.held + kept, last, 0, 0))
        # Either side may end long before the other.
        while not (first_sets.arrived or last_sets.arrived):
            for side in (first_sets, last_sets):
                if not side.waiting:
                    return True
                here = side.waiting.pop()
                for v in here.ready:
                    self.work.spend(1)
                    following = side.step(here, v)
                    if following is not None:
                        self._keep(side, following)
        return False

    def _keep(self, side: "Side", here: Reached) -> None:
        """Lets a set wait, after the steps that are made at once, unless it was found before."""
        graph, here = self.graph, self._settled(side, here)
        side.arrived = side.arrived or here.done == side.goal
        if here.done not in side.seen:
            # Sets take memory, so that they count as more work.
            self.work.spend(40 + (len(graph.nodes) + 2 * len(graph.values)) // 8 + len(here.ready))
            side.seen.add(here.done)
            side.waiting.append(here)

    def _step(self, here: Reached, v: int) -> Reached | None:
        """The set with a node more; None where it does not fit."""
        enough = self._fits(here, v)
        return None if enough is None else self._after(here, v, enough)

    def _step_back(self, here: Reached, v: int) -> Reached | None:
        """The set with a node less; None where that does not fit there."""
        graph = self.graph
        self.work.spend(self.step_work + len(graph.reads[v]) + len(here.ready) // 8)
        now = here.done & ~(1 << v)
        read = sum(1 << x for x in graph.reads[v] if graph.droppable(x))
        made = sum(1 << x for x in graph.makes[v])
        held = here.held - self._made(v) + sum(self._stays(x) for x in self._last(here, v))
        fresh = [p for p in members(self.needs[v]) if not any(now >> w & 1 for w in self.after[p])]
        ready = [w for w in here.ready if w != v] + fresh
        before = Reached(now, held, ready, (here.open | read) & ~made, (here.enough | read) & ~made)
        enough = self._fits(before, v)
        return None if enough is None else before._replace(enough=enough)

    def _harmless_back(self, here: Reached, v: int) -> bool:
        """Whether no more is held without a node than with it, whatever runs in between."""
        graph, last = self.graph, self._last(here, v)
        if not self._inputs:
            return sum(self._stays(x) for x in last) <= self._made(v)
        kept = (x for x in graph.makes[v] if graph.values[x].fixed or graph.readers[x])
        return graph.size(last) <= graph.size(kept)

    def _stays(self, x: int) -> int:
        """Bytes of a value that nothing can make again."""
        return 0 if self._loose >> x & 1 else self.graph.values[x].size

    def _made(self, v: int) -> int:
        """Bytes that stay after a node ran."""
        graph = self.graph
        return sum(self._stays(x) for x in graph.makes[v] if graph.values[x].fixed or graph.readers[x])

    def _last(self, here: Reached, v: int) -> list[int]:
        """The droppable values that no other node outside of the set reads."""
        later = ~(here.done | 1 << v)
        return [x for x in self.graph.reads[v] if self.graph.droppable(x) and not self.read_by[x] & later]

    def _after(self, here: Reached, v: int, enough: int) -> Reached:
        graph = self.graph
        self.work.spend(self.step_work + len(self.after[v]) + len(here.ready) // 8)
        now, last = here.done | 1 << v, self._last(here, v)
        fresh = [w for w in self.after[v] if not self.needs[w] & ~now]
        made = sum(1 << x for x in graph.makes[v] if graph.droppable(x) and graph.readers[x])
        closed = sum(1 << x for x in last)
        held = here.held + self._made(v) - sum(self._stays(x) for x in last)
        # What nobody reads any more may be what other values are made of again.
        return Reached(
            now,
            held,
            [w for w in here.ready if w != v] + fresh,
            (here.open | made) & ~closed,
            enough | closed & ~self._loose,
        )

    def _harmless(self, here: Reached, v: int) -> bool:
        """Whether no more is held after a node ran than before, whatever runs in between."""
        graph = self.graph
        last = [x for x in self._last(here, v) if not self._inputs or set(self._users[x]) <= {v}]
        freed = sum(self._stays(x) for x in last)
        if self._inputs and v in self._free:
            freed = max(0, freed - graph.size(x for x in graph.makes[v] if graph.droppable(x) and graph.readers[x]))
        return self._made(v) <= freed

    def _settled(self, side: "Side", here: Reached) -> Reached:
        """Makes every step that fits and is harmless."""
        graph, place = self.graph, 0
        while place < len(here.ready):
            v = here.ready[place]
            self.work.spend(3 + len(graph.reads[v]) + len(graph.makes[v]))
            following = side.step(here, v) if side.harmless(here, v) else None
            if following is not None:
                here, place = following, 0
            else:
                place += 1
        return here

    def _fits(self, here: Reached, v: int) -> int | None:
        """Values that are enough while a node runs, which must be able to; None where it does not fit."""
        room = self.budget - here.held - self._peak[v]
        if room < 0 or not self._inputs:
            return None if room < 0 else 0
        own = sum(1 << x for x in self.graph.reads[v] if self.graph.droppable(x))
        wanted, lasting = here.open & self._loose & ~own, here.open & ~self._loose
        for values in (wanted, here.enough & ~own & ~lasting):
            self.work.spend(values.bit_count())
            if self.graph.size(members(values)) <= room:
                return values | own
        enough = self._least(wanted, own | lasting, room)
        return None if enough is None else enough | own

    def _least(self, wanted: int, blocked: int, room: int) -> int | None:
        """A minimum cut between wanted values and those made outside of ``free``; None where it has more bytes.

        A maximum flow by augmenting paths. Points are values and, as ``-1 - p``, nodes.
        """
        through: dict[int, int] = {}
        along: dict[tuple[int, int], int] = {}
        while True:
            before, end = self._search(wanted, blocked, through, along)
            if end is None:
                ends = (x for x in before if x >= 0 and -1 - self.graph.maker[x] not in before)
                return sum(1 << x for x in ends)
            room -= self._augment(before, end, through, along)
            if room < 0:
                return None

    def _search(
        self, wanted: int, blocked: int, through: Mapping[int, int], along: Mapping[tuple[int, int], int]
    ) -> tuple[dict[int, int | None], int | None]:
        """The points that more flow can reach, each with the one before, and the end of a path if there is one."""
        graph = self.graph
        before: dict[int, int | None] = dict.fromkeys(members(wanted))
        queue = list(before)
        for point in queue:
            if point >= 0:
                maker = graph.maker[point]
                next_points = [-1 - w for w in self._users[point] if along.get((w, point))]
                if through.get(point, 0) < graph.values[point].size:
                    if maker not in self._free:
                        return before, point
                    next_points.append(-1 - maker)
            else:
                p = -1 - point
                next_points = [y for y in graph.reads[p] if graph.droppable(y) and not blocked >> y & 1]
                next_points += [x for x in graph.makes[p] if through.get(x)]
            self.work.spend(2 + len(next_points))
            for other in next_points:
                if other not in before:
                    before[other] = point
                    queue.append(other)
        return before, None

    def _augment(
        self, before: Mapping[int, int | None], end: int, through: dict[int, int], along: dict[tuple[int, int], int]
    ) -> int:
        """Sends more along a path; how much that is."""
        graph = self.graph
        path = [end]
        while (point := before[path[-1]]) is not None:
            path.append(point)
        path.reverse()
        # A path goes from values to their makers and on to what these read, or against what flows that way.
        steps = list(pairwise(path))
        amount = graph.values[end].size - through.get(end, 0)
        for a, b in steps:
            if a >= 0:
                p = -1 - b
                made = graph.maker[a] == p
                amount = min(amount, graph.values[a].size - through.get(a, 0) if made else along[p, a])
            elif graph.maker[b] == -1 - a:
                amount = min(amount, through[b])
        through[end] = through.get(end, 0) + amount
        for a, b in steps:
            p, x = (-1 - b, a) if a >= 0 else (-1 - a, b)
            sign = 1 if a >= 0 else -1
            if graph.maker[x] == p:
                through[x] = through.get(x, 0) + sign * amount
            else:
                along[p, x] = along.get((p, x), 0) - sign * amount
        return amount


class Parts:
    """A tree over which nodes run again, which is read and checked in one pass."""

    def __init__(self, graph: Graph, conflicts: Sequence[frozenset[int]], data: Json, work: Work) -> None:
        self.graph, self.conflicts, self.work = graph, conflicts, work
        self.denominator = read_denominator(data)
        self.tree = as_list(data.get("tree"), "the tree")
        self.again: dict[int, bool] = {}

    def proven(self) -> int:
        """What the tree proves of the cost."""
        least: Fraction | None = None
        # Each entry: how many choices to keep, and one to add.
        waiting: list[tuple[int, int, bool]] = [(0, -1, False)]
        trail: list[int] = []
        for part in self.tree:
            self.work.spend(10)
            if not waiting:
                raise Wrong("parts follow the tree")
            mark, v, choice = waiting.pop()
            while len(trail) > mark:
                del self.again[trail.pop()]
            if v >= 0:
                self.again[v] = choice
                trail.append(v)
            if not isinstance(part, str):
                value = self._value(part)
                least = value if least is None else min(least, value)
                continue
            w = self.graph.node_of.get(part, -1)
            if w < 0 or w in self.again:
                raise Wrong(f"the tree divides on {shown(part)}, which is no node, or known there")
            waiting += [(len(trail), w, True), (len(trail), w, False)]
        if waiting or least is None:
            raise Wrong("the tree ends too early")
        return max(ceil(least / self.graph.unit) * self.graph.unit, self.graph.base)

    def _value(self, part: object) -> Fraction:
        """What the multipliers of a part prove in it."""
        total = self.graph.base * self.denominator
        slopes = {v: 0 for v, choice in self.again.items() if choice}
        self.work.spend(len(self.again))
        for place, numerator in read_multipliers(part, len(self.conflicts)).items():
            self.work.spend(1 + len(self.conflicts[place]) * (1 + numerator.bit_length() // 512))
            total += numerator
            for v in self.conflicts[place]:
                slopes[v] = slopes.get(v, 0) - numerator
        for v, change in slopes.items():
            slope = change + self.denominator * self.graph.nodes[v].cost
            choice = self.again.get(v)
            total += min(0, slope) if choice is None else slope if choice else 0
        return Fraction(total, self.denominator)


def conflicts_prove(graph: Graph, data: Json, budget: int, work: Work) -> int:
    """What a certificate of conflicts proves."""
    orders = Orders(graph, budget, work)
    conflicts: list[frozenset[int]] = []
    known: set[tuple[frozenset[int], bool]] = set()
    for item in as_list(data.get("conflicts"), "conflicts"):
        entry = as_object(item, "a conflict")
        names = as_texts(entry.get("nodes"), "the nodes of a conflict")
        work.spend(5 + len(names))
        nodes = frozenset(graph.node_of.get(name, -1) for name in names)
        inputs = as_flag(entry.get("inputs", False), "inputs of a conflict")
        if -1 in nodes:
            raise Wrong("a conflict names what is no node")
        if (nodes, inputs) not in known and not orders.impossible(orders.useful - nodes, inputs):
            raise Wrong(f"{shown(names)} is no conflict: some order fits")
        known.add((nodes, inputs))
        conflicts.append(nodes)
    if as_flag(data.get("of_peak", False), "of_peak"):
        return budget + 1 if frozenset() in conflicts else 0
    return Parts(graph, conflicts, data, work).proven()


# Hosts


def fetchable(graph: Graph, v: int) -> list[int]:
    """The outputs of a node that are worth moving."""
    return [x for x in graph.makes[v] if graph.droppable(x) and graph.values[x].size and graph.readers[x]]


class Link(NamedTuple):
    """A host link, with what running nodes, copies to the host and copies back count."""

    host: Host
    weights: tuple[int, int, int] = (1, 1, 1)

    def run(self, cost: int) -> int:
        """What running a node counts."""
        return self.weights[0] * cost

    def fetch(self, size: int) -> int:
        """What a copy back counts."""
        return self.weights[2] * self.host.fetch(size)

    def both(self, size: int) -> int:
        """What a copy each way counts."""
        return self.weights[1] * self.host.offload(size) + self.fetch(size)

    @property
    def divisor(self) -> int:
        """So many times the time that all takes is no less than what counts."""
        return sum(self.weights) if self.host.overlap else 1


def again(graph: Graph, link: Link, work: Work) -> Graph:
    """The graph in which a node may run again for no more than the cheapest way to have a value back."""
    work.spend(20 * graph.extent)
    most = LARGEST // (4 * len(graph.values) + 1)
    nodes = []
    for v, node in enumerate(graph.nodes):
        sizes = [graph.values[x].size for x in fetchable(graph, v)]
        own = [link.run(node.cost)] if node.again else []
        costs = [*own, *map(link.both, sizes), most]
        counted = node._replace(cost=link.run(node.cost))
        nodes.append(node._replace(cost=min(costs), again=True) if sizes else counted)
    return Graph(nodes, graph.values, [graph.nodes[v].name for v in graph.order])


def provide(graph: Graph, link: Link, work: Work) -> Graph:
    """The graph in which every node runs once, and its values come from nodes of their own."""
    work.spend(20 * graph.extent)
    most = LARGEST // (4 * len(graph.values) + 1)
    word = "provide"
    while any(name.startswith(word) for name in (*graph.node_of, *graph.value_of)):
        work.spend(len(graph.nodes) + len(graph.values))
        word += "'"
    nodes, values = [], list(graph.values)
    for v in graph.order:
        node, moved = graph.nodes[v]._replace(cost=link.run(graph.nodes[v].cost)), fetchable(graph, v)
        if not moved:
            nodes.append(node._replace(again=False))
            continue
        token, total = f"{word} after {node.name}", graph.size(moved)
        values.append(Value(token, 0, False))
        rest = tuple(graph.values[x].name for x in graph.makes[v] if x not in moved)
        nodes.append(node._replace(outputs=(*rest, token), workspace=node.workspace + total, again=False))
        for x in moved:
            name, size, _ = graph.values[x]
            share = [node.cost * size // total] if node.again else []
            cost = min(*share, link.fetch(size), most)
            nodes.append(Node(f"{word} {name}", (token,), (name,), cost, 0, True))
    return Graph(nodes, values, [node.name for node in nodes])


# Certificates


class Proof(NamedTuple):
    """What a certificate speaks of, and what it proves."""

    of: str
    scope: str
    value: int


ORDER_FREE, FIXED_ORDER = "order-free", "fixed-order"
ENGINES: Final = frozenset({"engines", "engines/1"})
QUEUE: Final = frozenset({"queue", "queue/1"})
OF_HOST: Final = frozenset({"host", "host/1", "overlap", "overlap/1"})
WITH_PROOF: Final = OF_HOST | ENGINES | {"cost-limit", "cost-limit/1"}
KINDS: Final = WITH_PROOF | QUEUE | {
    "floor", "floor/1", "cut-relaxation/2", "tree/2", "conflicts/2", "staged-model/2"
}  # fmt: skip


def within_cost(limit: int) -> str:
    """The scope of all schedules that cost no more than a limit."""
    return f"{ORDER_FREE}, cost <= {limit}"


def prove(found: object, graph: Graph, budget: int, host: Host | None, work: Work) -> Proof:
    """What a certificate proves of a graph under a budget, with a host or without.

    Raises:
        Wrong: If it is damaged.
        Beyond: If it was not checked.
    """
    data = as_object(found, "the certificate")
    kind = _known(data)
    if kind in QUEUE:
        return Proof("cost", ORDER_FREE, queue(graph, as_text(data.get("engine"), "the engine"), work))
    if kind in ENGINES and host is None:
        return _through_engines(data, graph, budget, work)
    proof = _without_engines(data, graph, budget, host, work)
    if proof.of == "cost" and len(graph.engines) > 1:
        raise Wrong(f"certificate {kind!r} is about costs, and knows of no engines, but the graph has some")
    return proof


def _without_engines(data: Json, graph: Graph, budget: int, host: Host | None, work: Work) -> Proof:
    kind = _known(data)
    if kind in OF_HOST:
        return _through_host(data, graph, budget, host, work)
    if kind in {"floor", "floor/1"}:
        return Proof("peak", ORDER_FREE, floor(graph, work))
    if kind in {"cost-limit", "cost-limit/1"}:
        if len(graph.engines) > 1:
            raise Wrong("limits of the cost are about graphs without engines")
        return _within_limit(data, graph, host, work)
    if host is not None:
        raise Wrong(f"certificate {kind!r} knows of no host, but the plan has one")
    return _plain(kind, data, graph, budget, work)


def _known(data: Json) -> str:
    """The kind of a certificate, after a look at those of the proofs in it.

    Raises:
        Beyond: If one of them is unknown; whatever else it holds means nothing then.
    """
    kinds = [as_text(data.get("kind"), "the kind of the certificate")]
    while kinds[-1] in KINDS:
        if kinds[-1] not in WITH_PROOF or "proof" not in data:
            return kinds[0]
        data = as_object(data["proof"], "the proof")
        kinds.append(as_text(data.get("kind"), "the kind of the proof"))
    raise Beyond(f"certificates of kind {shown(kinds[-1])} are not known here")


def _through_host(data: Json, graph: Graph, budget: int, host: Host | None, work: Work) -> Proof:
    if host is None or read_host(data.get("host")) != host:
        raise Wrong("the certificate has another host than the plan")
    if host.overlap != as_text(data.get("kind"), "the kind").startswith("overlap"):
        raise Wrong(f"a certificate of kind {shown(data.get('kind'))} is not about the plan's host")
    kinds: Mapping[object, Callable[[Graph, Link, Work], Graph]] = {"again": again, "provide": provide}
    build = kinds.get(data.get("relaxed")) if isinstance(data.get("relaxed"), str) else None
    if build is None:
        raise Wrong(f"the certificate is about graph {shown(data.get('relaxed'))}; expected 'again' or 'provide'")
    inner = as_object(data.get("proof"), "the proof")
    kind = as_text(inner.get("kind"), "the kind of the proof")
    if kind.partition("/")[0] in {"host", "overlap", "cost-limit", "floor"}:
        raise Wrong(f"the proof is of kind {shown(kind)}, which is not about another graph")
    if data.get("relaxed") == "again" and not _without_inputs(inner):
        raise Wrong("what a fetch brings back needs no inputs, but the proof counts on them")
    link = Link(host, _weights(data.get("weights")) if host.overlap else (1, 1, 1))
    if link.weights[0] > 1 and link.run(graph.base) > LARGEST // 2:
        raise Wrong("the costs of the graph are too large for the weights of the certificate")
    other = build(graph, link, work)
    proof = _plain(kind, inner, other, budget, work)
    if proof.of == "peak" or not proof.value:
        return proof
    least = proof.value - (other.base - link.run(graph.base))
    return proof._replace(value=max(graph.base, -(-least // link.divisor)))


def _weights(found: object) -> tuple[int, int, int]:
    listed = [as_amount(item, "a weight") for item in as_list(found, "weights")]
    if len(listed) != 3 or not 0 < sum(listed) <= 2**20:
        raise Wrong(f"weights are {shown(listed)}; expected three with a sum from 1 to {2**20}")
    return listed[0], listed[1], listed[2]


def _without_inputs(data: Json) -> bool:
    """Whether a certificate is one of conflicts that count on no inputs."""
    listed = data.get("conflicts")
    entries = listed if isinstance(listed, list) else []
    return data.get("kind") == "conflicts/2" and not any(
        isinstance(item, dict) and item.get("inputs", False) for item in entries
    )


def _through_engines(data: Json, graph: Graph, budget: int, work: Work) -> Proof:
    """All is done no sooner than any weighted mean of what the engines do."""
    listed = as_object(data.get("weights"), "weights")
    weights = {name: as_amount(item, "a weight") for name, item in listed.items()}
    if weights.keys() != set(graph.engines) or not 0 < sum(weights.values()) <= 2**20:
        raise Wrong(f"weights are of {shown(sorted(weights))}; expected one for each engine, with a sum to {2**20}")
    inner = as_object(data.get("proof"), "the proof")
    kind = as_text(inner.get("kind"), "the kind of the proof")
    if kind.partition("/")[0] in {"host", "overlap", "engines", "queue", "cost-limit", "floor"}:
        raise Wrong(f"the proof is of kind {shown(kind)}, which is not about another graph")
    if max(weights.values()) * sum(node.cost for node in graph.nodes) > LARGEST // 2:
        raise Wrong("the costs of the graph are too large for the weights of the certificate")
    work.spend(20 * graph.extent)
    nodes = [node._replace(cost=weights[node.engine] * node.cost, engine="") for node in graph.nodes]
    other = Graph(nodes, graph.values, [graph.nodes[v].name for v in graph.order])
    proof = _plain(kind, inner, other, budget, work)
    if proof.of == "peak" or not proof.value:
        return proof
    return proof._replace(value=max(graph.base, -(-proof.value // sum(weights.values()))))


def queue(graph: Graph, engine: str, work: Work) -> int:
    """The most that an engine's nodes take from a head on: what comes before, they themselves, and what comes after."""
    if engine not in graph.engines:
        raise Wrong(f"the graph has no engine {shown(engine)}")
    work.spend(2 * graph.extent * (len(graph.nodes) // 64 + 1))
    before, after = [0] * len(graph.nodes), [0] * len(graph.nodes)
    for v in graph.order:
        for u in {graph.maker[x] for x in graph.reads[v]} - {-1}:
            before[v] |= before[u] | 1 << u
    for v in reversed(graph.order):
        for u in {u for x in graph.makes[v] for u in graph.readers[x]}:
            after[v] |= after[u] | 1 << u
    mine = [v for v, node in enumerate(graph.nodes) if node.engine == engine]
    work.spend(2 * len(mine) * (len(graph.nodes) + len(mine)))
    heads = {v: _busiest(graph, before[v]) for v in mine}
    tails = {v: _busiest(graph, after[v]) for v in mine}
    best = 0
    mine.sort(key=lambda v: -tails[v])
    for head in set(heads.values()):
        done = head
        for v in mine:
            if heads[v] >= head:
                done += graph.nodes[v].cost
                best = max(best, done + tails[v])
    return best


def _busiest(graph: Graph, members: int) -> int:
    """What the engine with most to do has to do for a set of nodes, given as bits."""
    done = dict.fromkeys(graph.engines, 0)
    for v, digit in enumerate(reversed(f"{members:b}")):
        if digit == "1":
            done[graph.nodes[v].engine] += graph.nodes[v].cost
    return max(done.values())


def _within_limit(data: Json, graph: Graph, host: Host | None, work: Work) -> Proof:
    own = as_amount(data.get("budget_bytes"), "the certificate's budget")
    limit = as_amount(data.get("cost_limit"), "the limit on the cost")
    inner = as_object(data.get("proof"), "the proof")
    if as_text(inner.get("kind"), "the kind of the proof") in {"cost-limit", "cost-limit/1"}:
        raise Wrong("a limit on the cost is about another one")
    proof = prove(inner, graph, own, host, work)
    if proof.of != "cost" or proof.scope != ORDER_FREE:
        raise Wrong(f"the proof is about the {proof.of} of {proof.scope} schedules; expected the cost of all")
    return Proof("peak", within_cost(limit), own + 1 if proof.value > limit else 0)


def floor(graph: Graph, work: Work) -> int:
    """What some node holds by itself, or the last one to run does beside all resident values."""
    work.spend(5 * graph.extent + len(graph.nodes) * (len(graph.nodes) // 64 + 4))
    kept = [graph.size(x for x in made if graph.values[x].fixed) for made in graph.makes]
    above = [0] * len(graph.nodes)
    for v in graph.order:
        for p in {graph.maker[x] for x in graph.reads[v] if graph.maker[x] >= 0}:
            above[v] |= above[p] | (1 << p if kept[p] else 0)
    makers = [v for v, size in enumerate(kept) if size]
    work.spend(len(graph.nodes) * (len(makers) + 1))
    alone, last = 0, []
    for v, node in enumerate(graph.nodes):
        own = graph.held + node.workspace + graph.size(graph.makes[v])
        own += graph.size(x for x in graph.reads[v] if graph.droppable(x))
        alone = max(alone, own + sum(kept[p] for p in makers if above[v] >> p & 1))
        if not any(graph.readers[x] for x in graph.makes[v]):
            last.append(own + sum(kept) - kept[v])
    return max(alone, min(last))


def _plain(kind: str, data: Json, graph: Graph, budget: int, work: Work) -> Proof:
    own = as_amount(data.get("budget_bytes"), "the certificate's budget")
    of = "peak" if as_flag(data.get("of_peak", False), "of_peak") else "cost"
    scope = FIXED_ORDER if kind == "staged-model/2" else ORDER_FREE
    if budget > own and of == "cost":
        return Proof(of, scope, 0)
    match kind:
        case "cut-relaxation/2":
            model = _chain(data, graph, own, work)
            rows = model.rows(data.get("rows"))
            rows += [model.cut(item) for item in as_list(data.get("cuts"), "cuts")]
            return Proof(of, scope, combined(model, rows, data))
        case "tree/2":
            return Proof(of, scope, Tree(_chain(data, graph, own, work), data).proven())
        case "conflicts/2":
            return Proof(of, scope, conflicts_prove(graph, data, own, work))
        case "staged-model/2":
            staged = Staged(graph, own, work)
            return Proof(of, scope, combined(staged, staged.rows(data.get("rows")), data))
    raise AssertionError(kind)


def _chain(data: Json, graph: Graph, budget: int, work: Work) -> Chain:
    return Chain(graph, budget, as_texts(data.get("chain"), "the chain"), work)


# Plans


class Check(NamedTuple):
    """What the check of a claim found: PASS, FAIL or UNPROVED."""

    claim: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """A plan file as far as claims need it."""

    graph: Graph
    budget: int
    host: Host | None
    order: list[int] | None
    run: Replay
    data: Json

    @cached_property
    def in_order(self) -> bool:
        """Whether first executions follow the plan's order, or else the graph's."""
        return self.run.first == (self.graph.order if self.order is None else self.order)

    def speaks_of(self, scope: str) -> bool:
        """Whether a bound of a scope speaks of the plan's schedule."""
        within = re.fullmatch(r"order-free, cost <= (0|[1-9][0-9]{0,18})", scope)
        cheap = within is not None and self.run.cost <= int(within[1])
        return scope == ORDER_FREE or (scope == FIXED_ORDER and self.in_order) or cheap


def read_plan(data: Json, work: Work) -> Plan:
    """The plan that a file holds, its schedule replayed.

    Raises:
        Wrong: If the file is none, or replay does not confirm what it says.
    """
    if data.get("schema") != "hcp-plan/1":
        raise Wrong(f"the plan has schema {shown(data.get('schema'))}; expected 'hcp-plan/1'")
    graph = read_graph(data.get("graph"))
    if graph.hash() != data.get("graph_hash"):
        raise Wrong("the graph does not match graph_hash")
    host = read_host(data.get("host"))
    order = graph.ordered(as_texts(data["order"], "the plan's order")) if "order" in data else None
    budget = as_amount(data.get("budget_bytes"), "the budget")
    plan = Plan(graph, budget, host, order, replay(graph, read_actions(data.get("actions")), host, work), data)
    for what, found in (("cost", plan.run.cost), ("peak", plan.run.peak)):
        if as_amount(data.get(what), what) != found:
            raise Wrong(f"the plan says {what} {data.get(what)}, but replay finds {found}")
    if plan.run.peak > budget:
        raise Wrong(f"the peak of {plan.run.peak} bytes is over the budget of {budget}")
    if order is not None and not plan.in_order:
        raise Wrong("the schedule does not follow the plan's order")
    if data.get("status") not in ("OPTIMAL", "FEASIBLE"):
        raise Wrong(f"the plan has a schedule, but status {shown(data.get('status'))}")
    return plan


class Found(NamedTuple):
    """The check of a bound.

    Attributes:
        check: What it found.
        scope: Of the bound.
        cost: What it says of the cost, where nothing contradicts it; else 0.
        unchecked: Whether it has a certificate that was not checked.
    """

    check: Check
    scope: str
    cost: int
    unchecked: bool


def check_bound(plan: Plan, found: object, work: Work) -> Found:
    """Checks a bound."""
    data = as_object(found, "a bound")
    of, scope = as_text(data.get("of"), "what a bound is of"), as_text(data.get("scope"), "the scope of a bound")
    value = as_amount(data.get("value"), "the value of a bound")
    if of not in {"cost", "peak"}:
        raise Wrong(f"a bound is of {shown(of)}; expected 'cost' or 'peak'")
    verdict, reason = "UNPROVED", "no certificate"
    if plan.speaks_of(scope) and value > (plan.run.cost if of == "cost" else plan.run.peak):
        verdict, reason = "FAIL", "the schedule itself has less"
    elif data.get("certificate") is not None:
        try:
            proof = prove(data["certificate"], plan.graph, plan.budget, plan.host, work)
            verdict, reason = _compared(plan, proof, of, scope, value)
        except Wrong as error:
            verdict, reason = "FAIL", f"its certificate proves nothing: {error}"
        except Beyond as error:
            reason = str(error)
    claim = f"{of} at least {value} ({shown(scope)[1:-1]}, {shown(str(data.get('source', '')))[1:-1]})"
    cost = value if of == "cost" and verdict != "FAIL" else 0
    unchecked = verdict == "UNPROVED" and data.get("certificate") is not None
    return Found(Check(claim, verdict, reason), scope, cost, unchecked)


def _compared(plan: Plan, proof: Proof, of: str, scope: str, value: int) -> tuple[str, str]:
    if proof.of != of or proof.scope not in {scope, ORDER_FREE}:
        return "FAIL", f"its certificate is about the {proof.of} of {proof.scope} schedules"
    if proof.scope == FIXED_ORDER and plan.order is not None and plan.order != plan.graph.order:
        return "FAIL", "its certificate is about another order"
    return "PASS" if proof.value >= value else "FAIL", f"its certificate proves {proof.value}"


def check_optimum(plan: Plan, bounds: Sequence[Found]) -> Check:
    """Checks the claim that nothing is cheaper, by the bounds of the plan's scopes that did not fail."""
    cost = plan.run.cost
    claim = f"OPTIMAL: no schedule within {plan.budget} bytes costs less than {cost}"
    scopes = {ORDER_FREE} if plan.order is None else {ORDER_FREE, FIXED_ORDER}
    reaching = [each for each in bounds if each.scope in scopes and each.cost >= cost]
    if plan.graph.base >= cost or any(each.check.verdict == "PASS" for each in reaching):
        return Check(claim, "PASS", "that much is proved")
    if not reaching:
        return Check(claim, "FAIL", "no bound that holds reaches the cost")
    if any(each.unchecked for each in reaching):
        return Check(claim, "UNPROVED", "it rests on a certificate that was not checked")
    if plan.data.get("optimality") == "claimed":
        return Check(claim, "UNPROVED", "it rests on a bound without a certificate")
    return Check(claim, "FAIL", "the plan says so without a reserve, but it rests on a bound without a certificate")


def checks(data: object, work: Work) -> Iterator[Check]:
    """The checks of everything that a plan file claims, one a claim."""
    try:
        content = as_object(data, "the plan")
        plan = read_plan(content, work)
        listed = as_list(content.get("bounds"), "bounds")
    except Wrong as error:
        yield Check("the file holds a plan", "FAIL", str(error))
        return
    except Beyond as error:
        yield Check("the file holds a plan", "UNPROVED", str(error))
        return
    yield Check(f"a schedule of cost {plan.run.cost} within {plan.budget} bytes", "PASS", f"peak {plan.run.peak}")
    bounds = []
    for item in listed:
        try:
            bounds.append(check_bound(plan, item, work))
            yield bounds[-1].check
        except Wrong as error:
            yield Check("a bound", "FAIL", str(error))
    if content.get("status") == "OPTIMAL":
        yield check_optimum(plan, bounds)


def number(text: str) -> int | float:
    """A JSON number with a point or an exponent: whole numbers may be written so."""
    found = float(text)
    return int(found) if found.is_integer() else found


def once(pairs: list[tuple[str, object]]) -> Json:
    """An object whose fields are there once each."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a field twice")
    return found


def no_number(text: str) -> float:
    """Refuses NaN and infinities."""
    raise ValueError(f"{text} is no number")


def check_file(path: Path, most_work: int = MOST_WORK, most_megabytes: int = MOST_MEGABYTES) -> list[Check]:
    """The checks of a plan file.

    Raises:
        Beyond: If the file is too large, or no reader takes it.
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(most_megabytes * 2**20 + 1)
    if len(content) > most_megabytes * 2**20:
        raise Beyond(f"the file has more than {most_megabytes} MiB; allow more with --megabytes")
    try:
        data: object = json.loads(
            content.decode(), parse_float=number, parse_constant=no_number, object_pairs_hook=once
        )
    except (ValueError, RecursionError) as error:
        return [Check("the file holds a plan", "FAIL", f"it is not JSON that readers take: {str(error)[:200]}")]
    return list(checks(data, Work.of(most_work)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code is 0, 1 where a claim does not hold, and 2 where the file was not read."""
    parser = argparse.ArgumentParser(prog="hcp-check", description="Checks every claim of a plan file.")
    parser.add_argument("plan", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--certified-only", action="store_true", help="count unproved claims as failed")
    parser.add_argument("--work", type=int, default=MOST_WORK, help="most steps of work")
    parser.add_argument("--megabytes", type=int, default=MOST_MEGABYTES, help="most MiB of the file")
    options = parser.parse_args(arguments)
    try:
        found = check_file(options.plan, options.work, options.megabytes)
    except (Beyond, OSError) as error:
        print(f"hcp-check: {options.plan}: {error}", file=sys.stderr)
        return 2
    certified = all(check.verdict == "PASS" for check in found)
    passed = certified if options.certified_only else all(check.verdict != "FAIL" for check in found)
    if options.json:
        print(json.dumps({"passed": passed, "certified": certified, "checks": [check._asdict() for check in found]}))
    else:
        for check in found:
            print(f"{check.verdict}: {check.claim}: {check.reason}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
