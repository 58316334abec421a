"""Which instance of a value takes memory during which steps of a schedule, and why there is another one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hcp.graph.ir import Graph
from hcp.schedule.actions import Compute, Fetch, Free, Schedule
from hcp.schedule.states import Origin, State, states


@dataclass(slots=True)
class Lifetime:
    """One instance of a value. The bytes of all that a step lies in, and its workspace, are what replay finds for it.

    Attributes:
        value: Its name.
        origin: How it came to be there.
        first: The step that makes it; 0 for the graph's inputs, which are there before.
        last: The last step during which it takes memory.
        reads: The steps that read it, executions and offloads, ascending.
        freed: Whether the schedule frees it after its last step.
        stays: Whether it is there when the schedule ends. If neither, it gives way to another instance: a fresh one
            takes the place of a live one, and a fresh one of a resident value goes at once.
    """

    value: str
    origin: Origin
    first: int
    last: int = -1
    reads: list[int] = field(default_factory=list)
    freed: bool = False
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Return:
    """Why a step makes a value again, or fetches it.

    Attributes:
        value: Its name.
        dropped: The step after which the instance before was freed; None where it was still live.
        needed: The first step that reads the new instance.
        held: The most that would have been held between the two, in bytes, had it stayed and all else been the same;
            None where no step lies between.
    """

    value: str
    dropped: int | None
    needed: int
    held: int | None


def lifetimes(graph: Graph, schedule: Schedule) -> list[Lifetime]:
    """All instances of values in a legal schedule, in the order in which they are made."""
    walk = _Walk(graph)
    step = -1
    for step, state in enumerate(states(graph, schedule)):
        walk.end(state.freed, step - 1)
        walk.take(step, state)
    walk.end(_freed_last(schedule), step)
    for instance in walk.live.values():
        instance.last, instance.stays = step, True
    return walk.found


def returns(graph: Graph, found: Iterable[Lifetime], profile: Sequence[int]) -> Mapping[int, list[Return]]:
    """By step that runs a node again or fetches: of what it makes, the values that something reads, and why.

    A step that is not in it though it runs a node again makes nothing that is read, or only what stays.

    Args:
        graph: The computation.
        found: Its ``lifetimes`` by a schedule.
        profile: Replay's, of the same schedule.
    """
    before: dict[str, Lifetime] = {}
    why: dict[int, list[Return]] = {}
    for instance in found:
        old = before.get(instance.value)
        before[instance.value] = instance
        if old is None or not instance.reads or instance.origin is Origin.STAYS:
            continue
        between = profile[old.last + 1 : instance.first] if old.freed else ()
        held = max(between) + graph.values[instance.value].bytes if between else None
        dropped = old.last if old.freed else None
        why.setdefault(instance.first, []).append(Return(instance.value, dropped, instance.reads[0], held))
    return why


class _Walk:
    """The instances so far, and the live ones among them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.found: list[Lifetime] = []
        self.live: dict[str, Lifetime] = {}
        for value in graph.inputs:
            self.begin(value.name, Origin.STAYS, 0)

    def begin(self, name: str, origin: Origin, step: int) -> None:
        instance = Lifetime(name, origin, step)
        old = self.live.get(name)
        self.found.append(instance)
        if old is None or origin is not Origin.STAYS:
            self.live[name] = instance
        # Both take memory during this step; of a resident value the first one stays.
        (instance if self.live[name] is old else old or instance).last = step

    def end(self, names: Iterable[str], step: int) -> None:
        for name in names:
            instance = self.live.pop(name)
            instance.last, instance.freed = step, True

    def take(self, step: int, state: State) -> None:
        action = state.step
        if isinstance(action, Fetch):
            self.begin(action.value, Origin.FETCHED, step)
            return
        read = self.graph.node[action.node].inputs if isinstance(action, Compute) else (action.value,)
        for name in read:
            self.live[name].reads.append(step)
        if isinstance(action, Compute):
            for value in self.graph.node[action.node].outputs:
                made = Origin.AGAIN if state.again else Origin.FIRST
                self.begin(value.name, Origin.STAYS if value.resident else made, step)


def _freed_last(schedule: Schedule) -> Iterator[str]:
    """What is freed after the last step."""
    for action in reversed(schedule.actions):
        if not isinstance(action, Free):
            return
        yield action.value
