"""What a compiler is expected to fuse: groups of operations that a plan treats as one node each, for every framework.

A framework says in a ``Flow`` what its operations read and make; ``joined`` finds the groups.
"""

from hcp.integrations.fusion.clusters import Cluster, Clusters
from hcp.integrations.fusion.flow import Flow
from hcp.integrations.fusion.joining import joined, ordered

__all__ = ["Cluster", "Clusters", "Flow", "joined", "ordered"]
