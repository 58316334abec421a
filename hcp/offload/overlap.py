"""The same steps with copies beside the computation for longer: fetches that start earlier, frees that wait for none.

Between two computations, copies start first, then memory is given back, then fetches take theirs. A fetch that its
reader waits for moves before computations that go on meanwhile; a value that is still being copied stays for some more,
instead of the computation waiting for that. Both only where the profile has room for it, so that the budget is kept.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hcp.graph.ir import Graph
from hcp.schedule.actions import Action, Compute, Fetch, Free, Offload, Schedule, ScheduleError
from hcp.schedule.host import HostLink
from hcp.schedule.replay import Usage, replay

# What a schedule and its use can become.
Round = Callable[[Schedule, Usage], Iterable[tuple[Schedule, Usage]]]

# Moving one copy makes others wait, or wait no longer.
ROUNDS: Final = 8
# Frees and fetches want the same room.
KINDS: Final = ((Free, Fetch), (Fetch,), (Free,))


def overlapped(graph: Graph, schedule: Schedule, budget: int, host: HostLink) -> Schedule:
    """A schedule of the same steps, within the budget, that is done as soon or sooner where copies overlap."""
    return in_rounds(
        schedule, replay(graph, schedule, host), ROUNDS, lambda best, usage: _rounds(graph, best, usage, budget, host)
    )


def in_rounds(schedule: Schedule, usage: Usage, rounds: int, moves: Round) -> Schedule:
    """What rounds of moves make of a schedule, each from the best of the one before, while something waits."""
    for _ in range(rounds):
        found = [*moves(schedule, usage)] if sum(usage.waited.values()) else []
        if not found:
            break
        schedule, usage = min(found, key=lambda pair: pair[1].makespan)
    return schedule


def if_better(
    graph: Graph, moved: Schedule, usage: Usage, budget: int, host: HostLink | None
) -> Iterator[tuple[Schedule, Usage]]:
    """A schedule after moves, where it is legal, within the budget and done sooner than what it was made of."""
    try:
        found = replay(graph, moved, host)
    except ScheduleError:
        # Moves that are legal alone may not be together.
        return
    if found.peak <= budget and found.makespan < usage.makespan:
        yield moved, found


def _rounds(
    graph: Graph, schedule: Schedule, usage: Usage, budget: int, host: HostLink
) -> Iterator[tuple[Schedule, Usage]]:
    """What a round of moves comes to, where that is better."""
    for kinds in KINDS:
        moved = Schedule(tuple(_Moves(graph, schedule, usage, budget, host).actions(kinds)))
        yield from if_better(graph, moved, usage, budget, host)


@dataclass(frozen=True)
class _Moved:
    """An action between computations.

    Attributes:
        action: What.
        gap: How many computations come before it.
        reached: When the computation came to its place in the order.
        done: When it is done.
    """

    action: Free | Offload | Fetch
    gap: int
    reached: int
    done: int


class _Moves:
    """One round of moves.

    Attributes:
        room: Bytes that are left while each computation runs.
        ends: When computations end, in order.
    """

    def __init__(self, graph: Graph, schedule: Schedule, usage: Usage, budget: int, host: HostLink) -> None:
        self.graph = graph
        self.host = host
        self.computes = [action.node for action in schedule.actions if isinstance(action, Compute)]
        self.rest: list[_Moved] = []
        self.ends: list[int] = []
        reached = 0
        for action, (_, end) in zip(schedule.actions, usage.spans, strict=True):
            if isinstance(action, Compute):
                self.ends.append(end)
                reached = end
            else:
                self.rest.append(_Moved(action, len(self.ends), reached, end))
                # What comes next waits for memory.
                reached = max(reached, end) if isinstance(action, Free) else reached
        steps = zip(schedule.steps, usage.profile, strict=True)
        self.room = budget - np.array([held for step, held in steps if isinstance(step, Compute)])
        self.makes = self._places({name: [v.name for v in graph.node[name].outputs] for name in self.computes})
        self.reads = self._places({name: list(graph.node[name].inputs) for name in self.computes})

    def _places(self, values: dict[str, list[str]]) -> dict[str, list[int]]:
        """The computations, by the values that they have to do with."""
        found = defaultdict(list)
        for place, node in enumerate(self.computes):
            for name in values[node]:
                found[name].append(place)
        return found

    def actions(self, kinds: tuple[type[Free | Fetch], ...]) -> Iterator[Action]:
        """The actions after this round, in which some kinds of them move."""
        gaps: list[list[_Moved]] = [[] for _ in range(len(self.computes) + 1)]
        for place, each in enumerate(self.rest):
            self.rest[place] = moved = self._moved(each) if isinstance(each.action, kinds) else each
            gaps[moved.gap].append(moved)
        order = {Offload: 0, Free: 1, Fetch: 2}
        for gap, held in enumerate(gaps):
            yield from (each.action for each in sorted(held, key=lambda each: order[type(each.action)]))
            if gap < len(self.computes):
                yield Compute(self.computes[gap])

    def _moved(self, each: _Moved) -> _Moved:
        if isinstance(each.action, Free) and each.done > each.reached:
            return self._later(each)
        return self._earlier(each) if isinstance(each.action, Fetch) else each

    def _later(self, each: _Moved) -> _Moved:
        """Frees a value when its copy is complete, or as late as there is room."""
        name = each.action.value
        size = self.graph.values[name].bytes
        # Before another instance is made.
        last = min(
            self._next(self.makes[name], each.gap),
            min((other.gap for other in self.rest if self._brings(other, name, each.gap)), default=len(self.computes)),
        )
        gap = each.gap
        while gap < last and self._begins(gap) < each.done and self.room[gap] >= size:
            self.room[gap] -= size
            gap += 1
        return replace(each, gap=gap)

    def _earlier(self, each: _Moved) -> _Moved:
        """Fetches a value in time for its reader, or as early as there is room and it is on the host."""
        name = each.action.value
        size = self.graph.values[name].bytes
        reader = self._next(self.reads[name], each.gap)
        # When it is needed, if nobody waited.
        needed = self._begins(reader)
        first = max((other.gap for other in self.rest if self._gone(other, name, each.gap)), default=0)
        gap = each.gap
        while gap > first and self._begins(gap) + self.host.fetch_cost(size) > needed and self.room[gap - 1] >= size:
            gap -= 1
            self.room[gap] -= size
        return replace(each, gap=gap)

    def _begins(self, gap: int) -> int:
        """When the computations before a gap have ended."""
        return self.ends[gap - 1] if gap else 0

    def _next(self, places: list[int], gap: int) -> int:
        """The first of some computations behind a gap."""
        found = bisect_right(places, gap - 1)
        return places[found] if found < len(places) else len(self.computes)

    @staticmethod
    def _brings(other: _Moved, name: str, gap: int) -> bool:
        return isinstance(other.action, Fetch) and other.action.value == name and other.gap >= gap

    @staticmethod
    def _gone(other: _Moved, name: str, gap: int) -> bool:
        """Whether a value, or a copy of it, is dealt with before a gap."""
        return other.action.value == name and other.gap <= gap and not isinstance(other.action, Fetch)
