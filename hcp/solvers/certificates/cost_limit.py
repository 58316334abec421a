"""Bounds on the peak of schedules that cost no more than a limit: within less memory every schedule costs more."""

from dataclasses import dataclass
from typing import ClassVar, Final

from hcp.graph.errors import GraphError
from hcp.graph.fields import Record, shown
from hcp.graph.ir import Graph
from hcp.planning.solution import Certificate, Quantity
from hcp.schedule.host import HostLink
from hcp.schedule.scopes import ORDER_FREE, within_cost
from hcp.solvers.formats import Format

COST_LIMIT_FORMAT: Final = Format("cost-limit", 1)


@dataclass(frozen=True)
class CostLimitCertificate:
    """A certificate that within some budget the cost exceeds a limit.

    Attributes:
        budget: Bytes; no schedule within the limit has a peak of as much or less.
        limit: On the cost.
        proof: Bounds the cost within the budget, for every schedule.
    """

    of: ClassVar[Quantity] = "peak"
    budget: int
    limit: int
    proof: Certificate

    @property
    def scope(self) -> str:
        """The schedules within the limit, in any order."""
        return within_cost(self.limit)

    @property
    def host(self) -> HostLink | None:
        """The link that the proof knows of."""
        host: HostLink | None = getattr(self.proof, "host", None)
        return host

    def proven(self, graph: Graph, budget: int) -> int:  # noqa: ARG002 - speaks of its own budget
        """The bound on the peak; 0 where the proof does not exceed the limit."""
        if graph.engines or self.proof.of != "cost" or self.proof.scope != ORDER_FREE:
            return 0
        return self.budget + 1 if self.proof.proven(graph, self.budget) > self.limit else 0

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores."""
        return {
            "kind": str(COST_LIMIT_FORMAT),
            "budget_bytes": self.budget,
            "cost_limit": self.limit,
            "proof": self.proof.to_dict(graph),
        }


def read_limit(record: Record) -> tuple[int, int, object]:
    """Budget and limit that ``to_dict`` wrote, and the proof as it stands there.

    Raises:
        GraphError: On anything else, and where the proof has a limit itself.
    """
    proof = Record(record.get("proof"), f"the proof in {record.owner}")
    if proof.text("kind").partition("/")[0] == COST_LIMIT_FORMAT.name:
        raise GraphError(f"{record.owner} has a proof of kind {shown(proof.text('kind'))}; expected one of the cost")
    return record.amount("budget_bytes"), record.amount("cost_limit"), record.get("proof")
