"""Which operations become one group: what a compiler fuses, as far as a plan stores less for it.

A plan that counted every operation's result as memory would be wrong by far, since compilers fuse:

- Views are repeated in each reader; a ``Flow`` has none.
- An operation that can be fused joins its readers where they are all one group and nothing larger has to be kept for
  it, or where they lie in the same segment between two heavy operations.
- Where heavy operations (products, convolutions, loops, ...) are fused with what follows, they take up the fusible
  operations behind them as long as one value comes out, so that a bias or an activation needs no store of its own.

No group has two heavy operations.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from hcp.graph.topo import least_first
from hcp.integrations.fusion.clusters import Cluster, Clusters
from hcp.integrations.fusion.flow import Flow


def joined(flow: Flow, stored: Collection[Any], *, epilogues: bool) -> Clusters:
    """The groups of a program.

    Args:
        flow: What reads what.
        stored: Variables that are stored in any case.
        epilogues: Whether heavy operations are fused with what follows them.
    """
    clusters = Clusters(flow)
    fusion = _Fusion(flow, clusters, frozenset(stored), epilogues)
    # Backwards, so that an operation's readers have found their group before it is asked to join.
    for i in reversed(range(len(flow.made))):
        fusion.join(i)
    return clusters


def ordered(clusters: Clusters) -> list[Cluster]:
    """Groups in topological order; where there is a choice, the one that ends first in the program."""
    found = list(dict.fromkeys(clusters.of))
    number = {cluster: i for i, cluster in enumerate(found)}
    sources = [[number[source] for source in clusters.sources(cluster)] for cluster in found]
    return [found[i] for i in least_first(sources, [cluster.last for cluster in found])]


@dataclass(frozen=True)
class _Fusion:
    """Which operations join the groups of their readers.

    Attributes:
        flow: What reads what.
        clusters: The groups so far.
        stored: Variables that are stored in any case.
        epilogues: Whether heavy operations are fused with what follows them.
    """

    flow: Flow
    clusters: Clusters
    stored: frozenset[Any]
    epilogues: bool

    def join(self, i: int) -> None:
        """Lets an operation join the group or groups of its readers, where that serves."""
        readers = self.flow.readers_of(i)
        groups = list(dict.fromkeys(self.clusters.of[j] for j in readers))
        if self.can_join(i, groups) and self.serves(i, readers, groups):
            self.clusters.join([self.clusters.of[i], *groups])

    def can_join(self, i: int, groups: Sequence[Cluster]) -> bool:
        """Whether nothing keeps an operation and its readers apart: effects, or that its result is stored anyway."""
        if not groups or not self.stored.isdisjoint(self.flow.made[i]):
            return False
        return not any(group.alone for group in (self.clusters.of[i], *groups))

    def serves(self, i: int, readers: Sequence[int], groups: Sequence[Cluster]) -> bool:
        """Whether less is stored where an operation is in one group with its readers."""
        if len(groups) > 1:
            return self.in_one_segment(i, groups) and not self.clusters.leads_back(groups)
        (only,) = groups
        near = self.flow.near(i, max(readers))
        if self.flow.is_heavy(i):
            return self.epilogues and near and only.heavy is None and len(only.outputs) == 1
        return self.takes_part(i, only) and (near or self.smaller_inputs(i))

    def in_one_segment(self, i: int, groups: Sequence[Cluster]) -> bool:
        """Whether no operation is heavy: this one, those of the groups, and those between it and their ends."""
        return not self.flow.is_heavy(i) and all(
            group.heavy is None and self.flow.near(i, group.last) for group in groups
        )

    def takes_part(self, i: int, group: Cluster) -> bool:
        """Whether an operation can be fused into a group: behind its heavy operation, or where there is none."""
        return group.heavy is None or (self.epilogues and self.flow.reads[group.heavy].isdisjoint(self.flow.made[i]))

    def smaller_inputs(self, i: int) -> bool:
        """Whether keeping what an operation reads, until its reader runs, takes no more than keeping its result."""
        kept = sum(self.flow.size(variable) for variable in self.flow.reads[i] if variable in self.flow.producer)
        return kept <= sum(map(self.flow.size, self.flow.made[i]))
