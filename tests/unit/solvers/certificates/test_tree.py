"""Certificates of trees prove their bound, and damaged ones nothing that is not true."""

from dataclasses import replace
from random import Random

import pytest

from hcp.graph.errors import GraphError
from hcp.graph.instances import instance, training_chain
from hcp.planning.deadline import Deadline
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.certificates.file import read_certificate
from hcp.solvers.cut_relaxation.chains import candidate_chains
from hcp.solvers.cut_relaxation.model import build_cut_model
from hcp.solvers.exhaustive import least_peak
from hcp.solvers.tree.certify import certificate_of
from hcp.solvers.tree.encoding import COLUMN, EMPTY, FIX, LEAF
from hcp.solvers.tree.search import Tree

OPTIMUM = 168_198_144


@pytest.fixture(scope="module")
def proof():
    graph = instance("transformer:3")
    budget = replay(graph, keep_everything(graph)).peak * 3 // 5
    tree = Tree(graph, build_cut_model(graph.index, budget, candidate_chains(graph, (4, 8))[1]), OPTIMUM, Deadline(60))
    tree.grow()
    certificate = certificate_of(tree, budget)
    assert tree.nodes > 1
    assert certificate.cuts
    assert certificate.sums
    return graph, budget, certificate


def test_what_a_file_holds_proves_the_same(proof):
    graph, budget, certificate = proof
    read = read_certificate(certificate.to_dict(graph), "certificate", graph)
    assert read == certificate
    assert read.proven(graph, budget) == read.proven(graph, budget - 1000) == OPTIMUM
    assert read.proven(graph, budget + 1) == 0


def test_damaged_trees_prove_nothing_that_is_not_true(proof):
    graph, budget, certificate = proof
    random = Random(0)
    less = 0
    for _ in range(300):
        content = bytearray(certificate.content)
        for _ in range(random.randrange(1, 4)):
            match random.randrange(3):
                case 0:
                    content[random.randrange(len(content))] = random.randrange(256)
                case 1:
                    del content[random.randrange(len(content))]
                case 2:
                    content.insert(random.randrange(len(content)), random.randrange(256))
        # A higher cutoff would let a tree prove more, if it were one.
        damaged = replace(certificate, content=bytes(content), cutoff=OPTIMUM * random.choice((1, 1, 2)))
        found = damaged.proven(graph, budget)
        assert found <= OPTIMUM
        less += found < OPTIMUM
    assert less > 200


def test_a_changed_certificate_proves_no_more(proof):
    graph, budget, certificate = proof
    for changed in (
        replace(certificate, cutoff=2 * OPTIMUM),
        replace(certificate, cuts=certificate.cuts[::-1]),
        replace(certificate, cuts=certificate.cuts[:-1]),
        replace(certificate, sums=certificate.sums[::-1]),
        replace(certificate, sums=()),
        replace(certificate, chain=certificate.chain[::-1]),
        replace(certificate, chain=certificate.chain[:-1]),
        replace(certificate, budget=certificate.budget // 2),
        replace(certificate, content=b""),
        replace(certificate, content=certificate.content + b"\0"),
    ):
        assert changed.proven(graph, budget) <= OPTIMUM
    assert replace(certificate, content=certificate.content + b"\0").proven(graph, budget) == 0


@pytest.fixture(scope="module")
def emptiness():
    """A budget that is a byte too small, and a tree of three nodes that shows it by the same multipliers twice."""
    graph = training_chain(6)
    graph = replace(graph, nodes=tuple(replace(node, recomputable=False) for node in graph.nodes))
    budget = least_peak(graph) - 1
    tree = Tree(graph, build_cut_model(graph.index, budget, candidate_chains(graph)[-1]), None, Deadline(60))
    tree.grow()
    assert tree.empty
    root = certificate_of(tree, budget)
    repeated = bytes([2 * COLUMN, 0]) + root.content + bytes([2 * EMPTY, root.content[1], 0])
    grid = tree.form.grid
    return graph, budget, root, replace(root, columns=(next(iter(grid.column_of)),), content=repeated)


def test_a_tree_of_empty_leaves_bounds_the_peak(emptiness):
    graph, budget, root, deep = emptiness
    for certificate in (root, deep):
        read = read_certificate(certificate.to_dict(graph), "certificate", graph)
        assert read == certificate
        assert read.of == "peak"
        # It speaks of no budget but its own.
        assert read.proven(graph, 0) == read.proven(graph, 10**9) == budget + 1


def test_a_part_that_only_costs_too_much_is_not_empty(proof, emptiness):
    graph, budget, certificate = proof
    assert replace(certificate, of_peak=True).proven(graph, budget) == 0
    graph, budget, root, deep = emptiness
    leaf = bytes([2 * LEAF])
    assert replace(root, content=leaf + root.content[1:]).proven(graph, budget) == 0
    # Multipliers that fix columns stand before a node: two numbers without a change are enough.
    fixed = bytes([2 * FIX, 0, 0])
    assert replace(root, content=fixed + root.content).proven(graph, budget) == 0
    assert replace(deep, content=deep.content[:-1]).proven(graph, budget) == 0


def test_damaged_trees_do_not_call_a_budget_too_small_that_is_not(emptiness):
    graph, budget, root, deep = emptiness
    random = Random(1)
    less = 0
    for certificate in (root, deep):
        for _ in range(200):
            content = bytearray(certificate.content)
            for _ in range(random.randrange(3)):
                content[random.randrange(len(content))] = random.randrange(256)
            enough = random.random() < 0.5
            damaged = replace(certificate, content=bytes(content), budget=budget + enough)
            found = damaged.proven(graph, budget)
            assert found == 0 or (found == budget + 1 and not enough)
            less += not found
    assert less > 200


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tree", "no base64!", "cannot be unpacked"),
        ("tree", "AAAA", "cannot be unpacked"),
        ("sums", [["nobody"]], "'nobody'"),
        ("cutoff", -1, "cutoff"),
        ("kind", "tree/999", "tree/2"),
        ("of_peak", 1, "of_peak"),
    ],
)
def test_what_is_no_certificate_is_refused(proof, field, value, message):
    graph, _, certificate = proof
    with pytest.raises(GraphError, match=message):
        read_certificate(certificate.to_dict(graph) | {field: value}, "certificate", graph)
