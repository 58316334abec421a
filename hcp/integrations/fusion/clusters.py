"""Groups of operations in the making: what is in each, what leaves it, and whether some can become one.

Where groups are joined, the smaller one moves. So an operation moves a logarithmic number of times, and joining a whole
program looks at each read as often.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hcp.integrations.fusion.flow import Flow

# How many reads a search for a way back looks at, for each group that it starts from: on average over a program, so
# that the work grows as its length, and at most. Models need two.
NEAR: Final = 64
FAR: Final = 3000


@dataclass(eq=False)
class Cluster:
    """A group in the making.

    Attributes:
        members: Its operations, in any order.
        last: The last of them in the program.
        outputs: Variables that others read or that the program returns.
        heavy: The operation that can't be fused; a group has one at most.
        alone: Whether no other operation may join it.
    """

    members: list[int]
    last: int
    outputs: dict[Any, None]
    heavy: int | None
    alone: bool


@dataclass
class Clusters:
    """All groups in the making; at first, each operation is one.

    Attributes:
        flow: What reads what.
        of: The group of each operation.
    """

    flow: Flow
    of: list[Cluster] = field(default_factory=list)
    _readers_outside: dict[Any, int] = field(default_factory=dict)
    # Reads that searches for a way back may still look at, all together.
    _left: int = FAR

    def __post_init__(self) -> None:
        flow = self.flow
        self._readers_outside = {var: len(readers) for var, readers in flow.readers.items()}
        for i, made in enumerate(flow.made):
            outputs = dict.fromkeys(var for var in made if var in flow.readers or var in flow.returned)
            self.of.append(Cluster([i], i, outputs, i if flow.is_heavy(i) else None, i in flow.alone))

    def readers(self, cluster: Cluster) -> Iterator[Cluster]:
        """The groups that read from a group, as often as they do; itself as well, where it reads what others read."""
        return (self.of[j] for var in cluster.outputs for j in self.flow.readers.get(var, ()))

    def sources(self, cluster: Cluster) -> set[Cluster]:
        """The other groups that a group reads from."""
        producer, reads = self.flow.producer, self.flow.reads
        return {self.of[producer[var]] for m in cluster.members for var in reads[m] if var in producer} - {cluster}

    def join(self, clusters: Sequence[Cluster]) -> None:
        """Makes one group of several."""
        target = max(clusters, key=lambda cluster: len(cluster.members))
        for cluster in clusters:
            if cluster is not target:
                self._move(cluster, target)

    def _move(self, cluster: Cluster, target: Cluster) -> None:
        target.outputs.update(cluster.outputs)
        for m in cluster.members:
            for var in self.flow.reads[m]:
                if var in self.flow.producer and self.of[self.flow.producer[var]] is target:
                    self._read_inside(var, target)
            for var in self.flow.made[m]:
                for reader in self.flow.readers.get(var, ()):
                    if self.of[reader] is target:
                        self._read_inside(var, target)
        for m in cluster.members:
            self.of[m] = target
        target.members += cluster.members
        target.last = max(target.last, cluster.last)
        target.heavy = cluster.heavy if target.heavy is None else target.heavy
        target.alone = target.alone or cluster.alone

    def _read_inside(self, var: Any, cluster: Cluster) -> None:  # noqa: ANN401
        """Counts a reader of a variable that is in its group now."""
        self._readers_outside[var] -= 1
        if not self._readers_outside[var] and var not in self.flow.returned:
            del cluster.outputs[var]

    def leads_back(self, clusters: Sequence[Cluster]) -> bool:
        """Whether a path leads from one of some groups over others back into one of them.

        Where that is not known after some steps, it is taken to be so: groups that stay apart are right as well.
        """
        # What a group yields comes from one segment, its last; so nothing leads back from groups of later segments.
        last = max(self.flow.segment(cluster.last) for cluster in clusters)
        asked, seen, stack = set(clusters), set(clusters), list(clusters)
        self._left += NEAR * len(clusters)
        least = max(0, self._left - FAR * len(clusters))
        while stack:
            at = stack.pop()
            for reader in self.readers(at):
                self._left -= 1
                if self._left <= least or (reader in asked and at not in asked):
                    return True
                if reader not in seen and self.flow.segment(reader.last) <= last:
                    seen.add(reader)
                    stack.append(reader)
        return False
