"""Path cuts (family E4): rows that follow a value's production back through the stages.

For a path of values x_m, ..., x_0, where x_m is read by w and each x_{l-1} by the producer of x_l, trace an execution
of w in stage k back through the instances it read. That walk goes back in time along saves S[x_l, j] and from a value
to what its producer read along runs R[p(x_l), j]. A staircase that separates it from the past is crossed at a save or a
run, so these sum up to at least R[w,k]; and w first executes at most once, so they sum up to at least its first
executions in the stages a .. k as well, where a is the stage that the staircase starts at.

A staircase starts at a value w reads with a save, S[x_m, a]. It then goes right, which costs the runs of that value's
producer in the stages passed; left, which is free; or down to a value the producer reads, which costs a save; until it
has passed stage k.
"""

from dataclasses import dataclass

from hcp.graph.index import GraphIndex


@dataclass(frozen=True)
class PathCut:
    """A staircase.

    Attributes:
        reader: The node w whose execution is traced back.
        stage: The end stage k.
        first: Whether w's first executions in the stages from the first step's to ``stage`` are bounded; else its runs
            in ``stage``.
        steps: Pairs (value, stage) at which the staircase enters a value's layer, x_m first.
    """

    reader: int
    stage: int
    first: bool
    steps: tuple[tuple[int, int], ...]

    def runs(self, index: GraphIndex) -> list[tuple[int, int]]:
        """Pairs (node, stage) of the runs the staircase crosses."""
        ends = [stage for _, stage in self.steps[1:]] + [self.stage + 1]
        return [
            (int(index.producer[value]), j)
            for (value, start), end in zip(self.steps, ends, strict=True)
            for j in range(start, end)
        ]

    def is_valid(self, index: GraphIndex, stages: int) -> bool:
        """Whether this is a staircase of the graph at all; certificates from elsewhere are checked with it."""
        reader, values = self.reader, [value for value, _ in self.steps]
        if not (0 <= reader < index.n and 0 <= self.stage <= stages and values):
            return False
        for value, stage in self.steps:
            if not (0 <= value < index.m and 0 <= stage <= self.stage):
                return False
            if value not in index.inputs[reader] or index.producer[value] < 0:
                return False
            reader = int(index.producer[value])
        return True
