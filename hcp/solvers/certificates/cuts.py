"""Certificates of the cut relaxation: multipliers on some of its rows and on those of cuts that strengthen it."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar, Final

from hcp.graph.cancellation import tick
from hcp.graph.fields import Record
from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph
from hcp.planning.checks import MOST_ENTRIES, BeyondLimit, check_size
from hcp.solvers.certificates.multipliers import DualCertificate, dual_fields, rounded
from hcp.solvers.certificates.rows import CUT_ROWS, Rows, numbered, read_rows, to_lists
from hcp.solvers.cut_relaxation.cuts import Cut, CutModel
from hcp.solvers.cut_relaxation.families import read_cut
from hcp.solvers.cut_relaxation.model import ROWS_VERSION, build_cut_model
from hcp.solvers.formats import Format
from hcp.solvers.models.rows import FloatArray, Model

CUT_FORMAT: Final = Format("cut-relaxation", ROWS_VERSION)


@dataclass(frozen=True, kw_only=True)
class CutCertificate(DualCertificate):
    """Multipliers on rows of a cut relaxation.

    Attributes:
        chain: Names of the chain's nodes.
        rows: The rows of the plain relaxation that have multipliers.
        cuts: Valid inequalities, whose rows follow those.
    """

    format: ClassVar[Format] = CUT_FORMAT
    chain: tuple[str, ...]
    rows: Rows = ()
    cuts: tuple[Cut, ...] = ()

    def rebuilt(self, graph: Graph) -> Model | None:
        """The rows that have multipliers; None where the chain is none, there is no such row or a cut is not valid."""
        check_size(graph.index, len(self.chain) + 1)
        chain = tuple(graph.index.node_of.get(name, -1) for name in self.chain)
        if not is_chain(graph.index, chain):
            return None
        form = rebuilt_form(plain_form(graph, self.budget, chain), self.rows, self.cuts)
        return None if form is None else form.model

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores, with names instead of numbers."""
        cuts = [cut.to_dict(graph) for cut in self.cuts]
        return {
            **super().to_dict(graph),
            "chain": list(self.chain),
            "rows": to_lists(self.rows, graph.index),
            "cuts": cuts,
        }


def read_cuts(record: Record, graph: Graph) -> CutCertificate:
    """A certificate of the cut relaxation as its ``to_dict`` wrote it."""
    return CutCertificate(
        **dual_fields(record),
        chain=tuple(record.texts("chain")),
        rows=read_rows(record, graph.index, CUT_ROWS),
        cuts=tuple(read_cut(item, record.owner, graph) for item in record.items("cuts")),
    )


@lru_cache(maxsize=1)
def plain_form(graph: Graph, budget: int, chain: tuple[int, ...]) -> CutModel:
    """The plain relaxation of a chain; certificates of one plan mostly speak of the same one."""
    return build_cut_model(graph.index, budget, chain, whole=True)


def rebuilt_form(plain: CutModel, rows: Rows, cuts: tuple[Cut, ...]) -> CutModel | None:
    """A plain relaxation with some of its rows, then those of cuts; None where it has no such row, or no such cut.

    Raises:
        BeyondLimit: If the rows of the cuts have too many entries.
    """
    entries = 0
    for cut in cuts:
        tick()
        if not cut.is_valid(plain):
            return None
        entries += len(cut.row(plain).columns)
        if entries > MOST_ENTRIES:
            raise BeyondLimit(f"cuts have entries beyond the limit of {MOST_ENTRIES:,}")
    count = plain.model.shape[0]
    form = plain.with_cuts(cuts)
    numbers = numbered(plain.model, rows)
    if numbers is None:
        return None
    return replace(form, model=form.model.restricted([*numbers, *range(count, count + len(cuts))]))


def is_chain(index: GraphIndex, nodes: tuple[int, ...]) -> bool:
    """Whether these are nodes, each a proper ancestor of the next."""
    known = bool(nodes) and all(0 <= node < index.n for node in nodes)
    return known and all(index.ancestors[high] >> low & 1 for low, high in pairwise(nodes))


def certify_cost(graph: Graph, form: CutModel, budget: int, multipliers: FloatArray) -> tuple[int, CutCertificate]:
    """The order-free cost bound that a relaxation's dual values prove, with its certificate."""
    return _certified(graph, form, budget, multipliers, of_peak=False)


def certify_peak(graph: Graph, form: CutModel, budget: int, multipliers: FloatArray) -> CutCertificate | None:
    """A proof that no schedule meets the budget for which ``form`` was built, if the dual values give one."""
    value, certificate = _certified(graph, form, budget, multipliers, of_peak=True)
    return certificate if value else None


def _certified(
    graph: Graph, form: CutModel, budget: int, multipliers: FloatArray, *, of_peak: bool
) -> tuple[int, CutCertificate]:
    pairs, denominator = rounded(multipliers, form.model)
    used = [row for row, _ in pairs]
    count = form.model.shape[0] - len(form.cuts)
    certificate = CutCertificate(
        budget=budget,
        multipliers=tuple((place, numerator) for place, (_, numerator) in enumerate(pairs)),
        denominator=denominator,
        of_peak=of_peak,
        chain=tuple(graph.index.node_names[b] for b in form.chain),
        rows=form.model.keys([row for row in used if row < count]),
        cuts=tuple(form.cuts[row - count] for row in used if row >= count),
    )
    return certificate.evaluated(graph, form.model.restricted(used)), certificate
