"""Rounded multipliers prove what they say, and next to nothing is lost, whatever the units of cost and memory."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from hcp.graph.instances import instance
from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.certificates.multipliers import combine, rounded
from hcp.solvers.cut_relaxation.chains import candidate_chains
from hcp.solvers.cut_relaxation.model import build_cut_model
from hcp.solvers.models.highs import LinearProgram
from hcp.solvers.models.rows import Model


def scaled(graph, cost, size):
    return Graph(
        tuple(
            replace(
                node,
                cost=node.cost * cost,
                workspace=node.workspace * size,
                outputs=tuple(replace(value, bytes=value.bytes * size) for value in node.outputs),
            )
            for node in graph.nodes
        ),
        tuple(replace(value, bytes=value.bytes * size) for value in graph.inputs),
        graph.order,
    )


@pytest.mark.parametrize("cost", [1, 2**20, 2**40])
@pytest.mark.parametrize("size", [1, 2**20, 2**40])
def test_little_is_lost_in_any_units(cost, size):
    graph = scaled(instance("unet:3"), cost, size)
    budget = replay(graph, keep_everything(graph)).peak * 2 // 3
    model = build_cut_model(graph.index, budget, candidate_chains(graph, (4, 8))[0]).model
    solved = LinearProgram(model).solve(Deadline(20))
    pairs, denominator = rounded(solved.multipliers, model)
    proved = combine(model, dict(pairs), denominator, with_cost=True)
    assert solved.value > graph.base_cost
    # The linear program itself is solved in floating point.
    assert proved >= solved.value * (1 - 1e-9) - 0.01


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=6), st.integers(0, 60))
def test_they_are_rounded_down_by_little(multipliers, bits):
    entry = 2**bits
    count = len(multipliers)
    matrix = sparse.csr_matrix(np.full((count, 1), entry, np.int64))
    model = Model(matrix, np.zeros(count, np.int64), np.ones(1, np.int64), 0, np.ones(1, np.bool_))
    pairs, denominator = rounded(np.array(multipliers), model)
    found = dict(pairs)
    for row, exact in enumerate(multipliers):
        loss = Fraction(exact) - Fraction(found.get(row, 0), denominator)
        assert 0 <= loss * entry < Fraction(1, 2**20)


def test_without_multipliers_there_is_nothing_to_round():
    model = Model(
        sparse.csr_matrix((2, 1), dtype=np.int64),
        np.zeros(2, np.int64),
        np.ones(1, np.int64),
        5,
        np.ones(1, np.bool_),
    )
    assert rounded(np.zeros(2), model) == ((), 1)
    assert combine(model, {}, 1, with_cost=True) == 5
    assert combine(model, {0: -1}, 1, with_cost=True) == 0
    assert combine(model, {2: 1}, 1, with_cost=True) == 0
