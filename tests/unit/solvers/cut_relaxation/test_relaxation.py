"""Every row of the cut relaxation, and every path cut, holds for optimal schedules; every bound for the oracle."""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse

from hcp.graph.cancellation import Cancelled
from hcp.graph.instances import instance
from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline, WorkClock
from hcp.planning.problem import Problem
from hcp.schedule.actions import Compute, Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.cut_relaxation import families
from hcp.solvers.cut_relaxation.chains import candidate_chains, longest_path
from hcp.solvers.cut_relaxation.families import FAMILIES
from hcp.solvers.cut_relaxation.lift import hint, lift
from hcp.solvers.cut_relaxation.model import build_cut_model
from hcp.solvers.cut_relaxation.path_cuts import PathCut
from hcp.solvers.cut_relaxation.relaxation import RelaxationParams, Relaxer
from hcp.solvers.cut_relaxation.separation import separate
from hcp.solvers.exhaustive import Exhaustive, least_peak
from hcp.solvers.models.cpsat import solve_with_cpsat
from hcp.solvers.models.highs import LinearProgram, LpStatus
from hcp.solvers.models.integer import IntegerStatus, IntegerTask
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs

any_graphs = st.one_of(graphs(), seeded_graphs())


@st.composite
def tight_problems(draw):
    graph = draw(any_graphs)
    least = max(1, least_peak(graph))
    highest = max(least, replay(graph, keep_everything(graph)).peak)
    return graph, draw(st.integers(least, highest))


@st.composite
def staircases(draw, model):
    """Any staircase that the rules allow, violated or not."""
    index, stages = model.grid.index, len(model.chain)
    readers = [v for v in range(index.n) if any(index.producer[x] >= 0 for x in index.inputs[v])]
    assume(readers)
    node = reader = draw(st.sampled_from(readers))
    stage = draw(st.integers(0, stages))
    steps = []
    while True:
        values = [int(x) for x in index.inputs[node] if index.producer[x] >= 0]
        if not values or (steps and draw(st.booleans())):
            break
        steps.append((draw(st.sampled_from(values)), draw(st.integers(0, stage))))
        node = int(index.producer[steps[-1][0]])
    cut = PathCut(reader, stage, draw(st.booleans()), tuple(steps))
    assert cut.is_valid(model)
    return cut


def costly(graph):
    """The graph with costs above zero: its optimal schedules run nothing in vain."""
    return Graph(tuple(replace(node, cost=node.cost + 1) for node in graph.nodes), graph.inputs, graph.order)


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_an_optimal_schedule_satisfies_every_row(data):
    drawn, budget = data.draw(tight_problems())
    graph = costly(drawn)
    schedule = Exhaustive()(Problem(graph, budget)).schedule
    # The oracle frees when it likes; the relaxation speaks of schedules that free after the last use.
    schedule = Schedule.from_computes(graph, schedule.computes)
    path = longest_path(graph.index)
    chain = tuple(sorted(data.draw(st.sets(st.sampled_from(path), min_size=1)), key=path.index))
    plain = build_cut_model(graph.index, budget, chain)
    form = plain.with_cuts([data.draw(staircases(plain)) for _ in range(3)] if len(path) > 1 else [])
    program = LinearProgram(form.model)
    known = hint(graph, form, schedule)
    columns = np.array(list(known), np.int64)
    signs = np.array([1 if value else -1 for value in known.values()], np.int64)
    fixed = sparse.csr_matrix(
        (-signs, (np.arange(len(columns)), columns)), shape=(len(columns), form.model.shape[1]), dtype=np.int64
    )
    program.add_rows(fixed, np.minimum(-signs, 0))
    result = program.solve(Deadline(10))
    assert result.status is LpStatus.OPTIMAL
    # A node that runs twice within a stage counts once.
    assert result.value <= replay(graph, schedule).cost + 1e-6


