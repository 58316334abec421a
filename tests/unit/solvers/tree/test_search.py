"""Trees prove no more than the oracle finds, at any time, and all of it in the end."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import instance, random_graph
from hcp.planning.deadline import Deadline, WorkClock
from hcp.planning.problem import Problem
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.cut_relaxation.chains import candidate_chains
from hcp.solvers.cut_relaxation.model import build_cut_model
from hcp.solvers.exhaustive import Exhaustive, least_peak
from hcp.solvers.tree.certify import certificate_of
from hcp.solvers.tree.params import TreeParams
from hcp.solvers.tree.search import Tree
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs

PLAIN = TreeParams(root_rounds=0, rounds=0)


@st.composite
def problems(draw):
    """Graphs with budgets that some schedule meets and keeping everything does not, and their optimal costs."""
    graph = draw(st.one_of(graphs(), seeded_graphs()))
    least, most = max(1, least_peak(graph)), replay(graph, keep_everything(graph)).peak
    budget = draw(st.integers(least, max(least, most - 1)))
    return graph, budget, Exhaustive()(Problem(graph, budget)).bounds[0].value


@settings(max_examples=examples(300), deadline=None)
@given(problems(), st.integers(0, 100), st.booleans(), st.integers(0, 9))
def test_no_bound_exceeds_the_optimum_and_certificates_prove_it(drawn, spare, plain, few):
    graph, budget, optimum = drawn
    chains = candidate_chains(graph)
    form = build_cut_model(graph.index, budget, chains[few % len(chains)])
    # A cutoff above the optimum is where a tree has to search, and must stop below.
    tree = Tree(graph, form, optimum + spare, Deadline(20), PLAIN if plain else TreeParams())
    steps = iter(range(few))
    tree.grow(lambda: next(steps, None) is None and setattr(tree, "stuck", True))
    assert tree.bound <= optimum or tree.bound == tree.cutoff == optimum
    certificate = certificate_of(tree, budget)
    assert certificate.proven(graph, budget) >= tree.bound
    assert certificate.proven(graph, budget) <= optimum


@settings(max_examples=examples(200), deadline=None)
@given(st.one_of(graphs(), seeded_graphs()), st.integers(-2, 0), st.booleans(), st.integers(0, 9))
def test_no_tree_is_empty_where_a_schedule_exists(graph, more, plain, few):
    least = least_peak(graph)
    budget, chains = max(0, least + more), candidate_chains(graph)
    form = build_cut_model(graph.index, budget, chains[few % len(chains)])
    tree = Tree(graph, form, None, Deadline(20), PLAIN if plain else TreeParams())
    tree.grow()
    certificate = certificate_of(tree, budget)
    assert (certificate.of == "peak") == tree.empty
    if tree.empty:
        assert budget < least
        assert certificate.proven(graph, budget) == certificate.proven(graph, 2 * budget) == budget + 1
    else:
        assert certificate.proven(graph, budget) >= tree.bound


def test_trees_show_that_budgets_are_too_small():
    """How often they do where one byte is missing and half of the nodes run once."""
    shown = 0
    for seed in range(60):
        luck, graph = Random(seed), random_graph(6 + seed % 5, seed, edge_probability=0.5)
        graph = replace(graph, nodes=tuple(replace(node, recomputable=luck.random() < 0.5) for node in graph.nodes))
        budget = least_peak(graph) - 1
        tree = Tree(graph, build_cut_model(graph.index, budget, candidate_chains(graph, (4, 8))[0]), None, Deadline(20))
        tree.grow()
        shown += tree.empty
    assert shown > 12


@pytest.mark.parametrize("params", [PLAIN, TreeParams()])
def test_a_tree_closes_what_the_relaxation_leaves_open(params):
    graph = instance("transformer:3")
    budget = replay(graph, keep_everything(graph)).peak * 3 // 5
    form = build_cut_model(graph.index, budget, candidate_chains(graph, (4, 8))[1])
    tree = Tree(graph, form, 168_198_144, Deadline(60), params)
    tree.grow()
    assert tree.complete
    assert tree.bound == 168_198_144
    certificate = certificate_of(tree, budget)
    assert certificate.proven(graph, budget) == tree.bound


def test_what_a_tree_proves_rises_and_holds_when_the_time_is_up():
    graph = instance("unet:4")
    budget = replay(graph, keep_everything(graph)).peak // 2
    form = build_cut_model(graph.index, budget, candidate_chains(graph, (4, 8))[2])
    proved = []
    for work in (0.01, 0.1, 1):
        tree = Tree(graph, form, 10**6, Deadline(work, clock=WorkClock()), PLAIN)
        tree.grow()
        proved.append(certificate_of(tree, budget).proven(graph, budget))
        assert proved[-1] >= tree.bound
    assert proved == sorted(proved)
    assert graph.base_cost <= proved[0] < proved[-1]


def test_the_same_work_grows_the_same_tree():
    graph = instance("unet:4")
    budget = replay(graph, keep_everything(graph)).peak // 2
    form = build_cut_model(graph.index, budget, candidate_chains(graph, (4, 8))[2])

    def grown():
        tree = Tree(graph, form, 10**6, Deadline(0.5, clock=WorkClock()))
        tree.grow()
        return certificate_of(tree, budget)

    assert grown() == grown()
