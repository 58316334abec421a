"""The certificate of a tree: its nodes with the rows, cuts, columns and sums that they take, and no others."""

from typing import NamedTuple

from hcp.graph.ir import LARGEST_TOTAL
from hcp.solvers.certificates.tree import TreeCertificate
from hcp.solvers.tree.encoding import COLUMN, EMPTY, FIX, LEAF, SUM, Writer
from hcp.solvers.tree.evaluation import Multipliers
from hcp.solvers.tree.search import Node, Tree


def certificate_of(tree: Tree, budget: int) -> TreeCertificate:
    """What a tree for a budget in bytes has proved so far, with the cuts and sums that it takes."""
    plain = tree.form.model.shape[0] - len(tree.form.cuts)
    rows, columns, sums = _used(tree.root)
    writer = Writer(len(sums))
    _write(tree.root, writer, _Places(_places(rows), _places(columns), _places(sums)))
    names, all_cuts = tree.graph.index.node_names, [*tree.form.cuts, *tree.cuts]
    return TreeCertificate(
        budget=budget,
        # Without a schedule the cutoff is more than a file takes as a cost; one for the peak needs none.
        cutoff=0 if tree.empty else min(tree.cutoff, LARGEST_TOTAL),
        chain=tuple(names[node] for node in tree.form.chain),
        rows=tree.form.model.keys([row for row in rows if row < plain]),
        cuts=tuple(all_cuts[row - plain] for row in rows if row >= plain),
        columns=tuple(tree.form.grid.keys[column] for column in columns),
        sums=tuple(tree.sums[each] for each in sums),
        content=bytes(writer.content),
        of_peak=tree.empty,
    )


def _used(root: Node) -> tuple[list[int], list[int], list[int]]:
    """The rows, columns and sums that a tree's nodes take, ascending."""
    rows: set[int] = set()
    columns: set[int] = set()
    sums: set[int] = set()
    for node in _preorder(root):
        for proof in (node.proof if node.parts is None else None, node.fixed):
            if proof is not None:
                rows.update(row for row, _ in proof.rows)
                sums.update(each for each, _ in proof.sums)
        if node.branch is not None:
            (sums if node.branch.of_sum else columns).add(node.branch.number)
    return sorted(rows), sorted(columns), sorted(sums)


class _Places(NamedTuple):
    """Where rows, columns and sums stand in the certificate's lists."""

    rows: dict[int, int]
    columns: dict[int, int]
    sums: dict[int, int]


def _places(numbers: list[int]) -> dict[int, int]:
    return {number: place for place, number in enumerate(numbers)}


def _preorder(root: Node) -> list[Node]:
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if node.parts is not None:
            waiting += reversed(node.parts)
    return found


def _write(root: Node, writer: Writer, places: _Places) -> None:
    def multipliers(given: Multipliers) -> None:
        rows = tuple((places.rows[row], numerator) for row, numerator in given.rows)
        sums = tuple((places.sums[k], numerator) for k, numerator in given.sums)
        writer.multipliers(Multipliers(given.shift, rows, sums))

    for node in _preorder(root):
        if node.branch is None:
            writer.number(EMPTY if node.empty else LEAF)
            multipliers(node.proof)
            continue
        if node.fixed is not None:
            writer.number(FIX)
            multipliers(node.fixed)
        writer.number(SUM if node.branch.of_sum else COLUMN)
        if node.branch.of_sum:
            writer.number(places.sums[node.branch.number])
            writer.number(node.branch.at)
        else:
            writer.number(places.columns[node.branch.number])
