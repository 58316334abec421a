"""Certificates of fixed-order bounds: multipliers on the end rows of the staged model, as in ``cuts.py``."""

from dataclasses import dataclass

from hcp.graph.ir import Graph
from hcp.planning.solution import Quantity
from hcp.schedule.scopes import FIXED_ORDER
from hcp.solvers.certificates.cuts import combine, round_up, rounded
from hcp.solvers.fixed_order.stages import StageModel, build_stage_grid, build_stage_model
from hcp.solvers.models.rows import FloatArray

# What plan files call these certificates.
STAGE_KIND = "staged-model/1"


@dataclass(frozen=True)
class StageCertificate:
    """Multipliers on the rows of the staged model of the graph's own order, without detailed stages.

    Attributes:
        budget: Bytes for which the rows were built; the proof holds for every budget up to it.
        multipliers: Pairs (row, numerator).
        denominator: Of all multipliers.
    """

    budget: int
    multipliers: tuple[tuple[int, int], ...]
    denominator: int

    @property
    def of(self) -> Quantity:
        """What the multipliers bound."""
        return "cost"

    @property
    def scope(self) -> str:
        """The end rows speak of every schedule whose first executions follow the graph's order."""
        return FIXED_ORDER

    def proven(self, graph: Graph, budget: int) -> int:
        """The bound on the cost that the multipliers prove; 0 where they prove nothing."""
        if budget > self.budget:
            return 0
        grid = build_stage_grid(graph.index, self.budget, tuple(graph.index.order.tolist()))
        return self.bound(graph, build_stage_model(grid, self.budget))

    def bound(self, graph: Graph, staged: StageModel) -> int:
        """The bound that the multipliers prove on the rows of a model."""
        return round_up(combine(staged.model, dict(self.multipliers), self.denominator, with_cost=True), graph)

    def to_dict(self, graph: Graph) -> dict[str, object]:  # noqa: ARG002 - it names nothing of the graph
        """What a plan file stores."""
        return {
            "kind": STAGE_KIND,
            "budget_bytes": self.budget,
            "denominator": self.denominator,
            "multipliers": [list(pair) for pair in self.multipliers],
        }


def certify_stages(
    graph: Graph, staged: StageModel, budget: int, multipliers: FloatArray
) -> tuple[int, StageCertificate]:
    """The fixed-order cost bound that the dual values of the end rows prove, with its certificate."""
    certificate = StageCertificate(budget, *rounded(multipliers))
    return certificate.bound(graph, staged), certificate
