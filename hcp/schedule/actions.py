"""Actions and schedules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from hcp.graph.cancellation import TICK_EVERY, tick, ticking
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph, Value


class ScheduleError(HcpError):
    """A schedule breaks a rule of replay; the message names the step, the node and the value."""


@dataclass(frozen=True, slots=True)
class Compute:
    """Run a node: every input must be live; every output is created afresh."""

    node: str


@dataclass(frozen=True, slots=True)
class Free:
    """Drop the live instance of a value that is not resident."""

    value: str


@dataclass(frozen=True, slots=True)
class Offload:
    """Copy the live instance of a value that is not resident to the host; the instance stays until it is freed."""

    value: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """Make a live instance of a value from its copy on the host; no other instance may be live."""

    value: str


# What takes time, and what does not.
Step = Compute | Offload | Fetch
Action = Step | Free


@dataclass(frozen=True)
class Schedule:
    """A tuple of actions over a graph.

    Only schedules for a graph with a host link (``hcp.schedule.host``) offload and fetch. A copy on the host stays
    until the last fetch before its value is offloaded again.

    Attributes:
        actions: What happens, in order.
    """

    actions: tuple[Action, ...]

    @classmethod
    def from_computes(cls, graph: Graph, computes: Iterable[str]) -> "Schedule":
        """The schedule that runs these nodes in order and frees every instance after its last use.

        An instance lives from its production to the last reader before the value is produced again; one that is
        never read goes as soon as its node has run. Resident values and the graph's inputs are never freed.

        Raises:
            ScheduleError: If a name is not a node of the graph.
        """
        known = _tables(graph)
        return cls(_freeing(known, [known.execution(place, name) for place, name in enumerate(ticking(computes))]))

    @classmethod
    def from_nodes(cls, graph: Graph, nodes: Iterable[int]) -> "Schedule":
        """As ``from_computes``, of nodes by their numbers in the graph's index."""
        names = graph.index.node_names
        return cls.from_computes(graph, (names[node] for node in nodes))

    @classmethod
    def from_steps(cls, graph: Graph, steps: Iterable[Step]) -> "Schedule":
        """The schedule that takes these steps in order and frees every instance after its last use.

        As ``from_computes``; a fetch produces an instance as well, and an offload uses one.

        Raises:
            ScheduleError: If a name is not a node, or not a value, of the graph.
        """
        known = _tables(graph)
        return cls(_freeing(known, [known.use(place, step) for place, step in enumerate(ticking(steps))]))

    @cached_property
    def computes(self) -> tuple[str, ...]:
        """Names of the nodes in execution order, recomputations included."""
        return tuple(action.node for action in self.actions if isinstance(action, Compute))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The actions that take time, in order: all but the frees."""
        return tuple(action for action in self.actions if not isinstance(action, Free))

    def follows(self, order: tuple[str, ...]) -> bool:
        """Whether the nodes run for the first time in this order."""
        return tuple(dict.fromkeys(self.computes)) == order

    @property
    def transfers(self) -> bool:
        """Whether it moves values between device and host."""
        return len(self.steps) > len(self.computes)

    def __len__(self) -> int:
        return len(self.actions)


def keep_everything(graph: Graph, order: tuple[str, ...] | None = None) -> Schedule:
    """The schedule that runs every node once, in ``order`` or the graph's own, and recomputes nothing."""
    return Schedule.from_computes(graph, graph.order if order is None else order)


class _Use(NamedTuple):
    """A step, with the values that are not resident of which it makes an instance, and those that it reads."""

    step: Step
    makes: tuple[str, ...]
    reads: tuple[str, ...]


@dataclass(frozen=True)
class _Tables:
    """A graph's executions by node and frees by value, made once for all its schedules."""

    executions: Mapping[str, _Use]
    frees: Mapping[str, Free]
    values: Mapping[str, Value]

    def execution(self, place: int, node: str) -> _Use:
        found = self.executions.get(node)
        if found is None:
            raise ScheduleError(f"step {place} computes unknown node {node!r}; the graph has no such node")
        return found

    def use(self, place: int, step: Step) -> _Use:
        if isinstance(step, Compute):
            return self.execution(place, step.node)
        if step.value not in self.values:
            raise ScheduleError(f"step {place} moves unknown value {step.value!r}; the graph has no such value")
        used = () if self.values[step.value].resident else (step.value,)
        return _Use(step, (step.value,), ()) if isinstance(step, Fetch) else _Use(step, (), used)


@lru_cache(maxsize=8)
def _tables(graph: Graph) -> _Tables:
    resident = {name for name, value in graph.values.items() if value.resident}
    return _Tables(
        {
            node.name: _Use(
                Compute(node.name),
                tuple(value.name for value in node.outputs if not value.resident),
                tuple(name for name in node.inputs if name not in resident),
            )
            for node in graph.nodes
        },
        {name: Free(name) for name in graph.values},
        graph.values,
    )


def _freeing(known: _Tables, uses: list[_Use]) -> tuple[Action, ...]:
    """These steps, and every instance's free after its last use."""
    last_use: dict[str, int] = {}
    dead: list[list[str]] = [[] for _ in uses]
    for place in range(len(uses) - 1, -1, -1):
        if place % TICK_EVERY == 0:
            tick()
        _, makes, reads = uses[place]
        for name in makes:
            dead[last_use.pop(name, place)].append(name)
        for name in reads:
            if name not in last_use:
                last_use[name] = place
    actions: list[Action] = []
    for use, names in zip(uses, dead, strict=True):
        actions.append(use.step)
        for name in reversed(names):
            actions.append(known.frees[name])
    return tuple(actions)
