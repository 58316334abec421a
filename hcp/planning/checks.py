"""Checks of certificates within limits: files come from anywhere, and what they hold may take days to check.

What is beyond a limit proves nothing, is not called wrong, and is said to be unchecked.
"""

from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from hcp.graph.cancellation import Cancelled, cancelled_when
from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph
from hcp.planning.solution import Bound

# Seconds for all certificates of a plan.
CHECK_SECONDS: Final = 60.0
# Nodes and values, by stages, of a relaxation that is built for a check.
MOST_CELLS: Final = 20_000_000
# Entries of a certificate's cuts in rows.
MOST_ENTRIES: Final = 20_000_000


class BeyondLimit(Exception):
    """A check would take too much; the message says what of."""


def check_size(index: GraphIndex, stages: int) -> None:
    """Refuses a relaxation that is too large to be built.

    Raises:
        BeyondLimit: If it is.
    """
    n, items = index.n, index.n + index.m
    # Ancestors of all nodes are bits.
    if items * stages > MOST_CELLS or n * n > 64 * MOST_CELLS:
        raise BeyondLimit(f"{items:,} nodes and values by {stages:,} stages are beyond the limit of {MOST_CELLS:,}")


@dataclass
class Checks:
    """What the certificates of a plan prove, as far as they were checked.

    Attributes:
        seconds: That checks may take from now on.
        limit: That they might take at first.
    """

    seconds: float = CHECK_SECONDS
    limit: float = CHECK_SECONDS
    _proven: dict[Bound, int] = field(default_factory=dict)
    _beyond: dict[Bound, str] = field(default_factory=dict)

    @classmethod
    def within(cls, seconds: float) -> "Checks":
        """Checks that take so many seconds together."""
        return cls(seconds, seconds)

    def proven(self, bound: Bound, graph: Graph, budget: int) -> int:
        """What a bound's certificate proves; 0 where it proves nothing, or was not checked."""
        if bound not in self._proven:
            self._proven[bound] = self._checked(bound, graph, budget)
        return self._proven[bound]

    def beyond(self, bound: Bound) -> str:
        """Why a bound's certificate was not checked; empty where it was."""
        return self._beyond.get(bound, "")

    def _checked(self, bound: Bound, graph: Graph, budget: int) -> int:
        assert bound.certificate is not None
        begun = monotonic()
        end = begun + self.seconds
        try:
            with cancelled_when(lambda: monotonic() > end):
                return bound.certificate.proven(graph, budget)
        except BeyondLimit as error:
            self._beyond[bound] = str(error)
        except Cancelled:
            if monotonic() <= end:
                # The limit of somebody around.
                raise
            self._beyond[bound] = f"beyond the limit of {self.limit:g} seconds for all checks"
        finally:
            self.seconds = max(0.0, end - monotonic())
        return 0
