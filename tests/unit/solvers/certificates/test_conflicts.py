"""Certificates of conflicts prove what they say, and changed ones do not."""

from dataclasses import replace

import numpy as np
import pytest

from hcp.graph.errors import GraphError
from hcp.graph.instances import instance
from hcp.planning.deadline import Deadline
from hcp.schedule.actions import keep_everything
from hcp.schedule.host import HostLink
from hcp.schedule.replay import replay
from hcp.solvers.certificates.conflicts import repeatable
from hcp.solvers.certificates.file import read_certificate
from hcp.solvers.certificates.host import HostCertificate, relax
from hcp.solvers.conflicts.bound import conflict_bound


def bound_of(text, share):
    graph = instance(text)
    budget = replay(graph, keep_everything(graph)).peak * share // 10
    return graph, budget, conflict_bound(graph, budget, Deadline(5))


@pytest.fixture(scope="module")
def proof():
    return bound_of("unet:2", 6)


@pytest.fixture(scope="module")
def proof_with_inputs():
    return bound_of("pyramid:6", 6)


def last(tree):
    return next(place for place in reversed(range(len(tree))) if tree[place])


def tampered(graph, certificate):
    useful = np.flatnonzero(repeatable(graph.index)).tolist()
    tree, place = certificate.tree, last(certificate.tree)
    (row, numerator), *rest = tree[place]
    first, *others = certificate.conflicts

    def with_part(*pairs):
        return replace(certificate, tree=(*tree[:place], pairs, *tree[place + 1 :]))

    yield "larger multiplier", with_part((row, 2 * numerator), *rest)
    yield "negative multiplier", with_part((row, -numerator), *rest)
    yield "unknown conflict", with_part((len(certificate.conflicts), numerator), *rest)
    yield "no multipliers", with_part()
    yield "no tree", replace(certificate, tree=())
    yield "a part less", replace(certificate, tree=tree[:-1])
    yield "a part more", replace(certificate, tree=(*tree, ()))
    yield "divided twice on a node", replace(certificate, tree=(useful[0], useful[0], (), (), ()))
    yield "smaller denominator", replace(certificate, denominator=max(1, certificate.denominator // 2))
    yield "a node less", replace(certificate, conflicts=(first._replace(nodes=first.nodes[1:]), *others))
    yield "one node", replace(certificate, conflicts=(first._replace(nodes=(useful[0],)), *others))
    yield "said to be of the peak", replace(certificate, of_peak=True)


def test_changed_certificates_prove_less(proof):
    graph, budget, bound = proof
    assert bound.value > graph.base_cost
    assert len(bound.certificate.tree) > 1
    for what, changed in tampered(graph, bound.certificate):
        assert changed.proven(graph, budget) < bound.value, what


def test_a_certificate_proves_nothing_for_a_larger_budget(proof):
    graph, budget, bound = proof
    assert bound.certificate.proven(graph, budget - 1) == bound.value
    assert bound.certificate.proven(graph, budget + 1) == 0


def test_a_file_has_names_and_is_read_again(proof):
    graph, _, bound = proof
    data = bound.certificate.to_dict(graph)
    assert read_certificate(data, "the certificate", graph) == bound.certificate
    data["conflicts"][0]["nodes"] = ["nobody"]
    with pytest.raises(GraphError, match="names 'nobody'; expected the name of a node"):
        read_certificate(data, "the certificate", graph)


def test_conflicts_that_need_inputs_prove_nothing_without(proof_with_inputs):
    graph, budget, bound = proof_with_inputs
    certificate = bound.certificate
    assert certificate.needs_inputs
    assert certificate.proven(graph, budget) == bound.value
    without = tuple(conflict._replace(inputs=False) for conflict in certificate.conflicts)
    assert replace(certificate, conflicts=without).proven(graph, budget) == 0


@pytest.mark.parametrize("kept", [False, True])
def test_what_comes_from_a_host_needs_no_inputs(kept):
    host = HostLink(10**9, 10**9, 1)
    graph = instance("pyramid:6")
    other = relax(graph, host, "again").graph
    budget = replay(graph, keep_everything(graph)).peak * 6 // 10
    bound = conflict_bound(other, budget, Deadline(5), inputs=kept)
    assert bound.certificate.proven(other, budget) == bound.value
    assert bound.certificate.needs_inputs == kept
    assert (HostCertificate(host, "again", bound.certificate).proven(graph, budget) == 0) == kept
