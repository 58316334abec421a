"""Separators separate, and are balanced on a path."""

import pytest

from hcp.graph.instances import instance
from hcp.heuristics.separators import separator_tree


def test_separators_of_a_path():
    """Bags {i, i + 1}; the middle one leaves {0, 1} and {4, 5, 6}."""
    tree = separator_tree([[], [0], [1], [2], [3], [4], [5]], "degree")
    assert tree.separator == {2, 3}
    assert [part.nodes for part in tree.parts] == [{0, 1}, {4, 5, 6}]
    assert tree.parts[1].separator == {4, 5}
    assert (tree.depth, tree.width) == (3, 2)


@pytest.mark.parametrize("name", ["training-chain:30", "unet:3", "random-layered:40", "transformer:2"])
@pytest.mark.parametrize("rule", ["degree", "fill"])
def test_separators_separate(name, rule):
    predecessors = instance(name).index.predecessors

    def check(tree):
        assert tree.nodes == tree.separator.union(*(part.nodes for part in tree.parts))
        where = {v: i for i, part in enumerate(tree.parts) for v in part.nodes}
        assert len(where) + len(tree.separator) == len(tree.nodes)
        for v, part in where.items():
            assert {where.get(u, part) for u in predecessors[v]} <= {part}
        for part in tree.parts:
            check(part)

    tree = separator_tree(predecessors, rule)
    assert tree.nodes == set(range(len(predecessors)))
    check(tree)
