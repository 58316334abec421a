"""Certificates of fixed-order bounds: multipliers on the end rows of the staged model."""

from dataclasses import dataclass
from typing import ClassVar, Final

from hcp.graph.fields import Record
from hcp.graph.ir import Graph
from hcp.schedule.scopes import FIXED_ORDER
from hcp.solvers.certificates.multipliers import DualCertificate, dual_fields, rounded
from hcp.solvers.fixed_order.stages import END_ROWS_VERSION, StageModel, build_stage_grid, build_stage_model
from hcp.solvers.formats import Format
from hcp.solvers.models.rows import FloatArray, Model

STAGE_FORMAT: Final = Format("staged-model", END_ROWS_VERSION)


@dataclass(frozen=True, kw_only=True)
class StageCertificate(DualCertificate):
    """Multipliers on the rows of the staged model of the graph's own order, without detailed stages."""

    format: ClassVar[Format] = STAGE_FORMAT

    @property
    def scope(self) -> str:
        """The end rows speak of every schedule whose first executions follow the graph's order."""
        return FIXED_ORDER

    def rebuilt(self, graph: Graph) -> Model:
        """The end rows."""
        grid = build_stage_grid(graph.index, self.budget, tuple(graph.index.order.tolist()))
        return build_stage_model(grid, self.budget).model


def read_stages(record: Record, _: Graph) -> StageCertificate:
    """A certificate of the staged model as its ``to_dict`` wrote it."""
    return StageCertificate(**dual_fields(record))


def certify_stages(
    graph: Graph, staged: StageModel, budget: int, multipliers: FloatArray
) -> tuple[int, StageCertificate]:
    """The fixed-order cost bound that the dual values of the end rows prove, with its certificate."""
    pairs, denominator = rounded(multipliers, staged.model)
    certificate = StageCertificate(budget=budget, multipliers=pairs, denominator=denominator)
    return certificate.evaluated(graph, staged.model), certificate
