"""Bounds that need a solver."""

import pytest

import hcp
from hcp.analysis.report import analyze_graph
from hcp.bounds import solved_bounds
from hcp.graph.instances import training_chain
from hcp.planning.problem import Problem
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.exhaustive import Exhaustive


def test_solved_bounds_hold_and_name_their_scope():
    graph = training_chain(5)
    budget = replay(graph, keep_everything(graph)).peak - 1
    free, fixed = solved_bounds(graph, budget, time_limit=10)
    assert free.value <= Exhaustive()(Problem(graph, budget)).bounds[0].value
    assert fixed.value <= Exhaustive()(Problem(graph, budget, graph.order)).bounds[0].value
    assert (free.scope, fixed.scope) == (hcp.ORDER_FREE, hcp.FIXED_ORDER)
    with pytest.raises(hcp.InfeasibleBudget):
        solved_bounds(graph, 2)
    report = analyze_graph(graph, solved=(free, fixed))
    assert "order-free LP" in str(report)