@settings(max_examples=examples(300), deadline=None)
@given(tight_problems(), st.booleans())
def test_linear_bounds_hold_and_are_verified(drawn, shrink):
    graph, budget = drawn
    budget = max(1, budget - 2) if shrink else budget
    least = least_peak(graph)
    found = Relaxer(graph, budget, Deadline(20)).best()
    bound = found.bound
    assert bound.certificate.proven(graph, budget) == bound.value
    if bound.of == "peak":
        assert budget < bound.value <= least
    elif budget >= least:
        assert bound.value <= replay(graph, Exhaustive()(Problem(graph, budget)).schedule).cost


@settings(max_examples=examples(60), deadline=None)
@given(tight_problems())
def test_integer_points_bound_and_lift_to_legal_schedules(drawn):
    graph, budget = drawn
    optimum = replay(graph, Exhaustive()(Problem(graph, budget)).schedule).cost
    for chain in candidate_chains(graph):
        form = build_cut_model(graph.index, budget, chain)
        result = solve_with_cpsat(IntegerTask(form.model, {}, 0, deadline=Deadline(20), workers=1, seed=0))
        assert result.status is IntegerStatus.OPTIMAL
        assert result.bound <= optimum
        assert replay(graph, lift(graph, form, result.point)).cost <= result.bound


def test_path_cuts_strengthen_a_transformer():
    graph = instance("transformer:3")
    budget = replay(graph, keep_everything(graph)).peak * 3 // 5
    chain = candidate_chains(graph, (4,))[0]
    plain = LinearProgram(build_cut_model(graph.index, budget, chain).model).solve(Deadline(20)).value
    found = Relaxer(graph, budget, Deadline(20), RelaxationParams(families=("path",))).solve_chain(chain)
    assert found.form.cuts
    assert found.bound.value > plain


def test_a_slow_start_leaves_no_chain_out():
    """The first program of a process may wait for its solver; that says nothing of how long the others take."""
    graph = instance("unet:2")
    budget = replay(graph, keep_everything(graph)).peak * 7 // 10
    deadline = Deadline(10_000, clock=WorkClock())
    told = []

    def wait_at_first(bound):
        if not told:
            deadline.spend(100)
        told.append(bound)

    Relaxer(graph, budget, deadline, on_bound=wait_at_first).best()
    assert len(told) == len(candidate_chains(graph))


def test_a_limit_within_separation_leaves_what_is_proved_without(monkeypatch):
    def late(*_):
        raise Cancelled

    graph = instance("unet:3")
    budget = replay(graph, keep_everything(graph)).peak * 3 // 4
    chain = candidate_chains(graph, (4, 8))[0]
    plain = Relaxer(graph, budget, Deadline(20), RelaxationParams(families=())).solve_chain(chain)
    monkeypatch.setattr(families, "FAMILIES", tuple(replace(family, separate=late) for family in FAMILIES))
    assert Relaxer(graph, budget, Deadline(20)).solve_chain(chain).bound == plain.bound
    assert plain.bound.value > graph.base_cost


def test_separated_cuts_are_violated_staircases():
    graph = instance("transformer:3")
    budget = replay(graph, keep_everything(graph)).peak // 2
    form = build_cut_model(graph.index, budget, candidate_chains(graph)[-1])
    point = LinearProgram(form.model).solve(Deadline(20)).point
    found = [PathCut(*staircase) for staircase in separate(graph.index, *form.grid.at(point), 1e-3)]
    assert found
    assert all(each.is_valid(form) for each in found)
    rows, rhs = form.cut_rows(found)
    assert np.all(rows @ point - rhs > 1e-4)


def test_the_hint_of_keep_everything_has_every_run_once():
    graph = instance("training-chain:6")
    form = build_cut_model(graph.index, 10**9, candidate_chains(graph, (4, 8))[0])
    known = hint(graph, form, keep_everything(graph))
    point = np.zeros(form.model.shape[1])
    point[[column for column, value in known.items() if value]] = 1
    computes = [a.node for a in lift(graph, form, point).actions if isinstance(a, Compute)]
    assert sorted(computes) == sorted(graph.order)
