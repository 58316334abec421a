"""Certificates of trees over the cut relaxation: a bound for every leaf, and so for all schedules."""

import zlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from math import gcd
from typing import ClassVar, Final

from hcp.graph.cancellation import tick
from hcp.graph.errors import GraphError
from hcp.graph.fields import Record, as_list
from hcp.graph.ir import Graph
from hcp.planning.solution import Quantity
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.certificates.cuts import is_chain
from hcp.solvers.cut_relaxation.cuts import Cut, CutModel
from hcp.solvers.cut_relaxation.families import read_cut
from hcp.solvers.cut_relaxation.model import ROWS_VERSION, build_cut_model
from hcp.solvers.formats import Format
from hcp.solvers.tree.box import Branch, whole_box
from hcp.solvers.tree.encoding import COLUMN, EMPTY, FIX, LEAF, SUM, Damaged, Reader
from hcp.solvers.tree.evaluation import Evaluator
from hcp.solvers.tree.sums import RunSum

TREE_FORMAT: Final = Format("tree", ROWS_VERSION)

# Bytes of a tree that a file may hold: those of an hour's search have less.
_MOST_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class TreeCertificate:
    """A tree whose leaves, or what its slopes fix, leave no schedule cheaper than the bound.

    Attributes:
        budget: Bytes for which the rows are built; the proof holds for every budget up to it.
        cutoff: Of the slopes that fix columns: no bound above it is proved.
        chain: Names of the chain's nodes.
        cuts: Valid inequalities, whose rows follow those of the plain relaxation.
        sums: What the tree branches on beside columns.
        content: The tree; see ``hcp.solvers.tree.encoding``.
    """

    format: ClassVar[Format] = TREE_FORMAT
    budget: int
    cutoff: int
    chain: tuple[str, ...]
    cuts: tuple[Cut, ...]
    sums: tuple[RunSum, ...]
    content: bytes

    @property
    def of(self) -> Quantity:
        """What is bounded."""
        return "cost"

    @property
    def scope(self) -> str:
        """Every schedule."""
        return ORDER_FREE

    def proven(self, graph: Graph, budget: int) -> int:
        """The bound on the cost that the tree proves; 0 where it proves none."""
        chain = tuple(graph.index.node_of.get(name, -1) for name in self.chain)
        if budget > self.budget or not is_chain(graph.index, chain):
            return 0
        form = build_cut_model(graph.index, self.budget, chain)
        sound = all(cut.is_valid(form) for cut in self.cuts) and all(each.is_valid(form.grid) for each in self.sums)
        if not sound:
            return 0
        try:
            return max(_proven(self, graph, form.with_cuts(self.cuts)), graph.base_cost)
        except Damaged:
            return 0

    def to_dict(self, graph: Graph) -> dict[str, object]:
        """What a plan file stores, with names instead of numbers."""
        names = graph.index.node_names
        return {
            "kind": str(self.format),
            "budget_bytes": self.budget,
            "cutoff": self.cutoff,
            "chain": list(self.chain),
            "cuts": [cut.to_dict(graph) for cut in self.cuts],
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
        cuts=tuple(read_cut(item, record.owner, graph) for item in record.items("cuts")),
        sums=tuple(_sum(item, record.owner, graph) for item in record.items("sums")),
        content=_content(record),
    )


def _sum(item: object, owner: str, graph: Graph) -> RunSum:
    names = as_list(item, owner, "sums")
    unknown = [name for name in names if not isinstance(name, str) or name not in graph.index.node_of]
    if unknown:
        raise GraphError(f"{owner} counts runs of {unknown[0]!r}; expected the name of a node")
    return RunSum(tuple(sorted(graph.index.node_of[str(name)] for name in names)))


def _content(record: Record) -> bytes:
    opened = zlib.decompressobj()
    try:
        content = opened.decompress(b64decode(record.text("tree"), validate=True), _MOST_BYTES)
    except (NotBase64, ValueError, zlib.error) as error:
        raise GraphError(f"{record.owner} has a tree that cannot be unpacked: {error}") from None
    if opened.unconsumed_tail:
        raise GraphError(f"{record.owner} has a tree of more than {_MOST_BYTES:,} bytes; verify it in parts")
    return content


def _proven(certificate: TreeCertificate, graph: Graph, form: CutModel) -> int:
    """The least bound of the leaves, up to the cutoff."""
    evaluator = Evaluator(form.model, form.grid, certificate.sums)
    reader = Reader(certificate.content, len(certificate.sums), form.model.shape[0])
    unit = gcd(*(node.cost for node in graph.nodes)) or 1
    bound = certificate.cutoff
    waiting = [whole_box(form.model.shape[1], len(certificate.sums))]
    while waiting:
        tick()
        box = waiting.pop()
        kind = reader.number(SUM)
        if kind == FIX:
            fixed = evaluator.fixed(reader.multipliers(), box, certificate.cutoff - unit)
            if fixed is None:
                raise Damaged
            box, kind = fixed, reader.number(SUM)
        if kind in (COLUMN, SUM):
            branch = _branch(reader, form, kind)
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


def _branch(reader: Reader, form: CutModel, kind: int) -> Branch:
    if kind == SUM:
        return Branch(reader.number(reader.sums - 1), of_sum=True, at=reader.number(form.grid.count))
    column = reader.number(form.model.shape[1] - 1)
    if not form.model.integral[column]:
        raise Damaged
    return Branch(column)
