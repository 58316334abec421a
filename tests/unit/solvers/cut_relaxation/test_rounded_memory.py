"""Rounded memory rows hold for every schedule within the budget, found by enumeration, and make bounds better."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.errors import GraphError
from hcp.graph.instances import instance, random_graph
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.deadline import Deadline
from hcp.planning.problem import Problem
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.certificates.file import read_certificate
from hcp.solvers.cut_relaxation.chains import candidate_chains
from hcp.solvers.cut_relaxation.families import NAMES, read_cut
from hcp.solvers.cut_relaxation.lift import hint
from hcp.solvers.cut_relaxation.model import build_cut_model
from hcp.solvers.cut_relaxation.relaxation import RelaxationParams, Relaxer
from hcp.solvers.cut_relaxation.rounded_memory import FAMILY, RoundedMemory
from hcp.solvers.exhaustive import Exhaustive, least_peak
from hcp.solvers.models.highs import LinearProgram, LpStatus
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs

ALONE = RelaxationParams(families=(FAMILY.format.name,))
NONE = RelaxationParams(families=())


def schedules(graph, most):
    """Every sequence of at most so many executions that runs all nodes, with frees after the last use."""
    index = graph.index

    def grown(sequence, ran):
        if len(ran) == index.n:
            yield Schedule.from_computes(graph, [index.node_names[v] for v in sequence])
        if len(sequence) < most:
            for v in range(index.n):
                if ran.issuperset(index.predecessors[v]) and (index.recomputable[v] or v not in ran):
                    yield from grown([*sequence, v], ran | {v})

    return grown([], frozenset())


def points(graph, form, found):
    """The 0/1 points of schedules, without repetition."""
    known = [hint(graph, form, schedule) for schedule in found]
    columns = range(form.model.shape[1])
    return np.array(sorted({tuple(each.get(column, False) for column in columns) for each in known}), np.int64)


def separated(form, seed):
    """The cuts found at any point, and in rounds from a corner of the linear relaxation on, one that keeps much."""
    random, columns = np.random.default_rng(seed), form.model.shape[1]
    found = [*FAMILY.separate(form, random.random(columns), 1e-3)]
    program = LinearProgram(replace(form.model, cost=random.integers(-9, 4, columns)))
    for _ in range(8):
        result = program.solve(Deadline(20))
        if result.status is not LpStatus.OPTIMAL:
            break
        fresh = FAMILY.separate(form, result.point, 1e-3)
        if not fresh:
            break
        for each in fresh:
            coefficients, columns, rhs = each.row(form)
            assert coefficients @ result.point[columns] > rhs
        program.add_rows(*form.cut_rows(fresh))
        found += fresh
    return found


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_every_schedule_within_the_budget_satisfies_every_cut(data):
    graph = data.draw(st.one_of(graphs(4), seeded_graphs(5)))
    everything = [(replay(graph, schedule).peak, schedule) for schedule in schedules(graph, graph.index.n + 2)]
    budget = max(1, min(peak for peak, _ in everything) + data.draw(st.integers(0, 3)))
    legal = [schedule for peak, schedule in everything if peak <= budget]
    for chain in candidate_chains(graph):
        form = build_cut_model(graph.index, budget, chain)
        stages, sizes = st.integers(0, len(chain) - 1), st.integers(1, 9)
        values = st.sets(st.integers(0, graph.index.m - 1)) if graph.index.m else st.just(set())
        drawn = [RoundedMemory(data.draw(stages), data.draw(sizes), tuple(sorted(data.draw(values)))) for _ in range(6)]
        cuts = [*separated(form, data.draw(st.integers(0, 10**6))), *(each for each in drawn if each.is_valid(form))]
        if cuts:
            rows, rhs = form.cut_rows(cuts)
            assert np.all(rows @ points(graph, form, legal).T <= rhs[:, None])


def test_every_schedule_of_narrow_graphs_satisfies_what_is_separated():
    separate_cuts, seeds = 0, examples(16, 8)
    for seed in range(seeds):
        graph = random_graph(6, seed, edge_probability=0.3)
        everything = [(replay(graph, schedule).peak, schedule) for schedule in schedules(graph, graph.index.n + 1)]
        budget = min(peak for peak, _ in everything) + seed % 3
        legal = [schedule for peak, schedule in everything if peak <= budget]
        for chain in candidate_chains(graph):
            form = build_cut_model(graph.index, budget, chain)
            cuts = separated(form, seed)
            if cuts:
                rows, rhs = form.cut_rows(cuts)
                assert np.all(rows @ points(graph, form, legal).T <= rhs[:, None])
            separate_cuts += len(cuts)
    assert separate_cuts > 0.75 * seeds


def one_row(sizes, budget):
    """A relaxation whose one memory row has values of these sizes: nothing is read before all of them are made."""
    makers = tuple(Node(f"n{i}", outputs=(Value(f"x{i}", size),)) for i, size in enumerate(sizes))
    last = Node("last", outputs=(Value("y", 0),))
    reader = Node("reader", inputs=(*(f"x{i}" for i in range(len(sizes))), "y"))
    return build_cut_model(Graph((*makers, last, reader)).index, budget, (len(sizes),))


@settings(max_examples=examples(300), deadline=None)
@given(st.data())
def test_rounding_cuts_off_no_whole_point_of_a_row(data):
    sizes = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=7))
    budget = data.draw(st.integers(max(sizes), sum(sizes)))
    form = one_row(sizes, budget)
    each = RoundedMemory(0, data.draw(st.integers(1, 15)), tuple(sorted(data.draw(subsets(len(sizes))))))
    assert each.is_valid(form)
    coefficients, columns, rhs = each.row(form)
    order = [int(np.flatnonzero(form.grid.saves[:, 1] == column)[0]) for column in columns]
    for point in product((0, 1), repeat=len(sizes)):
        held = np.array(point)[order]
        if np.array(sizes)[order] @ held <= budget:
            assert coefficients @ held <= rhs


def subsets(count):
    return st.sets(st.integers(0, count - 1))


# Multipliers in files are about these very rows: where this fails, raise the family's version.
@pytest.mark.parametrize(
    ("sizes", "budget", "divisor", "missing", "row"),
    [
        # Two of these fit at most.
        ((5, 5, 5), 14, 5, (), ((1, 1, 1), 2)),
        # 3 S0 - 6 (1 - S1) + 6 S2 <= 6, in smallest integers.
        ((5, 7, 9), 16, 4, (1,), ((1, 2, 2), 4)),
    ],
)
def test_some_rows_are_stronger_than_the_memory_row(sizes, budget, divisor, missing, row):
    coefficients, _, rhs = RoundedMemory(0, divisor, missing).row(one_row(sizes, budget))
    assert (tuple(coefficients.tolist()), rhs) == row


@settings(max_examples=examples(100), deadline=None)
@given(st.one_of(graphs(), seeded_graphs()), st.integers(0, 6))
def test_bounds_get_no_worse_and_stay_below_the_optimum(graph, more):
    budget = max(1, least_peak(graph)) + more
    optimum = replay(graph, Exhaustive()(Problem(graph, budget)).schedule).cost
    for chain in candidate_chains(graph):
        plain = Relaxer(graph, budget, Deadline(20), NONE).solve_chain(chain).bound
        better = Relaxer(graph, budget, Deadline(20), ALONE).solve_chain(chain).bound
        assert plain.value <= better.value <= optimum
        assert better.certificate.proven(graph, budget) == better.value


def test_it_closes_gaps_that_path_cuts_leave():
    graph = instance("unet:4")
    budget = replay(graph, keep_everything(graph)).peak * 3 // 4
    paths = Relaxer(graph, budget, Deadline(20), RelaxationParams(families=("path",))).best().bound
    both = Relaxer(graph, budget, Deadline(20)).best().bound
    assert both.value > paths.value
    assert any(isinstance(cut, RoundedMemory) for cut in both.certificate.cuts)


def test_families_are_chosen_by_name():
    assert FAMILY.format.name in NAMES
    with pytest.raises(Exception, match="families has 'hearsay'; expected some of path, rounded-memory"):
        RelaxationParams(families=("hearsay",))


def test_changed_cuts_prove_less_and_files_give_them_back():
    graph = instance("unet:4")
    budget = replay(graph, keep_everything(graph)).peak * 3 // 4
    bound = Relaxer(graph, budget, Deadline(20), ALONE).best().bound
    certificate = bound.certificate
    assert read_certificate(certificate.to_dict(graph), "the certificate", graph) == certificate
    first, *rest = certificate.cuts
    outsider = int(graph.index.outputs[graph.index.node_of[certificate.chain[first.stage]]][0])
    for changed in (
        replace(first, divisor=0),
        replace(first, divisor=-first.divisor),
        replace(first, divisor=2**200),
        replace(first, stage=-1),
        replace(first, stage=len(certificate.chain)),
        replace(first, missing=(-1,)),
        replace(first, missing=(graph.index.m,)),
        replace(first, missing=(outsider,)),
    ):
        assert replace(certificate, cuts=(changed, *rest)).proven(graph, budget) == 0, changed
    assert replace(certificate, cuts=(replace(first, divisor=1), *rest)).proven(graph, budget) < bound.value


def test_what_makes_no_sense_is_refused_in_a_sentence():
    graph = instance("unet:2")
    data = {"family": "rounded-memory/1", "stage": 0, "divisor": 3, "missing": ["nobody"]}
    with pytest.raises(GraphError, match="a cut of the file has missing value 'nobody'"):
        read_cut(data, "the file", graph)
    with pytest.raises(GraphError, match="has no attribute 'missing'"):
        read_cut({"family": "rounded-memory/1"}, "the file", graph)
