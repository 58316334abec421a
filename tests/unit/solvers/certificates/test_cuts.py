"""Certificates prove what they say, and changed ones do not."""

from dataclasses import replace

import pytest

from hcp.graph.instances import instance
from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.cut_relaxation.relaxation import RelaxationParams, Relaxer

PATHS = RelaxationParams(stages=(4, 8), families=("path",))


@pytest.fixture(scope="module")
def proof():
    graph = instance("transformer:3")
    budget = replay(graph, keep_everything(graph)).peak * 3 // 5
    return graph, budget, Relaxer(graph, budget, Deadline(20), PATHS).best().bound


def test_a_certificate_proves_its_bound_for_every_smaller_budget(proof):
    graph, budget, bound = proof
    assert bound.value > graph.base_cost
    assert bound.certificate.proven(graph, budget) == bound.value
    assert bound.certificate.proven(graph, budget - 1000) == bound.value


def test_it_proves_nothing_for_a_larger_budget(proof):
    graph, budget, bound = proof
    assert bound.certificate.proven(graph, budget + 1) < bound.value


def tampered(certificate):
    (row, numerator), *rest = certificate.multipliers
    yield "no multipliers", replace(certificate, multipliers=())
    yield "half of them", replace(certificate, multipliers=certificate.multipliers[::2])
    yield "negative", replace(certificate, multipliers=((row, -numerator), *rest))
    yield "unknown row", replace(certificate, multipliers=((10**9, numerator), *rest))
    yield "other denominator", replace(certificate, denominator=certificate.denominator * 7)
    yield "reversed chain", replace(certificate, chain=certificate.chain[::-1])
    yield "one node for a chain", replace(certificate, chain=certificate.chain[:1])
    yield "other cuts", replace(certificate, cuts=certificate.cuts[::-1])
    broken = replace(certificate.cuts[0], steps=((0, 0), (0, 0)))
    yield "no staircase", replace(certificate, cuts=(broken, *certificate.cuts[1:]))


def test_changed_certificates_prove_less(proof):
    graph, budget, bound = proof
    for what, changed in tampered(bound.certificate):
        assert changed.proven(graph, budget) < bound.value, what


def test_a_certificate_of_another_graph_proves_less(proof):
    graph, budget, bound = proof
    smaller = Graph(
        tuple(
            replace(node, outputs=tuple(replace(value, bytes=value.bytes // 2) for value in node.outputs))
            for node in graph.nodes
        ),
        graph.inputs,
        graph.order,
    )
    assert bound.certificate.proven(smaller, budget) < bound.value


def test_a_budget_below_the_relaxation_is_proved_infeasible():
    graph = instance("unet:3")
    budget = int(graph.index.floor.max()) // 2
    bound = Relaxer(graph, budget, Deadline(20)).best().bound
    assert bound.of == "peak"
    assert bound.value > budget
    assert bound.certificate.proven(graph, budget) == bound.value
    assert replace(bound.certificate, multipliers=()).proven(graph, budget) == 0
