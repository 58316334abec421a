"""The choice among a sequence's executions against all of them; recombined schedules against their parents."""

from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import hcp
from hcp.annealing import Annealer, Cooling
from hcp.graph.instances import instance
from hcp.planning.deadline import Deadline
from hcp.planning.tracker import Tracker
from hcp.solvers.models.cpsat import solve_with_cpsat
from hcp.solvers.models.integer import IntegerStatus, IntegerTask
from hcp.solvers.recombination.recombine import Population, RecombinationParams, _window, recombine, supersequence
from hcp.solvers.recombination.selection import select
from tests.strategies import graphs

PARAMS = RecombinationParams()


def schedule_of(graph, nodes):
    return hcp.Schedule.from_computes(graph, [graph.index.node_names[node] for node in nodes])


def legal(graph, nodes):
    try:
        return hcp.replay(graph, schedule_of(graph, nodes))
    except hcp.ScheduleError:
        return None


@st.composite
def long_sequences(draw, most=11):
    """A graph, its own order with executions strewn in, and which steps are its own order's."""
    graph = draw(graphs(max_nodes=6))
    order = graph.index.order.tolist()
    steps = [(node, True) for node in order]
    for _ in range(draw(st.integers(0, most - len(order)))):
        steps.insert(draw(st.integers(1, len(steps))), (draw(st.sampled_from(order)), False))
    sequence, made = zip(*steps, strict=True)
    return graph, np.array(sequence, np.int64), np.array(made, np.bool_)


@settings(max_examples=150, deadline=None)
@given(long_sequences(), st.data())
def test_the_choice_is_the_best_of_all_choices(drawn, data):
    graph, sequence, made = drawn
    peak = hcp.replay(graph, schedule_of(graph, sequence[made])).peak
    budget = data.draw(st.integers(peak // 2, peak))
    free = np.array(data.draw(st.lists(st.booleans(), min_size=len(made), max_size=len(made))))
    best = None
    for choice in product((False, True), repeat=int(free.sum())):
        tried = made.copy()
        tried[free] = choice
        usage = legal(graph, sequence[tried])
        if usage is not None and usage.peak <= budget and (best is None or usage.cost < best):
            best = usage.cost

    selection = select(graph.index, budget, sequence, made, free)
    assume(selection.hint)
    result = solve_with_cpsat(IntegerTask(selection.model, selection.hint, 0, Deadline(60), 1, 0))

    if best is None:
        assert result.status is IntegerStatus.INFEASIBLE
        return
    assert result.status is IntegerStatus.OPTIMAL
    usage = legal(graph, selection.chosen(result.point))
    assert (usage.cost, usage.peak <= budget) == (best, True)
    assert result.bound <= best


@settings(max_examples=100, deadline=None)
@given(long_sequences())
def test_the_hint_is_a_point_of_the_model_where_the_schedule_fits(drawn):
    graph, sequence, made = drawn
    usage = hcp.replay(graph, schedule_of(graph, sequence[made]))
    selection = select(graph.index, usage.peak, sequence, made, np.ones(len(made), np.bool_))
    point = np.array([selection.hint[column] for column in range(len(selection.hint))], np.int64)
    assert (selection.model.matrix @ point <= selection.model.rhs).all()
    assert selection.model.cost @ point + selection.model.constant == usage.cost


def annealed(graph, budget, seeds=3, moves=30_000):
    annealer = Annealer(graph, budget)
    start = annealer.evicted(annealer.indices(graph.order))
    return [annealer.run(start, Cooling(), moves=moves, seed=seed).least for seed in range(seeds)]


@pytest.mark.parametrize("name", ["training-chain:30", "transformer:2", "unet:3", "residual-net:5"])
def test_recombining_is_never_worse_than_the_parents_it_contains(name):
    graph = instance(name)
    budget = hcp.replay(graph, hcp.keep_everything(graph)).peak * 9 // 10
    parents = annealed(graph, budget)
    usages = [legal(graph, parent) for parent in parents]
    parents = [parent for parent, usage in zip(parents, usages, strict=True) if usage.peak <= budget]
    assert parents
    tracker = Tracker(hcp.Problem(graph, budget))
    nodes, proved = recombine(tracker, parents, 3.0, Deadline(30), Random(0))
    usage = legal(graph, nodes)
    assert proved
    assert usage.peak <= budget
    assert usage.cost <= legal(graph, parents[0]).cost


def test_schedules_laid_together_contain_the_first_and_keep_within_the_length():
    first = (0, 1, 2, 0, 3, 1, 4)
    other = (0, 1, 2, 1, 0, 3, 2, 4, 0)
    sequence, made = supersequence([first, other], 100)
    assert tuple(sequence[made]) == first
    # The other's executions before node 3 are laid with the first's own, and what follows its last node has no place.
    assert sequence.tolist() == [0, 1, 2, 1, 0, 3, 1, 2, 4] or sequence.tolist() == [0, 1, 2, 1, 0, 3, 2, 1, 4]
    assert supersequence([first, other], 8)[0].tolist() == list(first)


def test_long_sequences_are_chosen_in_windows():
    nodes = tuple(range(PARAMS.most_free * 2))
    again = (*nodes[:-1], 0, nodes[-1])
    _, made = supersequence([nodes, again], PARAMS.most_free * 4)
    free = _window(made, Random(0), PARAMS.most_free)
    assert int(free.sum()) == PARAMS.most_free
    assert free[np.flatnonzero(~made)].all()


def test_a_population_keeps_the_cheapest_within_the_budget():
    index = instance("chain:60").index
    population, others = Population(), Population()
    for length in range(2, PARAMS.most_kept):
        population.add(index, 0, tuple(range(length)))
    others.add(index, 5, (0,))
    others.add(index, 0, (0, 1, 2, 2))
    population.take(others)
    kept = population.best()
    assert kept[0] == (0, 1)
    assert kept[-1] == (0,)
    population.add(index, 0, (0, 0, 0))
    assert (0,) not in population.best()
    assert len(population.best()) == PARAMS.most_kept
