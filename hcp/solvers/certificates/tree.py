"""Certificates of trees over the cut relaxation: a bound for every leaf, and so for all schedules."""

import zlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from hcp.graph.cancellation import tick, ticking
from hcp.graph.errors import GraphError
from hcp.graph.fields import Record, as_list, shown, whole
from hcp.graph.ir import Graph
from hcp.planning.checks import check_size
from hcp.solvers.certificates.budgeted import BudgetCertificate
from hcp.solvers.certificates.cuts import is_chain, plain_form, rebuilt_form
from hcp.solvers.certificates.rows import CUT_ROWS, Rows, read_rows, to_lists
from hcp.solvers.cut_relaxation.cuts import Cut, CutModel
from hcp.solvers.cut_relaxation.families import read_cut
from hcp.solvers.cut_relaxation.grid import ColumnKey
from hcp.solvers.cut_relaxation.model import ROWS_VERSION
from hcp.solvers.formats import Format, NotChecked
from hcp.solvers.tree.box import UNLIMITED, Branch, whole_box
from hcp.solvers.tree.encoding import COLUMN, EMPTY, FIX, LEAF, SUM, Damaged, Reader
from hcp.solvers.tree.evaluation import Evaluator
from hcp.solvers.tree.sums import RunSum

TREE_FORMAT: Final = Format("tree", ROWS_VERSION)

# Bytes of a tree that a file may hold: those of an hour's search have less.
_MOST_BYTES: Final = 64 * 2**20

# Of the limits of sums, with one to add: less than what stands for none.
_MOST_RUNS: Final = UNLIMITED // 2


