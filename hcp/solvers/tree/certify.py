"""The certificate of a tree: its nodes with the rows, cuts and sums that they take, and no others."""

from collections.abc import Callable

from hcp.solvers.certificates.tree import TreeCertificate
from hcp.solvers.tree.encoding import COLUMN, EMPTY, FIX, LEAF, SUM, Writer
from hcp.solvers.tree.evaluation import Multipliers
from hcp.solvers.tree.search import Node, Tree


def certificate_of(tree: Tree, budget: int) -> TreeCertificate:
    """What a tree for a budget in bytes has proved so far, with the cuts and sums that it takes."""
    plain = tree.form.model.shape[0] - len(tree.form.cuts)
    used_rows: set[int] = set()
    used_sums: set[int] = set()
    for node in _preorder(tree.root):
        for proof in (node.proof if node.parts is None else None, node.fixed):
            if proof is not None:
                used_rows.update(row for row, _ in proof.rows)
                used_sums.update(each for each, _ in proof.sums)
        if node.branch is not None and node.branch.of_sum:
            used_sums.add(node.branch.number)
    all_cuts = [*tree.form.cuts, *tree.cuts]
    cuts = sorted(row - plain for row in used_rows if row >= plain)
    sums = sorted(used_sums)
    row_of = {plain + cut: plain + place for place, cut in enumerate(cuts)}
    sum_of = {each: place for place, each in enumerate(sums)}
    writer = Writer(len(sums))
    _write(tree.root, writer, lambda row: row_of.get(row, row), sum_of)
    names = tree.graph.index.node_names
    return TreeCertificate(
        budget=budget,
        cutoff=tree.cutoff,
        chain=tuple(names[node] for node in tree.form.chain),
        cuts=tuple(all_cuts[cut] for cut in cuts),
        sums=tuple(tree.sums[each] for each in sums),
        content=bytes(writer.content),
    )


def _preorder(root: Node) -> list[Node]:
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if node.parts is not None:
            waiting += reversed(node.parts)
    return found


def _write(root: Node, writer: Writer, row_of: Callable[[int], int], sum_of: dict[int, int]) -> None:
    def multipliers(given: Multipliers) -> None:
        rows = tuple((row_of(row), numerator) for row, numerator in given.rows)
        writer.multipliers(Multipliers(given.shift, rows, tuple((sum_of[k], numerator) for k, numerator in given.sums)))

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
            writer.number(sum_of[node.branch.number])
            writer.number(node.branch.at)
        else:
            writer.number(node.branch.number)
