"""Better uses of a host link in a given schedule: fetching instead of running again, keeping instead of fetching.

Both keep within the budget whatever the schedule does: a fetch takes less memory than running a node again, and what is
kept is only kept where the profile has room for it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush

import numpy as np

from hcp.graph.ir import Graph
from hcp.offload.surrogate import with_offloads
from hcp.schedule.actions import Compute, Fetch, Offload, Schedule, Step
from hcp.schedule.host import HostLink
from hcp.schedule.replay import replay
from hcp.schedule.states import states


def improved(graph: Graph, steps: Iterable[Step], budget: int, host: HostLink) -> Schedule:
    """A schedule that costs no more than these steps, within the same budget."""
    kept = with_offloads(graph, _kept(graph, with_offloads(graph, steps), budget, host))
    listed = with_offloads(graph, _Reruns(graph, kept, host).replaced())
    return Schedule.from_steps(graph, with_offloads(graph, _kept(graph, listed, budget, host)))


def _kept(graph: Graph, steps: Sequence[Step], budget: int, host: HostLink) -> list[Step]:
    """The steps without fetches of values that can just as well stay, the most expensive first."""
    schedule = Schedule.from_steps(graph, steps)
    profile = np.array(replay(graph, schedule, host).profile)
    gone: dict[str, int] = {}
    stays: list[tuple[int, int, int, int]] = []
    for place, state in enumerate(states(graph, schedule)):
        gone.update(dict.fromkeys(state.freed, place))
        if isinstance(state.step, Fetch):
            size = graph.values[state.step.value].bytes
            stays.append((-host.fetch_cost(size), gone[state.step.value], place, size))
    dropped = set()
    for _, first, last, size in sorted(stays):
        if profile[first:last].max(initial=0) + size <= budget:
            profile[first:last] += size
            dropped.add(last)
    return [step for place, step in enumerate(steps) if place not in dropped]


class _Reruns:
    """The recomputations of a schedule, and what fetching their results instead would save."""

    def __init__(self, graph: Graph, steps: Sequence[Step], host: HostLink) -> None:
        self.graph = graph
        self.steps: list[Step | None] = list(steps)
        self.host = host
        # For each step: what it reads, with the step that made it; and how often each of its own values is read.
        self.reads: list[list[tuple[str, int]]] = []
        self.uses: list[Counter[str]] = [Counter() for _ in steps]
        self.first: dict[str, int] = {}
        self.offloaded = {step.value for step in steps if isinstance(step, Offload)}
        self.room = float("inf") if host.capacity is None else host.capacity
        self.room -= sum(graph.values[name].bytes for name in self.offloaded)
        # What is fetched in place of a recomputation.
        self.fetched: dict[int, list[str]] = {}
        self._link()

    def replaced(self) -> list[Step]:
        """The steps with the recomputations replaced that cost more than a fetch, most first."""
        queue = [(-self.gain(place), place) for place in range(len(self.steps)) if self._is_rerun(place)]
        heapify(queue)
        while queue:
            gain, place = heappop(queue)
            now = self.gain(place) if self._is_rerun(place) else 0
            if now <= 0:
                continue
            if now < -gain:
                heappush(queue, (-now, place))
                continue
            self._replace(place)
        found: list[Step] = []
        for place, step in enumerate(self.steps):
            found += [Fetch(name) for name in self.fetched.get(place, ()) if self.uses[place][name]]
            found += [] if step is None else [step]
        return found

    def gain(self, place: int) -> int:
        """What is saved by fetching the results of a recomputation; below zero where that costs more."""
        size = {name: self.graph.values[name].bytes for name in self._wanted(place)}
        new = [name for name in size if name not in self.offloaded]
        if sum(size[name] for name in new) > self.room:
            return 0
        cost = sum(map(self.host.fetch_cost, size.values())) + sum(self.host.offload_cost(size[name]) for name in new)
        return sum(map(self._cost, self._unneeded(place))) - cost

    def _link(self) -> None:
        maker: dict[str, int] = {}
        for place, step in enumerate(self.steps):
            names = self.graph.node[step.node].inputs if isinstance(step, Compute) else ()
            names = (step.value,) if isinstance(step, Offload) else names
            found = [(name, maker[name]) for name in names if name in maker]
            self.reads.append(found)
            for name, made in found:
                self.uses[made][name] += 1
            if isinstance(step, Fetch):
                maker[step.value] = place
            elif isinstance(step, Compute):
                again = step.node in self.first
                self.first.setdefault(step.node, place)
                # Of a resident value the first instance stays; one without bytes may as well.
                values = self.graph.node[step.node].outputs
                maker.update((v.name, place) for v in values if not (again and (v.resident or not v.bytes)))

    def _is_rerun(self, place: int) -> bool:
        step = self.steps[place]
        return isinstance(step, Compute) and self.first[step.node] != place

    def _cost(self, place: int) -> int:
        step = self.steps[place]
        if isinstance(step, Compute):
            return self.graph.node[step.node].cost
        assert isinstance(step, Fetch)
        return self.host.fetch_cost(self.graph.values[step.value].bytes)

    def _wanted(self, place: int) -> list[str]:
        return [name for name, count in self.uses[place].items() if count]

    def _unneeded(self, place: int) -> list[int]:
        """A recomputation, and the others and the fetches that nothing else needs."""
        left: dict[int, int] = {}
        found = [place]
        for step in found:
            for _, made in self.reads[step]:
                if self._is_rerun(made) or isinstance(self.steps[made], Fetch):
                    left[made] = left.get(made, self.uses[made].total()) - 1
                    if not left[made]:
                        found.append(made)
        return found

    def _replace(self, place: int) -> None:
        wanted = self._wanted(place)
        new = [name for name in wanted if name not in self.offloaded]
        self.room -= sum(self.graph.values[name].bytes for name in new)
        self.offloaded.update(new)
        self.fetched[place] = wanted
        for step in self._unneeded(place):
            for name, made in self.reads[step]:
                self.uses[made][name] -= 1
            self.steps[step] = None
