"""The states of a schedule: what is live on the device, and held on the host, around each of its steps.

What draws, describes or looks through a schedule walks it here. ``replay`` reads schedules by itself, since it is their
only judge; the tests compare this walk with it.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from enum import Enum

from hcp.graph.cancellation import ticking
from hcp.graph.ir import Graph, Value
from hcp.schedule.actions import Compute, Fetch, Free, Schedule, Step
from hcp.schedule.transfers import copy_ends


class Origin(Enum):
    """How the live instance of a value came to be there."""

    STAYS = "an input of the graph or a resident value"
    FIRST = "made by its node's first execution"
    AGAIN = "made by a later execution"
    FETCHED = "fetched from the host"


@dataclass(frozen=True, slots=True)
class State:
    """A step, and what is there when it begins.

    The collections belong to the walk and change as it goes on: copy what is to be kept.

    Attributes:
        step: The execution or transfer that comes now.
        again: Whether it runs a node that has run before.
        freed: The values that went since the step before.
        live: Every live value by name, and how its instance came to be there.
        held: The values of which the host holds a copy that is still to be fetched.
        bytes: Of the live values, by how they came to be there.
    """

    step: Step
    again: bool
    freed: tuple[str, ...]
    live: Mapping[str, Origin]
    held: Set[str]
    bytes: Mapping[Origin, int]


def states(graph: Graph, schedule: Schedule) -> Iterator[State]:
    """Walks a legal schedule: one state for each of ``Schedule.steps``."""
    walk = _Walk(graph)
    ends = copy_ends(schedule)
    freed: list[str] = []
    for position, action in enumerate(ticking(schedule.actions)):
        if isinstance(action, Free):
            walk.free(action.value)
            freed.append(action.value)
            continue
        again = isinstance(action, Compute) and action.node in walk.ran
        yield State(action, again, tuple(freed), walk.live, walk.held, walk.bytes)
        freed.clear()
        walk.take(action, again, last_use=position in ends)


class _Walk:
    """What is there, step by step."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ran: set[str] = set()
        self.live: dict[str, Origin] = {}
        self.held: set[str] = set()
        self.bytes = dict.fromkeys(Origin, 0)
        for value in graph.inputs:
            self.put(value, Origin.STAYS)

    def take(self, step: Step, again: bool, last_use: bool) -> None:
        if isinstance(step, Compute):
            self.ran.add(step.node)
            for value in self.graph.node[step.node].outputs:
                self.put(value, Origin.STAYS if value.resident else Origin.AGAIN if again else Origin.FIRST)
            return
        if isinstance(step, Fetch):
            self.put(self.graph.values[step.value], Origin.FETCHED)
        if last_use:
            self.held.discard(step.value)
        else:
            self.held.add(step.value)

    def put(self, value: Value, origin: Origin) -> None:
        """A fresh instance takes the place of a live one."""
        if value.name in self.live:
            self.free(value.name)
        self.live[value.name] = origin
        self.bytes[origin] += value.bytes

    def free(self, name: str) -> None:
        self.bytes[self.live.pop(name)] -= self.graph.values[name].bytes
