"""Actions and schedules."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

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


Action = Compute | Free


@dataclass(frozen=True)
class Schedule:
    """A tuple of actions over a graph.

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
        names = tuple(computes)
        for step, name in enumerate(names):
            if name not in graph.node:
                raise ScheduleError(f"step {step} computes unknown node {name!r}; the graph has no such node")
        last_use: dict[str, int] = {}
        frees: list[list[str]] = [[] for _ in names]
        for step in range(len(names) - 1, -1, -1):
            node = graph.node[names[step]]
            for value in node.outputs:
                if not value.resident:
                    frees[last_use.pop(value.name, step)].append(value.name)
            for name in node.inputs:
                if not graph.values[name].resident:
                    last_use.setdefault(name, step)
        actions: list[Action] = []
        for name, dead in zip(names, frees, strict=True):
            actions.append(Compute(name))
            actions.extend(Free(value) for value in reversed(dead))
        return cls(tuple(actions))

    @cached_property
    def computes(self) -> tuple[str, ...]:
        """Names of the nodes in execution order, recomputations included."""
        return tuple(action.node for action in self.actions if isinstance(action, Compute))

    def __len__(self) -> int:
        return len(self.actions)


def keep_everything(graph: Graph, order: tuple[str, ...] | None = None) -> Schedule:
    """The schedule that runs every node once, in ``order`` or the graph's own, and recomputes nothing."""
    return Schedule.from_computes(graph, graph.order if order is None else order)
