"""Certificates of conflicts prove what they say, and changed ones do not."""

from dataclasses import replace

import numpy as np
import pytest

from hcp.graph.instances import instance
from hcp.planning.deadline import Deadline
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.certificates.conflicts import repeatable
from hcp.solvers.conflicts.bound import conflict_bound


@pytest.fixture(scope="module")
def proof():
    graph = instance("unet:2")
    budget = replay(graph, keep_everything(graph)).peak * 6 // 10
    return graph, budget, conflict_bound(graph, budget, Deadline(20))


def tampered(graph, certificate):
    useful = [graph.index.node_names[v] for v in np.flatnonzero(repeatable(graph.index))]
    (row, numerator), *rest = certificate.multipliers
    first, *others = certificate.conflicts
    yield "larger multiplier", replace(certificate, multipliers=((row, 2 * numerator), *rest))
    yield "negative multiplier", replace(certificate, multipliers=((row, -numerator), *rest))
    yield "unknown conflict", replace(certificate, multipliers=((len(certificate.conflicts), numerator), *rest))
    yield "no multipliers", replace(certificate, multipliers=())
    yield "smaller denominator", replace(certificate, denominator=max(1, certificate.denominator // 2))
    yield "a node less", replace(certificate, conflicts=(first[1:], *others))
    yield "unknown node", replace(certificate, conflicts=((*first, "nobody"), *others))
    yield "one node", replace(certificate, conflicts=((useful[0],), *others))
    yield "said to be of the peak", replace(certificate, of_peak=True)


def test_changed_certificates_prove_less(proof):
    graph, budget, bound = proof
    assert bound.value > graph.base_cost
    for what, changed in tampered(graph, bound.certificate):
        assert changed.proven(graph, budget) < bound.value, what


def test_a_certificate_proves_nothing_for_a_larger_budget(proof):
    graph, budget, bound = proof
    assert bound.certificate.proven(graph, budget - 1) == bound.value
    assert bound.certificate.proven(graph, budget + 1) == 0
