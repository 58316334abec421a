"""The same actions in an order in which engines beside the computation have more to do, and it waits less for them.

A node on an engine that the computation waits for starts before others in the engine's queue, together with what is
quickly made for it; a value that such a node still reads stays for some more, instead of the computation waiting for
that. Both only where there is room for it, so that the budget is kept.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from hcp.graph.cancellation import ticking
from hcp.graph.ir import Graph, Node
from hcp.offload.overlap import if_better, in_rounds
from hcp.schedule.actions import Action, Compute, Free, Schedule
from hcp.schedule.host import HostLink
from hcp.schedule.replay import Usage, replay

# Moving one node makes others wait, or wait no longer.
ROUNDS: Final = 60
# Of what a node on an engine costs, what something may cost that is made for it and moves with it.
QUICK: Final = 0.5
# Some moves make others useless; where all together are no better, fewer may be.
SHARES: Final = (1.0, 0.5, 0.1)


def earlier(graph: Graph, schedule: Schedule, budget: int, host: HostLink | None = None) -> Schedule:
    """A schedule of the same actions, within the budget, that is done as soon or sooner."""
    return in_rounds(
        schedule, replay(graph, schedule, host), ROUNDS, lambda best, usage: _better(graph, best, usage, budget, host)
    )


def _better(
    graph: Graph, schedule: Schedule, usage: Usage, budget: int, host: HostLink | None
) -> Iterator[tuple[Schedule, Usage]]:
    """What a round of moves comes to, where that is better."""
    for share in SHARES:
        moved = _Moves(graph, schedule, usage, budget).moved(share)
        found = [*if_better(graph, moved, usage, budget, host)]
        if found:
            yield from found
            return


class _Wait(NamedTuple):
    """For how long the computation waits, since when, and the action that it waits for."""

    time: int
    place: int
    action: Action
    since: int


@dataclass
class _Moves:
    """One round of moves.

    Attributes:
        graph: The computation.
        schedule: Whose actions move.
        usage: What it uses.
        budget: In bytes.
        room: Bytes that are left during each action.
        reached: When the computation came to each action.
        queued: When engines were done with what was in their queues then.
        place: Where actions go that move: before or after another one.
    """

    graph: Graph
    schedule: Schedule
    usage: Usage
    budget: int
    room: np.ndarray = field(init=False)
    reached: list[int] = field(init=False)
    queued: dict[str, list[int]] = field(init=False)
    place: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        actions = self.schedule.actions
        steps = [place for place, action in enumerate(actions) if not isinstance(action, Free)]
        held = np.array(_held(self.graph, actions))
        held[steps] = self.usage.profile
        self.room = self.budget - held
        now = dict.fromkeys(("", *self.graph.engines), 0)
        self.queued = {engine: [] for engine in now}
        for action, (_, end) in zip(actions, self.usage.spans, strict=True):
            for engine, times in self.queued.items():
                times.append(now[engine])
            if isinstance(action, Compute | Free):
                now[self.graph.node[action.node].engine if isinstance(action, Compute) else ""] = end
        self.reached = self.queued[""]

    def moved(self, share: float) -> Schedule:
        """The schedule after the moves against so much of the longest waits."""
        waits = sorted(self._waits(), key=lambda wait: -wait.time)
        for wait in ticking(waits[: max(1, int(share * len(waits)))]):
            (self._later if isinstance(wait.action, Free) else self._earlier)(wait)
        keys = [self.place.get(place, (place, 0)) for place in range(len(self.schedule.actions))]
        order = sorted(range(len(keys)), key=lambda place: (keys[place], place))
        return Schedule(tuple(self.schedule.actions[place] for place in order))

    def _waits(self) -> Iterator[_Wait]:
        """What the computation waits for: to free values, and for nodes to be done."""
        # The nodes on engines that made a live instance, and that read it last.
        makers: dict[str, int] = {}
        readers: dict[str, int] = {}
        for place, action in enumerate(self.schedule.actions):
            since = self.reached[place]
            if isinstance(action, Compute):
                node = self.graph.node[action.node]
                places = set() if node.engine else {makers[name] for name in node.inputs if name in makers}
                for value in node.outputs:
                    makers.pop(value.name, None)
                    readers.pop(value.name, None)
                if node.engine:
                    makers.update((value.name, place) for value in node.outputs)
                    readers.update((name, place) for name in node.inputs)
            elif isinstance(action, Free):
                places = {found[action.value] for found in (makers, readers) if action.value in found}
                time = self.usage.spans[place][1] - since
                if time > 0:
                    yield _Wait(time, place, action, since)
            else:
                places = set()
            for other in places:
                if self.usage.spans[other][1] > since:
                    yield _Wait(self.usage.spans[other][1] - since, other, self.schedule.actions[other], since)

    def _later(self, wait: _Wait) -> None:
        """Frees a value when what reads it is done, or as late as there is room."""
        name = wait.action.value if isinstance(wait.action, Free) else ""
        size, place, after = self.graph.values[name].bytes, wait.place, wait.place
        # What comes next would come sooner by the wait.
        while after + 1 < len(self.room) and self.reached[after + 1] - wait.time < wait.since + wait.time:
            # Another instance of it stands for itself.
            if self.room[after + 1] < size or name in self._touched(self.schedule.actions[after + 1]):
                break
            after += 1
        self.room[place : after + 1] -= size
        self.place[place] = after, 1

    def _earlier(self, wait: _Wait) -> None:
        """Starts a node so early that it is done when it is waited for, or as early as there is room."""
        begin, end = self.usage.spans[wait.place]
        group = _Group(self.graph, self._node(wait.action), [wait.place])
        wanted = self._wanted(group.last.engine, wait.since - (end - begin))
        first = wait.place
        while first > wanted and self.room[first - 1] >= group.size:
            before = self.schedule.actions[first - 1]
            if isinstance(before, Compute) and group.reads(self._node(before)):
                if not group.take(self._node(before), first - 1) or self.room[first - 1] < group.size:
                    break
            elif group.minds(before, self._touched(before)):
                break
            first -= 1
        if first < wait.place:
            self.room[first : wait.place] -= group.size
            self.place.update((place, (first, -1)) for place in group.places)

    def _wanted(self, engine: str, latest: int) -> int:
        """Before which action a node would have to come, to be started so late by an engine."""
        return max(0, min(bisect_right(self.reached, latest), bisect_right(self.queued[engine], latest)) - 1)

    def _node(self, action: Action) -> Node:
        assert isinstance(action, Compute)
        return self.graph.node[action.node]

    def _touched(self, action: Action) -> set[str]:
        """The values that an action has to do with."""
        if isinstance(action, Compute):
            node = self.graph.node[action.node]
            return {*node.inputs, *(value.name for value in node.outputs)}
        return {action.value}


def _held(graph: Graph, actions: Sequence[Action]) -> list[int]:
    """Bytes of the live values before each action."""
    live = {value.name for value in graph.inputs}
    held, found = sum(value.bytes for value in graph.inputs), []
    for action in actions:
        found.append(held)
        if isinstance(action, Free):
            live.discard(action.value)
            held -= graph.values[action.value].bytes
            continue
        made = graph.node[action.node].outputs if isinstance(action, Compute) else (graph.values[action.value],)
        fresh = [value for value in made if value.name not in live]
        live.update(value.name for value in fresh)
        held += sum(value.bytes for value in fresh)
    return found


@dataclass
class _Group:
    """A node on an engine, and what moves with it.

    Attributes:
        graph: The computation.
        last: The node.
        places: Of all that moves.
        size: Bytes of what they make.
        needs: Names of the values that they read.
        makes: Of those that they make.
    """

    graph: Graph
    last: Node
    places: list[int]
    size: int = 0
    needs: set[str] = field(default_factory=set)
    makes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._add(self.last)

    def reads(self, node: Node) -> bool:
        """Whether something in it reads what a node makes."""
        return any(value.name in self.needs for value in node.outputs)

    def take(self, node: Node, place: int) -> bool:
        """Takes a node in, if it is quick; says whether."""
        if node.engine or node.workspace or node.cost > QUICK * self.last.cost:
            return False
        self.places.append(place)
        self._add(node)
        return True

    def minds(self, action: Action, touched: set[str]) -> bool:
        """Whether it has to stay behind an action."""
        # Others may read the same; what frees or moves a value makes it another one.
        return not self.makes.isdisjoint(touched) or (
            not isinstance(action, Compute) and not self.needs.isdisjoint(touched)
        )

    def _add(self, node: Node) -> None:
        self.size += sum(value.bytes for value in node.outputs)
        self.needs |= {*node.inputs}
        self.makes |= {value.name for value in node.outputs}
