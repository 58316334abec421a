"""Certificates of fixed-order bounds: multipliers on the end rows of the staged model."""

from dataclasses import dataclass
from typing import ClassVar, Final

from hcp.graph.fields import Record
from hcp.graph.ir import Graph
from hcp.planning.checks import check_size
from hcp.schedule.scopes import FIXED_ORDER
from hcp.solvers.certificates.multipliers import DualCertificate, dual_fields, rounded
from hcp.solvers.certificates.rows import END_ROWS, Rows, read_rows, restricted, to_lists
from hcp.solvers.fixed_order.stages import END_ROWS_VERSION, StageModel, build_stage_grid, build_stage_model
from hcp.solvers.formats import Format
from hcp.solvers.models.rows import FloatArray, Model

STAGE_FORMAT: Final = Format("staged-model", END_ROWS_VERSION)


@dataclass(frozen=True, kw_only=True)
class StageCertificate(DualCertificate):
    """Multipliers on rows of the staged model of the graph's own order, without detailed stages.

    Attributes:
        rows: Those that have multipliers.
    """

    format: ClassVar[Format] = STAGE_FORMAT
    rows: Rows = ()

    @property
    def scope(self) -> str:
        """The end rows speak of every schedule whose first executions follow the graph's order."""
        return FIXED_ORDER

    def rebuilt(self, graph: Graph) -> Model | None:
        """The rows; None where the model has no such row."""
        check_size(graph.index, graph.index.n)
        grid = build_stage_grid(graph.index, self.budget, tuple(graph.index.order.tolist()))
        return restricted(build_stage_model(grid, self.budget, whole=True).model, self.rows)

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores, with names instead of numbers."""
        return {**super().to_dict(graph), "rows": to_lists(self.rows, graph.index)}


def read_stages(record: Record, graph: Graph) -> StageCertificate:
    """A certificate of the staged model as its ``to_dict`` wrote it."""
    return StageCertificate(**dual_fields(record), rows=read_rows(record, graph.index, END_ROWS))


def certify_stages(
    graph: Graph, staged: StageModel, budget: int, multipliers: FloatArray
) -> tuple[int, StageCertificate]:
    """The fixed-order cost bound that the dual values of the end rows prove, with its certificate."""
    pairs, denominator = rounded(multipliers, staged.model)
    used = [row for row, _ in pairs]
    certificate = StageCertificate(
        budget=budget,
        multipliers=tuple((place, numerator) for place, (_, numerator) in enumerate(pairs)),
        denominator=denominator,
        rows=staged.model.keys(used),
    )
    return certificate.evaluated(graph, staged.model.restricted(used)), certificate
