"""Trees prove no more than the oracle finds, at any time, and all of it in the end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import instance
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
from tests.strategies import graphs, seeded_graphs

PLAIN = TreeParams(root_rounds=0, rounds=0)


@st.composite
def problems(draw):
    """Graphs with budgets that some schedule meets and keeping everything does not, and their optimal costs."""
    graph = draw(st.one_of(graphs(), seeded_graphs()))
    least, most = max(1, least_peak(graph)), replay(graph, keep_everything(graph)).peak
    budget = draw(st.integers(least, max(least, most - 1)))
    return graph, budget, Exhaustive()(Problem(graph, budget)).bounds[0].value


@settings(max_examples=300, deadline=None)
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


@pytest.mark.parametrize("params", [PLAIN, TreeParams()])
def test_a_tree_closes_what_the_relaxation_leaves_open(params):
    graph = instance("transformer:3")
    budget = replay(graph, keep_everything(graph)).peak * 3 // 5
    form = build_cut_model(graph.index, budget, candidate_chains(graph)[1])
    tree = Tree(graph, form, 168_198_144, Deadline(60), params)
    tree.grow()
    assert tree.complete
    assert tree.bound == 168_198_144
    certificate = certificate_of(tree, budget)
    assert certificate.proven(graph, budget) == tree.bound


def test_what_a_tree_proves_rises_and_holds_when_the_time_is_up():
    graph = instance("unet:4")
    budget = replay(graph, keep_everything(graph)).peak // 2
    form = build_cut_model(graph.index, budget, candidate_chains(graph)[2])
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
    form = build_cut_model(graph.index, budget, candidate_chains(graph)[2])

    def grown():
        tree = Tree(graph, form, 10**6, Deadline(0.5, clock=WorkClock()))
        tree.grow()
        return certificate_of(tree, budget)

    assert grown() == grown()
