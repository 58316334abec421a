"""Random schedules that offload and fetch, for the tests of all that replays or runs them."""

import random

from hcp.graph.ir import Graph
from hcp.schedule.actions import Compute, Fetch, Offload, Schedule, Step


def random_transfers(graph: Graph, seed: int, drop: float = 0.3, offload: float = 0.5) -> Schedule:
    """Runs the graph in order, forgets live values at random, and recomputes or fetches them when they are needed.

    Some values are offloaded twice, some for nothing.
    """
    return _Walk(graph, random.Random(seed), drop, offload).run()


class _Walk:
    def __init__(self, graph: Graph, draw: random.Random, drop: float, offload: float) -> None:
        self.graph = graph
        self.draw = draw
        self.drop = drop
        self.offload = offload
        self.live = {value.name for value in graph.inputs}
        self.copied: set[str] = set()
        self.steps: list[Step] = []

    def run(self) -> Schedule:
        for name in self.graph.order:
            self._compute(name)
            for value in sorted(self.live):
                if not self.graph.values[value].resident:
                    self._maybe_forget(value)
        return Schedule.from_steps(self.graph, self.steps)

    def _compute(self, name: str) -> None:
        for value in self.graph.node[name].inputs:
            self._bring(value)
        self.steps.append(Compute(name))
        self.live.update(value.name for value in self.graph.node[name].outputs)

    def _bring(self, value: str) -> None:
        if value in self.live:
            return
        node = self.graph.node[self.graph.producer[value]]
        if value in self.copied and (not node.recomputable or self.draw.random() < 0.7):
            self.steps.append(Fetch(value))
            self.live.add(value)
        else:
            self._compute(node.name)

    def _maybe_forget(self, value: str) -> None:
        if self.draw.random() < self.offload * self.drop:
            self.steps.append(Offload(value))
            self.copied.add(value)
        recomputable = self.graph.node[self.graph.producer[value]].recomputable
        if (recomputable or value in self.copied) and self.draw.random() < self.drop:
            self.live.discard(value)
