"""Certificates of the cut relaxation: multipliers on its rows and on those of the cuts that strengthen it."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

from hcp.graph.fields import Record
from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph
from hcp.solvers.certificates.multipliers import DualCertificate, dual_fields, rounded
from hcp.solvers.cut_relaxation.cuts import Cut, CutModel
from hcp.solvers.cut_relaxation.families import read_cut
from hcp.solvers.cut_relaxation.model import ROWS_VERSION, build_cut_model
from hcp.solvers.formats import Format
from hcp.solvers.models.rows import FloatArray, Model

CUT_FORMAT: Final = Format("cut-relaxation", ROWS_VERSION)


@dataclass(frozen=True, kw_only=True)
class CutCertificate(DualCertificate):
    """Multipliers on the rows of a cut relaxation.

    Attributes:
        chain: Names of the chain's nodes.
        cuts: Valid inequalities, whose rows follow those of the plain relaxation.
    """

    format: ClassVar[Format] = CUT_FORMAT
    chain: tuple[str, ...]
    cuts: tuple[Cut, ...] = ()

    def rebuilt(self, graph: Graph) -> Model | None:
        """The relaxation's rows; None where the chain is none, or a cut is not valid."""
        chain = tuple(graph.index.node_of.get(name, -1) for name in self.chain)
        if not is_chain(graph.index, chain):
            return None
        plain = build_cut_model(graph.index, self.budget, chain)
        return plain.with_cuts(self.cuts).model if all(cut.is_valid(plain) for cut in self.cuts) else None

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores, with names instead of numbers."""
        cuts = [cut.to_dict(graph) for cut in self.cuts]
        return {**super().to_dict(graph), "chain": list(self.chain), "cuts": cuts}


def read_cuts(record: Record, graph: Graph) -> CutCertificate:
    """A certificate of the cut relaxation as its ``to_dict`` wrote it."""
    cuts = tuple(read_cut(item, record.owner, graph) for item in record.items("cuts"))
    return CutCertificate(**dual_fields(record), chain=tuple(record.texts("chain")), cuts=cuts)


def is_chain(index: GraphIndex, nodes: tuple[int, ...]) -> bool:
    """Whether these are nodes, each a proper ancestor of the next."""
    known = bool(nodes) and all(0 <= node < index.n for node in nodes)
    return known and all(index.ancestors[high] >> low & 1 for low, high in pairwise(nodes))


def certify_cost(graph: Graph, form: CutModel, budget: int, multipliers: FloatArray) -> tuple[int, CutCertificate]:
    """The order-free cost bound that a relaxation's dual values prove, with its certificate."""
    certificate = _certificate(graph, form, budget, multipliers, of_peak=False)
    return certificate.evaluated(graph, form.model), certificate


def certify_peak(graph: Graph, form: CutModel, budget: int, multipliers: FloatArray) -> CutCertificate | None:
    """A proof that no schedule meets the budget for which ``form`` was built, if the dual values give one."""
    certificate = _certificate(graph, form, budget, multipliers, of_peak=True)
    return certificate if certificate.evaluated(graph, form.model) else None


def _certificate(
    graph: Graph, form: CutModel, budget: int, multipliers: FloatArray, *, of_peak: bool
) -> CutCertificate:
    pairs, denominator = rounded(multipliers, form.model)
    return CutCertificate(
        budget=budget,
        multipliers=pairs,
        denominator=denominator,
        of_peak=of_peak,
        chain=tuple(graph.index.node_names[b] for b in form.chain),
        cuts=form.cuts,
    )