@dataclass(frozen=True, kw_only=True)
class TreeCertificate(BudgetCertificate):
    """A tree whose leaves, or what its slopes fix, leave no schedule cheaper than the bound, or none at all.

    Attributes:
        cutoff: Of the slopes that fix columns: no bound above it is proved.
        chain: Names of the chain's nodes.
        rows: The rows of the plain relaxation that have multipliers.
        cuts: Valid inequalities, whose rows follow those.
        columns: What the tree branches on beside sums.
        sums: What the tree branches on beside columns.
        content: The tree, which counts rows, columns and sums as they are listed; see ``hcp.solvers.tree.encoding``.
    """

    format: ClassVar[Format] = TREE_FORMAT
    cutoff: int
    chain: tuple[str, ...]
    rows: Rows
    cuts: tuple[Cut, ...]
    columns: tuple[ColumnKey, ...]
    sums: tuple[RunSum, ...]
    content: bytes

    def proven(self, graph: Graph, budget: int) -> int:
        """The bound on the cost, or on the peak, that the tree proves; 0 where it proves none."""
        check_size(graph.index, len(self.chain) + 1)
        chain = tuple(graph.index.node_of.get(name, -1) for name in self.chain)
        if not self.speaks_of(budget) or not is_chain(graph.index, chain):
            return 0
        plain = plain_form(graph, self.budget, chain)
        form = rebuilt_form(plain, self.rows, self.cuts)
        known = all(key in plain.grid.column_of for key in self.columns)
        if form is None or not known or not all(each.is_valid(plain.grid) for each in ticking(self.sums)):
            return 0
        try:
            least = _proven(self, graph, form)
        except Damaged:
            return 0
        return self.budget + 1 if self.of_peak else max(least, graph.base_cost)

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores, with names instead of numbers."""
        index = graph.index
        names, values = index.node_names, index.value_names
        return {
            "kind": str(self.format),
            "budget_bytes": self.budget,
            "of_peak": self.of_peak,
            "cutoff": self.cutoff,
            "chain": list(self.chain),
            "rows": to_lists(self.rows, index),
            "cuts": [cut.to_dict(graph) for cut in self.cuts],
            "columns": [[kind, (values if kind == "S" else names)[item], stage] for kind, item, stage in self.columns],
            "sums": [[names[node] for node in each.nodes] for each in self.sums],
            "tree": b64encode(zlib.compress(self.content, 9)).decode(),
        }


def read_tree(record: Record, graph: Graph) -> TreeCertificate:
    """A certificate as its ``to_dict`` wrote it.

    Raises:
        GraphError: On anything else; says what is wrong.
    """
    return TreeCertificate(
        budget=record.amount("budget_bytes"),
        cutoff=record.amount("cutoff"),
        chain=tuple(record.texts("chain")),
        rows=read_rows(record, graph.index, CUT_ROWS),
        cuts=tuple(read_cut(item, record.owner, graph) for item in record.items("cuts")),
        columns=tuple(_column(item, record.owner, graph) for item in record.items("columns")),
        sums=tuple(_sum(item, record.owner, graph) for item in record.items("sums")),
        content=_content(record),
        of_peak=record.flag("of_peak", False),
    )


def _column(item: object, owner: str, graph: Graph) -> ColumnKey:
    match item:
        case ["C" | "R" as kind, str(name), int(stage)] if name in graph.index.node_of and whole(stage):
            return ColumnKey(kind, graph.index.node_of[name], stage)
        case ["S", str(name), int(stage)] if name in graph.index.value_of and whole(stage):
            return ColumnKey("S", graph.index.value_of[name], stage)
    raise GraphError(f"{owner} has column {shown(item)}; expected 'C', 'R' or 'S', a name of the graph, and a stage")


def _sum(item: object, owner: str, graph: Graph) -> RunSum:
    names = as_list(item, owner, "sums")
    unknown = [name for name in names if not isinstance(name, str) or name not in graph.index.node_of]
    if unknown:
        raise GraphError(f"{owner} counts runs of {unknown[0]!r}; expected the name of a node")
    return RunSum(tuple(sorted(graph.index.node_of[str(name)] for name in names)))


def _content(record: Record) -> bytes:
    opened = zlib.decompressobj()
    try:
        content = opened.decompress(b64decode(record.text("tree"), validate=True), _MOST_BYTES + 1)
    except (NotBase64, ValueError, zlib.error) as error:
        raise GraphError(f"{record.owner} has a tree that cannot be unpacked: {error}") from None
    if len(content) > _MOST_BYTES:
        raise NotChecked(f"{record.owner} has a tree beyond the limit of {_MOST_BYTES:,} bytes")
    if not opened.eof or opened.unused_data:
        raise GraphError(f"{record.owner} has a tree whose stream ends too early, or is followed by more bytes")
    return content


def _proven(certificate: TreeCertificate, graph: Graph, form: CutModel) -> int:
    """The least bound of the leaves, up to the cutoff; for the peak all of them have to be empty.

    Raises:
        Damaged: If the content is no such tree.
    """
    columns = [form.grid.column_of[key] for key in certificate.columns]
    evaluator = Evaluator(form.model, form.grid, certificate.sums)
    reader = Reader(certificate.content, len(certificate.sums), form.model.shape[0])
    unit = graph.cost_divisor
    # What is fixed loses costs above ``cutoff - unit``: all from the last multiple of the unit up to the cutoff on.
    bound = cutoff = certificate.cutoff - certificate.cutoff % unit
    waiting = [whole_box(form.model.shape[1], len(certificate.sums))]
    while waiting:
        tick()
        box = waiting.pop()
        kind = reader.number(SUM)
        if certificate.of_peak and kind in {LEAF, FIX}:
            # Both let points go that only cost too much.
            raise Damaged
        if kind == FIX:
            fixed = evaluator.fixed(reader.multipliers(), box, cutoff - unit)
            if fixed is None:
                raise Damaged
            box, kind = fixed, reader.number(SUM)
        if kind in (COLUMN, SUM):
            branch = _branch(reader, columns, kind)
            waiting += [box.half(branch, upper=True), box.half(branch, upper=False)]
            continue
        if kind == FIX:
            raise Damaged
        value = evaluator.value(reader.multipliers(), box, with_cost=kind == LEAF)
        if value is None or (kind == EMPTY and value.numerator <= 0):
            raise Damaged
        if kind == LEAF:
            bound = min(bound, value.least_cost(unit))
    if not reader.done:
        raise Damaged
    return bound


def _branch(reader: Reader, columns: Sequence[int], kind: int) -> Branch:
    if kind == SUM:
        return Branch(reader.number(reader.sums - 1), of_sum=True, at=reader.number(_MOST_RUNS))
    return Branch(columns[reader.number(len(columns) - 1)])
