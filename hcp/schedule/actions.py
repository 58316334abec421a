"""Actions and schedules."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from hcp.graph.cancellation import ticking
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph


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
        return cls.from_steps(graph, map(Compute, computes))

    @classmethod
    def from_steps(cls, graph: Graph, steps: Iterable[Step]) -> "Schedule":
        """The schedule that takes these steps in order and frees every instance after its last use.

        As ``from_computes``; a fetch produces an instance as well, and an offload uses one.

        Raises:
            ScheduleError: If a name is not a node, or not a value, of the graph.
        """
        listed = tuple(ticking(steps))
        makes = [_makes(graph, place, step) for place, step in enumerate(ticking(listed))]
        last_use: dict[str, int] = {}
        frees: list[list[str]] = [[] for _ in listed]
        for place in ticking(range(len(listed) - 1, -1, -1)):
            for name in makes[place]:
                frees[last_use.pop(name, place)].append(name)
            for name in _reads(graph, listed[place]):
                if not graph.values[name].resident:
                    last_use.setdefault(name, place)
        actions: list[Action] = []
        for step, dead in ticking(zip(listed, frees, strict=True)):
            actions.append(step)
            actions.extend(Free(value) for value in reversed(dead))
        return cls(tuple(actions))

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


def _makes(graph: Graph, place: int, step: Step) -> list[str]:
    """The values that are not resident of which a step makes an instance."""
    if isinstance(step, Compute):
        if step.node not in graph.node:
            raise ScheduleError(f"step {place} computes unknown node {step.node!r}; the graph has no such node")
        return [value.name for value in graph.node[step.node].outputs if not value.resident]
    if step.value not in graph.values:
        raise ScheduleError(f"step {place} moves unknown value {step.value!r}; the graph has no such value")
    return [step.value] if isinstance(step, Fetch) else []


def _reads(graph: Graph, step: Step) -> tuple[str, ...]:
    if isinstance(step, Compute):
        return graph.node[step.node].inputs
    return (step.value,) if isinstance(step, Offload) else ()
